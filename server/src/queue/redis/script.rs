//! The scripts of the due queue as functions: what goes in, what comes out.

use std::collections::HashMap;

use entity::{FiringId, Instant, ProjectId, TriggerId, TypedId};
use redis::{RedisResult, Script, Value, cmd};
use uuid::Uuid;

use super::super::{Pulled, Room};
use crate::domain::outbox::Due;
use crate::limits::{OVERDUE_MS, QUEUE_LEASE_MS, SWEEP_MS};
use crate::link::Connection;

/// Parts of one entry in an answer of `pull.lua`.
const PARTS: usize = 5;
/// What no bound comes near to, and a script counts exactly.
const NO_BOUND: usize = 1_000_000_000;

/// The scripts, each with its digest.
pub(super) struct Scripts {
    push: Script,
    pull: Script,
    raise: Script,
    lower: Script,
    heal: Script,
    wipe: Script,
}

macro_rules! script {
    ($name:literal) => {
        Script::new(concat!(include_str!("structure.lua"), "\n", include_str!($name)))
    };
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            push: script!("push.lua"),
            pull: script!("pull.lua"),
            raise: script!("raise.lua"),
            lower: script!("lower.lua"),
            heal: script!("heal.lua"),
            wipe: script!("wipe.lua"),
        }
    }

    /// Adds entries; `false` when the shard has no cover.
    pub(super) async fn push(
        &self,
        connection: &mut Connection,
        shard: &str,
        entries: &[Due],
        (now, entries_max): (Instant, usize),
    ) -> RedisResult<bool> {
        let mut call = self.push.key(shard);
        call.arg(written(now.plus_ms(SWEEP_MS))).arg(written(now.plus_ms(-OVERDUE_MS)));
        call.arg(entries_max);
        for due in entries {
            let limit = due.trigger_limit.map(|limit| limit.to_string()).unwrap_or_default();
            call.arg(&bytes(due.project)[..])
                .arg(&lane(due.trigger)[..])
                .arg(&bytes(due.firing)[..])
                .arg(written(due.due_at))
                .arg(limit);
        }
        call.invoke_async(connection).await
    }

    /// Hands out what is due; whether the shard has a cover.
    pub(super) async fn pull(
        &self,
        connection: &mut Connection,
        shard: &str,
        now: Instant,
        room: &Room,
    ) -> RedisResult<(bool, Pulled)> {
        let mut call = self.pull.key(shard);
        call.arg(written(now)).arg(room.rows_max.min(NO_BOUND));
        call.arg(room.slots_free.min(NO_BOUND)).arg(room.share.min(NO_BOUND));
        call.arg(room.project_max.min(NO_BOUND)).arg(written(now.plus_ms(QUEUE_LEASE_MS)));
        counts(&mut call, &room.projects);
        counts(&mut call, &room.triggers);
        let answer: Vec<Value> = call.invoke_async(connection).await?;
        Ok(read(&answer))
    }

    /// Forgets what was handed out.
    pub(super) async fn settle(
        &self,
        connection: &mut Connection,
        shard: &str,
        entries: &[Due],
    ) -> RedisResult<()> {
        let mut call = cmd("ZREM");
        call.arg(format!("{shard}:leased"));
        for due in entries {
            let mut member = bytes(due.project).to_vec();
            member.extend(lane(due.trigger));
            member.extend(bytes(due.firing));
            member.extend(written(due.due_at).bytes());
            call.arg(member);
        }
        call.query_async(connection).await
    }

    /// Up to when everything that waits is known.
    pub(super) async fn cover(
        &self,
        connection: &mut Connection,
        shard: &str,
    ) -> RedisResult<Instant> {
        let text: Option<Vec<u8>> =
            cmd("GET").arg(format!("{shard}:cover")).query_async(connection).await?;
        Ok(text.as_deref().and_then(instant).unwrap_or(Instant::MIN))
    }

    /// Whether the shard has a cover.
    pub(super) async fn has_cover(
        &self,
        connection: &mut Connection,
        shard: &str,
    ) -> RedisResult<bool> {
        cmd("EXISTS").arg(format!("{shard}:cover")).query_async(connection).await
    }

    /// See `raise.lua`.
    pub(super) async fn raise(
        &self,
        connection: &mut Connection,
        shard: &str,
        from: Instant,
        until: Instant,
    ) -> RedisResult<bool> {
        let mut call = self.raise.key(shard);
        call.arg(written(from)).arg(written(until)).invoke_async(connection).await
    }

    /// See `lower.lua`.
    pub(super) async fn lower(
        &self,
        connection: &mut Connection,
        shard: &str,
        until: Instant,
    ) -> RedisResult<()> {
        self.lower.key(shard).arg(written(until)).invoke_async(connection).await
    }

    /// How many entries wait.
    pub(super) async fn len(&self, connection: &mut Connection, shard: &str) -> RedisResult<usize> {
        let count: Option<i64> =
            cmd("GET").arg(format!("{shard}:count")).query_async(connection).await?;
        Ok(usize::try_from(count.unwrap_or(0)).unwrap_or(0))
    }

    /// See `heal.lua`.
    pub(super) async fn heal(&self, connection: &mut Connection, shard: &str) -> RedisResult<()> {
        self.heal.key(shard).invoke_async(connection).await
    }

    /// Deletes everything of the shard.
    pub(super) async fn wipe(&self, connection: &mut Connection, shard: &str) -> RedisResult<()> {
        let mut cursor = "0".to_owned();
        loop {
            cursor = self.wipe.key(shard).arg(&cursor).invoke_async(connection).await?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }
}

fn counts<T: TypedId>(call: &mut redis::ScriptInvocation<'_>, running: &HashMap<T, usize>) {
    call.arg(running.len());
    for (id, count) in running {
        call.arg(&bytes(*id)[..]).arg(*count);
    }
}

fn read(answer: &[Value]) -> (bool, Pulled) {
    let [is_covered, next_at, entries @ ..] = answer else { return (false, Pulled::default()) };
    let next_at = match next_at {
        Value::BulkString(text) => instant(text),
        _ => None,
    };
    let due = entries.chunks_exact(PARTS).filter_map(entry).collect();
    (*is_covered == Value::Int(1), Pulled { due, next_at })
}

/// One entry; none when it is garbage.
fn entry(parts: &[Value]) -> Option<Due> {
    let text = |part: &Value| match part {
        Value::BulkString(text) => Some(text.clone()),
        _ => None,
    };
    let parts: Vec<Vec<u8>> = parts.iter().map(text).collect::<Option<_>>()?;
    let id = |part: &[u8]| Uuid::from_slice(part).ok();
    let trigger = id(&parts[1])?;
    Some(Due {
        due_at: instant(&parts[3])?,
        firing: FiringId(id(&parts[2])?),
        project: ProjectId(id(&parts[0])?),
        trigger: (!trigger.is_nil()).then_some(TriggerId(trigger)),
        trigger_limit: std::str::from_utf8(&parts[4]).ok().and_then(|text| text.parse().ok()),
    })
}

fn bytes<T: TypedId>(id: T) -> [u8; 16] {
    *id.uuid().as_bytes()
}

fn lane(trigger: Option<TriggerId>) -> [u8; 16] {
    trigger.map_or([0; 16], bytes)
}

/// An instant as the scripts compare it: they count in doubles, which hold every millisecond that
/// a calendar can name.
fn written(at: Instant) -> String {
    match at {
        Instant::MIN => "-inf".to_owned(),
        Instant::MAX => "inf".to_owned(),
        at => at.millis().to_string(),
    }
}

fn instant(text: &[u8]) -> Option<Instant> {
    match std::str::from_utf8(text).ok()? {
        "-inf" => Some(Instant::MIN),
        "inf" => Some(Instant::MAX),
        text => text.parse().ok().map(Instant::from_millis),
    }
}
