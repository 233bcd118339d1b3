//! The faults, by what breaks. Each is one function that runs a world through it and returns what
//! was seen.

mod clock;
mod disk;
mod many;
mod postgres;
mod process;
mod receiver;
mod redis;

use std::future::Future;
use std::pin::Pin;

use tests::checker::History;

/// A run: what was seen, or why there is nothing to judge.
pub type Run = Pin<Box<dyn Future<Output = Seen>>>;
/// See [`Run`].
pub type Seen = Result<History, Stopped>;

/// Why a run has nothing to judge.
#[derive(Clone, Debug)]
pub enum Stopped {
    /// This machine does not let it be run, and why.
    NotHere(String),
    /// It broke a bound of its own.
    Broken(String),
}

/// One fault.
#[derive(Clone, Copy)]
pub struct Fault {
    /// What the table calls it.
    pub name: &'static str,
    /// Which engines it runs on.
    pub home: Home,
    /// Whether the short form has it.
    pub form: Form,
    /// Runs it.
    pub run: fn() -> Run,
}

/// What a run stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Home {
    /// One process on SQLite.
    Embedded,
    /// Processes on PostgreSQL and Redis.
    Scaled,
}

/// Which forms of the suite have a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Both.
    Short,
    /// The whole one alone.
    Long,
}

/// All of them, the longest first, so that the last ones are short.
pub const FAULTS: [Fault; 21] = [
    Fault {
        name: "SIGSTOP for 3 leases",
        home: Home::Embedded,
        form: Form::Long,
        run: || Box::pin(process::stopped_alone()),
    },
    Fault {
        name: "SIGSTOP for 3 leases",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(process::stopped_beside_another()),
    },
    Fault {
        name: "PostgreSQL restarted and killed",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(postgres::restarted()),
    },
    Fault {
        name: "Redis killed, frozen, gone",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(redis::broken()),
    },
    Fault {
        name: "kill -9 at random",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(process::killed_at_random_among_others()),
    },
    Fault {
        name: "PostgreSQL's disk full",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(disk::full_under_postgres()),
    },
    Fault {
        name: "disk full",
        home: Home::Embedded,
        form: Form::Long,
        run: || Box::pin(disk::full_under_sqlite()),
    },
    Fault {
        name: "clock moved by an hour",
        home: Home::Embedded,
        form: Form::Long,
        run: || Box::pin(clock::moved_alone()),
    },
    Fault {
        name: "clock moved, monotonic too",
        home: Home::Embedded,
        form: Form::Long,
        run: || Box::pin(clock::moved_wholly()),
    },
    Fault {
        name: "clock of one process moved",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(clock::moved_among_others()),
    },
    Fault {
        name: "receiver hangs, drips, resets, floods",
        home: Home::Embedded,
        form: Form::Short,
        run: || Box::pin(receiver::bad()),
    },
    Fault {
        name: "kill -9 at random",
        home: Home::Embedded,
        form: Form::Long,
        run: || Box::pin(process::killed_at_random()),
    },
    Fault {
        name: "kill -9 between send and record",
        home: Home::Embedded,
        form: Form::Short,
        run: || Box::pin(process::killed_between_send_and_record()),
    },
    Fault {
        name: "kill -9 between send and record",
        home: Home::Scaled,
        form: Form::Short,
        run: || Box::pin(process::killed_between_send_and_record_among_others()),
    },
    Fault {
        name: "FLUSHALL in a loop",
        home: Home::Scaled,
        form: Form::Short,
        run: || Box::pin(redis::flushed()),
    },
    Fault {
        name: "backends terminated",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(postgres::terminated()),
    },
    Fault {
        name: "COMMIT whose answer is lost",
        home: Home::Scaled,
        form: Form::Short,
        run: || Box::pin(postgres::unanswered()),
    },
    Fault {
        name: "transaction held open for 2 s",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(postgres::held_open()),
    },
    Fault {
        name: "8 workers, 500 due at one instant",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(many::at_one_instant()),
    },
    Fault {
        name: "edits within 50 ms of firings",
        home: Home::Embedded,
        form: Form::Short,
        run: || Box::pin(many::edited_alone()),
    },
    Fault {
        name: "edits within 50 ms of firings",
        home: Home::Scaled,
        form: Form::Long,
        run: || Box::pin(many::edited_among_others()),
    },
];
