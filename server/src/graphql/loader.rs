//! Batched look-ups: the rows that the nodes of one page refer to come in one statement each.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use async_graphql::Context;
use async_graphql::dataloader::{DataLoader, Loader};
use entity::{
    ActionId, FiringId, Instant, ProjectId, ScheduleId, TriggerId, action, attempt, firing,
    schedule, trigger, trigger_version,
};

use super::error::Result;
use crate::app::App;
use crate::error::Error;
use crate::service::Caller;
use crate::store;

/// The loader of all nouns.
pub type Rows = DataLoader<Batch>;

/// Reads rows by many keys at once.
pub struct Batch {
    app: App,
}

/// A trigger by id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TriggerKey(pub ProjectId, pub TriggerId);

/// A definition of a trigger by number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TriggerVersionKey(pub ProjectId, pub TriggerId, pub i32);

/// An action by id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionKey(pub ProjectId, pub ActionId);

/// The schedules of a trigger.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SchedulesOfTrigger(pub ProjectId, pub TriggerId);

/// A schedule by id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScheduleKey(pub ProjectId, pub ScheduleId);

/// The first planned instant of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FirstPlanned(pub ProjectId, pub ScheduleId);

/// A firing by id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FiringKey(pub ProjectId, pub FiringId);

/// The attempts of a firing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptsOfFiring(pub ProjectId, pub FiringId);

/// What the loaders of the schema fail with: shared by every field of one batch.
type Shared<T> = std::result::Result<T, Arc<Error>>;

/// The loader over `app`.
pub fn loader(app: &App) -> Rows {
    DataLoader::new(Batch { app: app.clone() }, tokio::spawn)
}

/// Loads one row of the caller's project.
pub async fn load<K>(ctx: &Context<'_>, key: K) -> Result<Option<<Batch as Loader<K>>::Value>>
where
    K: Send + Sync + Hash + Eq + Clone + 'static,
    Batch: Loader<K, Error = Arc<Error>>,
{
    let rows = ctx.data_unchecked::<Rows>();
    let loaded = rows.load_one(key).await;
    Ok(loaded.map_err(|error| Error::Internal(error.to_string()))?)
}

/// The caller of this request.
pub fn caller<'a>(ctx: &Context<'a>) -> &'a Caller {
    ctx.data_unchecked::<Caller>()
}

/// The app of this request.
pub fn app<'a>(ctx: &Context<'a>) -> &'a App {
    ctx.data_unchecked::<App>()
}

/// Groups `keys` by project, reads each group at once, and sorts the rows back to their keys.
macro_rules! by_id {
    ($key:ident, $row:ty, $find:path) => {
        impl Loader<$key> for Batch {
            type Value = $row;
            type Error = Arc<Error>;

            async fn load(&self, keys: &[$key]) -> Shared<HashMap<$key, $row>> {
                let mut found = HashMap::with_capacity(keys.len());
                for (project, ids) in by_project(keys.iter().map(|key| (key.0, key.1))) {
                    for row in $find(self.app.store(), project, &ids).await? {
                        found.insert($key(project, row.id), row);
                    }
                }
                Ok(found)
            }
        }
    };
}

/// As [`by_id`], for rows that belong to a parent.
macro_rules! by_parent {
    ($key:ident, $row:ty, $find:path, $parent:ident) => {
        impl Loader<$key> for Batch {
            type Value = Vec<$row>;
            type Error = Arc<Error>;

            async fn load(&self, keys: &[$key]) -> Shared<HashMap<$key, Vec<$row>>> {
                let mut found: HashMap<$key, Vec<$row>> = HashMap::with_capacity(keys.len());
                for (project, ids) in by_project(keys.iter().map(|key| (key.0, key.1))) {
                    for row in $find(self.app.store(), project, &ids).await? {
                        found.entry($key(project, row.$parent)).or_default().push(row);
                    }
                }
                Ok(found)
            }
        }
    };
}

by_id!(TriggerKey, trigger::Model, store::trigger::find_many);
by_id!(ActionKey, action::Model, store::action::find_many);
by_id!(ScheduleKey, schedule::Model, store::schedule::find_many);
by_id!(FiringKey, firing::Model, store::firing::find_many);
by_parent!(SchedulesOfTrigger, schedule::Model, store::schedule::find_of_triggers, trigger_id);
by_parent!(AttemptsOfFiring, attempt::Model, store::attempt::find_of_firings, firing_id);

impl Loader<FirstPlanned> for Batch {
    type Value = Instant;
    type Error = Arc<Error>;

    async fn load(&self, keys: &[FirstPlanned]) -> Shared<HashMap<FirstPlanned, Instant>> {
        let mut found = HashMap::with_capacity(keys.len());
        for (project, ids) in by_project(keys.iter().map(|key| (key.0, key.1))) {
            let rows = store::schedule::first_planned(self.app.store(), project, &ids).await?;
            found.extend(rows.into_iter().map(|(id, at)| (FirstPlanned(project, id), at)));
        }
        Ok(found)
    }
}

impl Loader<TriggerVersionKey> for Batch {
    type Value = trigger_version::Model;
    type Error = Arc<Error>;

    async fn load(
        &self,
        keys: &[TriggerVersionKey],
    ) -> Shared<HashMap<TriggerVersionKey, trigger_version::Model>> {
        let mut found = HashMap::with_capacity(keys.len());
        for (project, pairs) in by_project(keys.iter().map(|key| (key.0, (key.1, key.2)))) {
            for row in store::trigger::find_versions(self.app.store(), project, &pairs).await? {
                found.insert(TriggerVersionKey(project, row.trigger_id, row.number), row);
            }
        }
        Ok(found)
    }
}

fn by_project<T>(keys: impl Iterator<Item = (ProjectId, T)>) -> HashMap<ProjectId, Vec<T>> {
    let mut groups: HashMap<ProjectId, Vec<T>> = HashMap::new();
    for (project, id) in keys {
        groups.entry(project).or_default().push(id);
    }
    groups
}
