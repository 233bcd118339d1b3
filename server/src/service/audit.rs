//! Who changed what: the one shape of the log's entries about definitions, keys and projects.
//!
//! Each names its actor and its object twice: in words (`actor`, `message`) and in `data`, where
//! `{"actor": {"id", "name"}, "object": {"id", "name"}}` can be read by machines.

use std::fmt::Display;

use entity::event::Model;
use entity::{EventId, ProjectId, TypedId};
use serde_json::{Value, json};

use super::{Actor, Caller};
use crate::app::App;
use crate::clock::stamped_at;
use crate::domain::event::{Stamp, definition};

/// What is named as the actor in the log of a project that the operator changed: its keys are its
/// own business.
const OPERATOR: &str = "operator";

/// What was changed.
pub(super) struct What<'a> {
    /// Its kind, in words.
    pub noun: &'static str,
    /// Which.
    pub id: &'a (dyn Display + Sync),
    /// What a person calls it.
    pub name: &'a str,
}

/// The entry of the caller's own log: `kind` is `trigger.created` and so on.
pub(super) fn entry(app: &App, caller: &Caller, kind: &str, what: &What<'_>) -> Model {
    entry_of(app, caller, caller.project, kind, what)
}

/// The entry of the log of `project`, which may be another one than the caller's.
pub(super) fn entry_of(
    app: &App,
    caller: &Caller,
    project: ProjectId,
    kind: &str,
    what: &What<'_>,
) -> Model {
    let id: EventId = app.ids().make();
    let stamp = Stamp { id, at: stamped_at(id.uuid()), project };
    let is_stranger = project != caller.project && caller.key().is_some();
    let actor = if is_stranger { OPERATOR.to_owned() } else { caller.by.to_string() };
    let by = match &caller.by {
        Actor::Key(id, name) if !is_stranger => json!({ "id": id.to_string(), "name": name }),
        _ => json!({ "id": null, "name": actor }),
    };
    let data = json!({
        "actor": by,
        "object": { "id": what.id.to_string(), "name": what.name },
    });
    let entry = definition(stamp, kind, &actor, format!("{} {}", what.noun, what.name));
    Model { data: Some(data.to_string()), ..entry }
}

/// Adds to what an entry says for machines.
pub(super) fn with(mut entry: Model, name: &str, value: Value) -> Model {
    let data = entry.data.as_deref().and_then(|text| serde_json::from_str(text).ok());
    if let Some(Value::Object(mut data)) = data {
        data.insert(name.to_owned(), value);
        entry.data = Some(Value::Object(data).to_string());
    }
    entry
}
