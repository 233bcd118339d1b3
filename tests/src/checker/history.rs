//! What the checker is given. All instants are milliseconds since 1970, on one clock.

use belfry::domain::plan::Spec;

/// One run, as it was seen from outside.
#[derive(Clone, Debug)]
pub struct History {
    /// What is known about the run itself.
    pub facts: Facts,
    /// The timers that clients asked for.
    pub timers: Vec<Timer>,
    /// The schedules that clients asked for.
    pub schedules: Vec<Schedule>,
    /// What the receiver got, in the order of its coming.
    pub deliveries: Vec<Delivery>,
    /// Every firing that the API knows in the end.
    pub firings: Vec<Firing>,
    /// The whole log in its order.
    pub log: Vec<LogEntry>,
    /// What each reader of the live log saw.
    pub tails: Vec<Tail>,
}

/// What is known about the run itself.
#[derive(Clone, Debug)]
pub struct Facts {
    /// When the dump was made; what is due later is not judged.
    pub until: i64,
    /// How often the fault struck.
    pub injected: usize,
    /// How often it had to, for the run to say anything.
    pub injected_min: usize,
    /// When processes ended, or stood still for longer than their leases.
    pub deaths: Vec<Death>,
    /// When something was broken.
    pub windows: Vec<Window>,
    /// How much is allowed.
    pub bounds: Bounds,
    /// Whether the receiver's clock is the one that firings are due by.
    pub trust: Trust,
}

/// Whose clock tells early from late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The receiver's: it is the server's as well.
    Receiver,
    /// Only what the server recorded: its clock was moved on purpose.
    Server,
}

/// A process was gone, or stood still for so long that it lost its leases.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    /// From then on it recorded nothing.
    pub from: i64,
    /// Until then; the same as `from` for one that never came back.
    pub until: i64,
}

/// Something was broken.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Since then.
    pub from: i64,
    /// Healed by then.
    pub until: i64,
    /// How late at most what is due meanwhile may be, where firing goes on without what is broken;
    /// none where it stands still until it is healed.
    pub late_ms: Option<i64>,
}

/// How much is allowed, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Lateness of a first delivery while nothing is broken.
    pub healthy_ms: i64,
    /// Lateness after a fault has healed.
    pub recovery_ms: i64,
    /// Error of the authoritative clock against the receiver's.
    pub skew_ms: i64,
    /// From the answer of the receiver to the durable result.
    pub record_ms: i64,
    /// From the claim to the request.
    pub in_flight_ms: i64,
}

/// A timer that was asked for.
#[derive(Clone, Debug)]
pub struct Timer {
    /// Which one: its payload says the same.
    pub number: u64,
    /// When a client first asked.
    pub asked_at: i64,
    /// When it was acknowledged, if it was.
    pub acked_at: Option<i64>,
    /// The firing that the acknowledgement named.
    pub firing: Option<String>,
    /// When it ends by the acknowledgement.
    pub fires_at: Option<i64>,
    /// That it was cancelled.
    pub cancel: Option<Cancel>,
}

/// A timer was given up.
#[derive(Clone, Copy, Debug)]
pub struct Cancel {
    /// When a client first asked.
    pub asked_at: i64,
    /// When it was acknowledged, if it was.
    pub acked_at: Option<i64>,
}

/// A schedule that was asked for, with all that became of it.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// Its plans, oldest first; each holds until the next.
    pub versions: Vec<PlanVersion>,
}

/// What a schedule was to do from some moment on.
#[derive(Clone, Debug)]
pub struct PlanVersion {
    /// Its number: the payload of its firings says the same.
    pub number: u64,
    /// When it fires.
    pub spec: Spec,
    /// Whether it does.
    pub running: Running,
    /// When a client first asked for it.
    pub asked_at: i64,
    /// When it was acknowledged, if it was.
    pub acked_at: Option<i64>,
}

/// Whether a schedule fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Running {
    /// Yes.
    Active,
    /// No: its instants are skipped.
    Paused,
    /// No: it is gone.
    Deleted,
}

/// One request that the receiver got.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// When.
    pub at: i64,
    /// When the answer was sent, if it was.
    pub answered_at: Option<i64>,
    /// Its `webhook-id`.
    pub webhook_id: String,
    /// What its body hashes to.
    pub body_hash: u64,
    /// The timer that the body names.
    pub timer: Option<u64>,
}

/// One row of firings.
#[derive(Clone, Debug)]
pub struct Firing {
    /// Its id.
    pub id: String,
    /// The schedule that planned it.
    pub schedule: Option<String>,
    /// The number that its payload names: of the timer, or of the plan.
    pub number: Option<u64>,
    /// The instant that it stands for.
    pub nominal_at: i64,
    /// Where it stands.
    pub status: String,
    /// The instants that it stands for, when it was skipped.
    pub range: Option<Range>,
    /// When it was first claimed.
    pub started_at: Option<i64>,
    /// Its tries.
    pub attempts: Vec<Attempt>,
}

/// Consecutive instants that were skipped.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first.
    pub from: i64,
    /// The last.
    pub until: i64,
    /// How many.
    pub count: i64,
}

/// One try.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// How it ended.
    pub status: String,
    /// When it began.
    pub started_at: i64,
    /// When the next one was to begin.
    pub retry_at: Option<i64>,
}

/// One entry of the log.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its id.
    pub id: String,
    /// What it says.
    pub kind: String,
    /// Which firing it is about.
    pub firing: Option<String>,
}

/// What one reader of the live log saw.
#[derive(Clone, Debug)]
pub struct Tail {
    /// What to call it.
    pub name: String,
    /// The last entry before it began; none when it began with the log.
    pub after: Option<String>,
    /// The ids, in the order that they came in.
    pub seen: Vec<String>,
}

impl Firing {
    /// Whether the receiver must have got it.
    #[must_use]
    pub fn is_completed(&self) -> bool {
        self.status == "COMPLETED"
    }

    /// Whether nothing will change by itself any more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let open = ["WAITING", "SCHEDULED", "EXECUTING", "RETRYING"];
        !open.contains(&self.status.as_str())
    }

    /// How its tries ended, counted.
    #[must_use]
    pub fn count(&self, status: &str) -> usize {
        self.attempts.iter().filter(|attempt| attempt.status == status).count()
    }
}
