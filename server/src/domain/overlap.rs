//! Overlap: what becomes of a planned firing whose trigger still runs an earlier one.
//!
//! The *slot* of a trigger is held by a planned firing of it (cause SCHEDULE or BACKFILL) that
//! executes, or that lost its process and waits to go on. One that is between two attempts does not
//! hold it, and its retry runs whoever holds the slot by then. The question is asked once for each
//! planned firing, when it would be claimed for the first time; `store/overlap.rs` asks it, and so
//! does the simulation.
//!
//! ```text
//!              ┌ slot free ──────────────────────────────► Run
//!  candidate ──┤           ┌ ALLOW ──────────────────────► Run
//!              └ slot held ┼ SKIP ───────────────────────► Skip(OVERLAP)
//!                          ├ BUFFER_ONE ─ none waits ────► Buffer, else Skip(OVERLAP)
//!                          ├ BUFFER_ALL ─ room ──────────► Buffer, else Skip(BUFFER_FULL)
//!                          └ CANCEL_OTHER ───────────────► CancelOther
//! ```
//! What is buffered is released when the slot is free again: what a schedule planned before what a
//! backfill asked for, and of those the oldest instant first. It is then asked about once more.

use entity::trigger::Overlap;

use super::planning::Reason;
use crate::limits::BUFFERED_MAX;

/// What becomes of one candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It runs, and holds the slot.
    Run,
    /// It does not run, for this reason.
    Skip(Reason),
    /// It waits until the slot is free.
    Buffer,
    /// Whoever holds the slot is cancelled, and it runs.
    CancelOther,
}

/// Decides for one candidate. `holder` holds the slot, if anybody does; `buffered` firings of the
/// candidate's cause wait for it already.
#[must_use]
pub fn decide<T>(policy: Overlap, holder: Option<T>, buffered: usize) -> Verdict {
    if holder.is_none() {
        return Verdict::Run;
    }
    match policy {
        Overlap::Allow => Verdict::Run,
        Overlap::Skip => Verdict::Skip(Reason::Overlap),
        Overlap::BufferOne if buffered == 0 => Verdict::Buffer,
        Overlap::BufferOne => Verdict::Skip(Reason::Overlap),
        Overlap::BufferAll if buffered < BUFFERED_MAX => Verdict::Buffer,
        Overlap::BufferAll => Verdict::Skip(Reason::BufferFull),
        Overlap::CancelOther => Verdict::CancelOther,
    }
}

/// The word for a policy, as it is stored and on the wire.
#[must_use]
pub fn overlap_word(policy: Overlap) -> &'static str {
    match policy {
        Overlap::Allow => "ALLOW",
        Overlap::Skip => "SKIP",
        Overlap::BufferOne => "BUFFER_ONE",
        Overlap::BufferAll => "BUFFER_ALL",
        Overlap::CancelOther => "CANCEL_OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Overlap; 5] = [
        Overlap::Allow,
        Overlap::Skip,
        Overlap::BufferOne,
        Overlap::BufferAll,
        Overlap::CancelOther,
    ];

    #[test]
    fn whoever_finds_the_slot_free_runs() {
        for policy in ALL {
            assert_eq!(decide(policy, None::<()>, 3), Verdict::Run, "{policy:?}");
        }
    }

    #[test]
    fn a_held_slot_is_the_policys() {
        let verdicts = ALL.map(|policy| decide(policy, Some(()), 0));
        let skip = Verdict::Skip(Reason::Overlap);
        let expected = [Verdict::Run, skip, Verdict::Buffer, Verdict::Buffer, Verdict::CancelOther];
        assert_eq!(verdicts, expected);
        assert_eq!(decide(Overlap::BufferOne, Some(()), 1), skip);
    }

    #[test]
    fn a_buffer_is_bounded() {
        let with = |buffered| decide(Overlap::BufferAll, Some(()), buffered);
        assert_eq!(with(BUFFERED_MAX - 1), Verdict::Buffer);
        assert_eq!(with(BUFFERED_MAX), Verdict::Skip(Reason::BufferFull));
    }
}
