//! Idempotency: an effect that a client asked for twice with one key happens once.
//!
//! The key is remembered for 24 h in the transaction of the effect. A repeat with the same input
//! answers with the same objects as they are now; with another input, or for another operation, it
//! is refused.
//!
//! Whoever makes something asks twice. [`Once::answered`] comes first: a repeat is answered although
//! by now the input would be refused, because its instant passed or its test trigger went.
//! [`Once::repeated`] comes inside the change and decides among calls at the same time.

use entity::{Instant, ProjectId, TypedId, idempotency};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::domain::text::Check;
use crate::error::{Error, Result, refuse_if_any};
use crate::limits::{IDEMPOTENCY_KEY_CHARS_MAX, IDEMPOTENCY_MS};
use crate::store::{Change, Store, idempotency as store};

/// One operation with its key, if the client gave one.
#[derive(Clone, Debug)]
pub struct Once {
    key: Option<String>,
    operation: &'static str,
    input_hash: Vec<u8>,
}

impl Once {
    /// `input` is what the client asked for, coerced; the order of its JSON keys does not matter.
    ///
    /// # Errors
    /// A problem of `idempotencyKey`.
    pub fn new(
        key: Option<String>,
        operation: &'static str,
        input: &impl Serialize,
    ) -> Result<Self> {
        let mut check = Check::new();
        if let Some(key) = &key {
            check.name("idempotencyKey", key, IDEMPOTENCY_KEY_CHARS_MAX);
        }
        refuse_if_any(check.problems)?;
        let mut value = serde_json::to_value(input)
            .map_err(|error| Error::Internal(format!("{operation}: {error}")))?;
        value.sort_all_objects();
        let input_hash = Sha256::digest(value.to_string().as_bytes()).to_vec();
        Ok(Self { key, operation, input_hash })
    }

    /// The ids of what an earlier call with this key made, before anything else is checked.
    ///
    /// # Errors
    /// A conflict when the key stands for something else.
    pub async fn answered<T: TypedId>(
        &self,
        db: &Store,
        project: ProjectId,
        now: Instant,
    ) -> Result<Option<Vec<T>>> {
        let Some(key) = &self.key else { return Ok(None) };
        self.ids_of(store::find(db, project, key).await?, now)
    }

    /// The ids of what an earlier call with this key made, as the change sees it.
    ///
    /// # Errors
    /// A conflict when the key stands for something else.
    pub async fn repeated<T: TypedId>(
        &self,
        change: &Change,
        project: ProjectId,
        now: Instant,
    ) -> Result<Option<Vec<T>>> {
        let Some(key) = &self.key else { return Ok(None) };
        self.ids_of(store::get(change, project, key).await?, now)
    }

    fn ids_of<T: TypedId>(
        &self,
        row: Option<idempotency::Model>,
        now: Instant,
    ) -> Result<Option<Vec<T>>> {
        let Some(row) = row else { return Ok(None) };
        if IDEMPOTENCY_MS <= now.ms_since(row.created_at) {
            return Ok(None);
        }
        if row.operation != self.operation || row.input_hash != self.input_hash {
            let message = "this key was used within 24 h for another input";
            return Err(Error::conflict("idempotencyKey", message));
        }
        let ids: Option<Vec<T>> = row
            .result_ids
            .split_ascii_whitespace()
            .map(|id| Uuid::parse_str(id).ok().map(T::from_uuid))
            .collect();
        ids.map(Some).ok_or_else(|| Error::Internal("a stored idempotency row".to_owned()))
    }

    /// Remembers what was made.
    ///
    /// # Errors
    /// The database's own.
    pub async fn remember<T: TypedId>(
        &self,
        change: &Change,
        project: ProjectId,
        made: &[T],
        now: Instant,
    ) -> Result<()> {
        let Some(key) = self.key.clone() else { return Ok(()) };
        let ids: Vec<String> = made.iter().map(|id| id.uuid().simple().to_string()).collect();
        let row = idempotency::Model {
            project_id: project,
            key,
            operation: self.operation.to_owned(),
            input_hash: self.input_hash.clone(),
            result_ids: ids.join(" "),
            created_at: now,
        };
        store::insert(change, row).await
    }
}
