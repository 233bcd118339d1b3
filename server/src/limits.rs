//! Every bound of Belfry, with its reason. A bound that one file alone needs stays in that file.
//!
//! Units stand last in the name: `_BYTES`, `_CHARS`, `_MS`, `_SECS`. Each has a test at it and one
//! past it, where the bound is enforced.

// --- Text and JSON -----------------------------------------------------------------------------

/// Names of triggers, schedules, actions and keys: one line in a list (seeds: name <= 128).
pub const NAME_CHARS_MAX: usize = 128;
/// A sentence or two that explains a trigger.
pub const DESCRIPTION_CHARS_MAX: usize = 1_000;
/// A payload travels with its firing through SQL and one POST; larger data belongs in a store.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// A JSON Schema is compiled at each acceptance; 64 KiB compile in well under a millisecond.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// RFC 2821's longest e-mail address.
pub const EMAIL_CHARS_MAX: usize = 254;
/// Environment and component of an application event (seeds: 100).
pub const LABEL_CHARS_MAX: usize = 100;
/// Message of an application event (seeds: 1,000).
pub const MESSAGE_CHARS_MAX: usize = 1_000;
/// An idempotency key: room for two UUIDs and a prefix.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// The `webhook-id` of a signed message: with the trigger's id it must fit an idempotency key.
pub const WEBHOOK_ID_CHARS_MAX: usize = 128;
/// The text that an attempt or a firing keeps of bodies and outputs; longer is cut and flagged.
pub const KEPT_BYTES_MAX: usize = 16 * 1024;

// --- Collections -------------------------------------------------------------------------------

/// Schedules of one trigger: an edit re-plans them all in one transaction.
pub const SCHEDULES_PER_TRIGGER_MAX: usize = 50;
/// Rows of one bulk mutation: one transaction of a few hundred milliseconds on SQLite.
pub const BULK_ROWS_MAX: usize = 5_000;
/// Page size when the client does not say.
pub const PAGE_ROWS_DEFAULT: usize = 50;
/// Largest page of a connection.
pub const PAGE_ROWS_MAX: usize = 100;
/// Longest preview of a schedule.
pub const PREVIEW_ROWS_MAX: usize = 1_000;
/// Ids of one `nodes` query.
pub const NODES_MAX: usize = 100;
/// Events of one payload of the live log.
pub const TAIL_BATCH_MAX: usize = 1_000;

/// API keys of one project that hold: whoever needs more has another use for keys in mind, and
/// each creation looks at them all.
pub const KEYS_PER_PROJECT_MAX: usize = 200;
/// A quota: a number that stands for "any" is said by leaving the quota out.
pub const QUOTA_MAX: i32 = 1_000_000_000;

// --- Time --------------------------------------------------------------------------------------

/// Longest delay of a timer or a firing: ten years. Longer is more likely a wrong unit.
pub const DELAY_MS_MAX: i64 = 10 * 365 * 86_400_000;
/// Schedules that refer to one calendar: a change of it plans all of them anew in one transaction.
pub const CALENDAR_SCHEDULES_MAX: usize = 1_000;
/// Instants that one simulation looks at: a year of each minute, about a second's work.
pub const SIMULATED_INSTANTS_MAX: usize = 366 * 24 * 60;
/// Comparisons of instants with what the schedule leaves out, and of rows that wait, that the steps
/// of one simulation make together: about a second, three times what each minute of a year takes.
pub const SIMULATED_WORK_MAX: u64 = 50_000_000;
/// Comparisons that the answer why a schedule did or did not fire takes: 40 ms.
pub const EXPLAIN_WORK_MAX: u64 = 2_000_000;
/// What it counts for in a document: with [`QUERY_COMPLEXITY_MAX`], as many as take
/// [`EXECUTION_SECS_MAX`].
pub const EXPLAIN_COMPLEXITY: usize = 200;
/// Outages that one simulation goes through.
pub const SIMULATED_OUTAGES_MAX: usize = 100;
/// Durations that the runs of one simulation take in turn.
pub const SIMULATED_DURATIONS_MAX: usize = 1_000;
/// Simulations that one process plays at a time: each has some 50 MiB and a processor.
pub const SIMULATIONS_MAX: usize = 1;
/// How far ahead the planner writes firings (design: horizon 5 min).
pub const PLAN_HORIZON_MS: i64 = 5 * 60_000;
/// Planned rows ahead of one schedule, so that a 1 s schedule does not fill the table.
pub const PLANNED_AHEAD_MAX: usize = 64;
/// Instants that one planning step may fold into a skipped range; the next step goes on.
pub const FOLD_INSTANTS_MAX: usize = 100_000;
/// Comparisons of instants with what a schedule leaves out that one planning step makes, some 25 ms:
/// enough to fold [`FOLD_INSTANTS_MAX`] of a schedule that leaves out little; the next step goes on.
pub const PLAN_WORK_MAX: u64 = 1_200_000;
/// Comparisons after which a pass of the planner leaves the other schedules to the next, some 100 ms:
/// changes of others wait for it.
pub const PLAN_PASS_WORK_MAX: u64 = 4 * PLAN_WORK_MAX;
/// Instants of a schedule that may lie within its jitter: so many of its firings wait at a time.
pub const JITTER_INSTANTS_MAX: usize = 1_000;
/// Comparisons that the beginning of a backfill makes, which counts all its instants: a quarter of
/// a second, and enough for [`BACKFILL_INSTANTS_MAX`] of a schedule that leaves out little.
pub const BACKFILL_WORK_MAX: u64 = 12_000_000;
/// Missed instants that one planning step makes firings when all are caught up; the next step goes
/// on.
pub const CATCH_UP_ROWS_MAX: usize = 1_000;
/// Missed instants older than this are not caught up, unless the schedule says otherwise.
pub const CATCH_UP_WINDOW_MS: i64 = 24 * 3_600_000;
/// An instant that starts within this of its time is late, not missed.
pub const CATCH_UP_GRACE_MS: i64 = 60_000;
/// A paused schedule's range row is extended at most this often.
pub const PAUSED_FOLD_MS: i64 = 60_000;
/// Planned firings of one trigger that wait for its slot: what a slow target falls behind by more
/// than this it does not catch up with, and is told so by SKIPPED rows.
pub const BUFFERED_MAX: usize = 1_000;
/// Failures in a row after which a trigger is paused, at most: more is never.
pub const PAUSE_AFTER_FAILURES_MAX: i32 = 1_000;
/// Instants of one backfill: a year of a minutely schedule and as much again; more is better asked
/// for in parts, of which each can be looked at.
pub const BACKFILL_INSTANTS_MAX: u64 = 1_000_000;
/// How far back a backfill may look for what is missing: firings are kept for [`FIRING_KEPT_MS`],
/// and a day less is still known a day later, when the operation comes to it.
pub const BACKFILL_MISSING_MS_MAX: i64 = FIRING_KEPT_MS - 86_400_000;
/// Firings of one backfill that are not over at a time: enough to keep the slots of a process busy,
/// and few enough that what planned firings wait behind stays short. Less than [`BUFFERED_MAX`], so
/// that none is skipped for want of room.
pub const BACKFILL_OPEN_MAX: usize = 200;
/// Instants that one step of a backfill looks at, whether they are fired or left out.
pub const BACKFILL_STEP_INSTANTS_MAX: usize = 1_000;
/// Operations of one project that go on at a time: each is looked at several times a second.
pub const OPERATIONS_RUNNING_MAX: u64 = 16;
/// Operations that one pass takes a step of, of each project in turn.
pub const OPERATION_STEPS_MAX: u64 = 64;
/// Firings of a deleted trigger that one change cancels, in the deletion or after it: each has its
/// event, with the payload, and the writer is everybody's.
pub const TRIGGER_END_ROWS_MAX: usize = 256;
/// Pace of an operation that waits for its firings.
pub const OPERATION_MS: i64 = 250;
/// How long an executor owns a firing without renewing.
pub const LEASE_MS: i64 = 15_000;
/// Lease renewal: three chances before a lease ends.
pub const LEASE_RENEW_MS: i64 = 5_000;
/// The sweeper's pace; with the lease it bounds recovery to 30 s.
pub const SWEEP_MS: i64 = 5_000;
/// An accepted firing that is overdue by this and not in the queue is pushed again.
pub const OVERDUE_MS: i64 = 2_000;
/// How far ahead the due queue knows SQL (design: near-due window 5 min).
pub const QUEUE_WINDOW_MS: i64 = 5 * 60_000;
/// How long the due queue waits for the claim of what it handed out before it hands it out again:
/// longer than a claim takes, shorter than recovery may.
pub const QUEUE_LEASE_MS: i64 = 10_000;
/// How often a process measures the database's clock: quartz drifts by some 50 µs in that time.
pub const FOLLOW_MS: i64 = 1_000;
/// Pace of the retention duty (seeds: purge at least every 5 min).
pub const RETENTION_MS: i64 = 60_000;
/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_MS: i64 = 24 * 3_600_000;
/// Terminal firings are kept this long; unresolved FAILED ones until resolved.
pub const FIRING_KEPT_MS: i64 = 30 * 86_400_000;
/// How long a checked API key is trusted without reading its row again: with [`KEY_CHECK_MS`] and
/// the look-up, revocation takes effect in 1 s.
pub const KEY_CACHE_MS: i64 = 700;
/// How often the key of an open socket or stream is looked at again.
pub const KEY_CHECK_MS: u64 = 200;
/// A use of an API key is written when the last one that was lies further back than this.
pub const KEY_USED_MS: i64 = 60_000;
/// Keys whose use waits to be written; past it a use is forgotten, and the next is noted.
pub const KEYS_USED_MAX: usize = 10_000;
/// How long the number of firings that wait is trusted, with what was accepted since added, while
/// it allows more.
pub const QUOTA_SAMPLE_MS: i64 = 10_000;
/// How long it is trusted when it refuses: whoever has drained may go on within this.
pub const QUOTA_REFUSED_MS: i64 = 1_000;
/// Tails look at the store at least this often, whatever the bus does.
pub const TAIL_POLL_MS: i64 = 1_000;
/// Tolerance of a tail's heartbeat setting.
pub const HEARTBEAT_MS_MIN: i64 = 1_000;
/// See [`HEARTBEAT_MS_MIN`].
pub const HEARTBEAT_MS_MAX: i64 = 3_600_000;
/// How old the gauges of `/metrics` may be that need SQL: nobody scrapes more often, and whoever
/// asks without a key cannot make the database work.
pub const SAMPLE_MS: u64 = 5_000;
/// How old its forecast may be: an autoscaler looks some times a minute.
pub const SAMPLE_FORECAST_MS: u64 = 30_000;
/// How old an answer of `/readyz` may be, for the same reason.
pub const READINESS_MS: u64 = 1_000;
/// How long health and metrics wait for a database that hangs.
pub const HEALTH_SECS_MAX: u64 = 2;
/// How long a schedule may wait for the planner before it counts as unarmed.
pub const UNARMED_MS: i64 = 60_000;
/// How long shutdown waits for firings in flight before it releases their leases.
pub const DRAIN_SECS_MAX: u64 = 20;

// --- Forecast ----------------------------------------------------------------------------------

/// Longest period of a forecast: a year and a leap day.
pub const FORECAST_PERIOD_MS_MAX: i64 = 366 * 86_400_000;
/// How far ahead a forecast may end: what is said of a later day is more likely a wrong year, and
/// whoever asks for it has all the days before it counted.
pub const FORECAST_AHEAD_MS_MAX: i64 = 366 * 86_400_000;
/// Shortest bucket: no schedule fires more often.
pub const FORECAST_STEP_MS_MIN: i64 = 1_000;
/// Buckets of one forecast: more than a chart has room for.
pub const FORECAST_BUCKETS_MAX: usize = 1_000;
/// Schedules that one forecast looks at, those that fire first; past it the forecast is marked.
pub const FORECAST_SCHEDULES_MAX: usize = 10_000;
/// Different cron expressions, and schedules with a policy, times buckets: about a microsecond each.
pub const FORECAST_CELLS_MAX: usize = 1_000_000;
/// Comparisons of instants with what schedules leave out that one forecast makes, in equal shares:
/// half a second.
pub const FORECAST_WORK_MAX: u64 = 25_000_000;
/// Groups (bucket, trigger, cause) of stored firings that one forecast reads.
pub const FORECAST_GROUPS_MAX: usize = 100_000;
/// Triggers whose own attempts are measured; the rest counts with the mean of the project.
pub const FORECAST_TRIGGERS_MAX: usize = 50;
/// Newest firings of a trigger, or of a project, among which those that are over are measured.
pub const FORECAST_NEWEST_MAX: usize = 500;
/// Firings that are measured of them.
pub const FORECAST_SAMPLE_MAX: usize = 200;

// --- Engine ------------------------------------------------------------------------------------

/// Entries of the due queue (some 300 bytes each); past it the sweeper pages from SQL.
pub const QUEUE_ENTRIES_MAX: usize = 200_000;
/// Firings of one trigger that a process executes at a time, when its owner bounds it: more than
/// any process has slots is no bound.
pub const TRIGGER_CONCURRENCY_MAX: i32 = 10_000;
/// Entries that one script adds to the due queue in Redis: some 2 ms, in which nobody else is
/// served.
pub const QUEUE_SCRIPT_ROWS_MAX: usize = 256;
/// Batches that wait to be written to the due queue in Redis; past it the sweeper brings them.
pub const QUEUE_WRITES_MAX: usize = 16_384;
/// Notices that wait to be published through Redis; past it other processes find out by looking.
pub const BUS_WRITES_MAX: usize = 4_096;
/// Rows of one claim or record statement: a few hundred keep the writer responsive.
pub const BATCH_ROWS_MAX: usize = 256;
/// Claims of one process under way at a time: while one is in the database the queue is asked for the
/// next.
pub const CLAIMS_MAX: u32 = 2;
/// Groups of results that one process records at a time on PostgreSQL: one waits for the disk and the
/// log's lock while the other works.
pub const RECORD_GROUPS_MAX: usize = 2;
/// A project takes another slot only while it runs fewer than so many times the free ones: n
/// projects that would take everything leave 1/(3n + 1) of the slots free, however many they are
/// (dynamic thresholds; Choudhury and Hahne, 1998).
pub const PROJECT_SHARE: usize = 3;
/// Rows that one sweep pushes at a time.
pub const SWEEP_ROWS_MAX: usize = 10_000;
/// Schedules that one pass of the planner advances: some 20 ms of a writer, few enough commits, and a
/// multiple of the rows of one statement.
pub const PLAN_SCHEDULES_MAX: usize = 512;
/// Firings that one pass of the planner makes before it leaves the rest to the next, and the bytes of
/// their payloads: an outage of many schedules that catch up is worked off in transactions of some
/// 100 ms, and never held in memory as a whole. One schedule's step is not divided.
pub const PLAN_ROWS_MAX: usize = 4_000;
/// See [`PLAN_ROWS_MAX`].
pub const PLAN_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// How long a schedule whose stored plan cannot be read is left alone before it is tried again, in
/// milliseconds.
pub const PLAN_FAULT_MS: i64 = 60_000;
/// How long the planner waits when a pass moved nothing although something was due: an edit or
/// another planner has it in hand. In milliseconds.
pub const PLAN_IDLE_MS: i64 = 250;
/// How often a process with the newest time zones says that it is there, in milliseconds.
pub const ZONES_SEEN_MS: i64 = 30_000;
/// How long one with older zones leaves planning to it after that, in milliseconds: less than is
/// planned ahead, so that nothing is late when the newer one is taken away again.
pub const ZONES_LEFT_MS: i64 = 120_000;
/// Rows that one retention statement deletes, so that the writer is never held for long.
pub const RETENTION_ROWS_MAX: usize = 500;
/// Changes that wait for the writer, for each origin.
pub const WRITE_QUEUE_MAX: usize = 1_024;
/// Changes of one commit.
pub const WRITE_COMMANDS_MAX: usize = 256;
/// Connections to PostgreSQL that commit groups of clients' additions: one waits for the disk while
/// the other works.
pub const WRITE_API_CONNECTIONS: usize = 2;
/// Connections to PostgreSQL for clients' edits, each a transaction of its own.
pub const WRITE_EDIT_CONNECTIONS: usize = 2;
/// Connections to PostgreSQL for the engine: a claim, two groups of results, and one for everything
/// else.
pub const WRITE_ENGINE_CONNECTIONS: usize = 4;
/// Connections to PostgreSQL that read. With those that write 12 a process, so that eight processes
/// stay below PostgreSQL's default of 100.
pub const READ_CONNECTIONS: usize = 4;
/// After this a group of changes is committed as it is (milliseconds).
pub const WRITE_COMMIT_MS_MAX: u64 = 2;
/// Notices that the in-memory bus keeps for a slow listener; older ones are dropped, and it polls.
pub const BUS_NOTICES_MAX: usize = 1_024;

// --- GraphQL and HTTP (transport.md) -----------------------------------------------------------

/// Characters of a query.
pub const QUERY_CHARS_MAX: usize = 15_000;
/// Lexical tokens of a query.
pub const QUERY_TOKENS_MAX: usize = 2_000;
/// Bracket nesting of a query: the parser recurses on the stack.
pub const QUERY_NESTING_MAX: usize = 64;
/// Depth of selections; the standard introspection query needs 15.
pub const QUERY_DEPTH_MAX: usize = 15;
/// Complexity, where a connection counts its children times its page size.
pub const QUERY_COMPLEXITY_MAX: usize = 50_000;
/// Selections after fragments are expanded.
pub const QUERY_SELECTIONS_MAX: usize = 2_000;
/// Fields at the root of one operation.
pub const QUERY_ROOT_FIELDS_MAX: usize = 20;
/// Aliases of one document.
pub const QUERY_ALIASES_MAX: usize = 100;
/// Directives of one document.
pub const QUERY_DIRECTIVES_MAX: usize = 50;
/// Body of one HTTP request.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Execution of one query or mutation.
pub const EXECUTION_SECS_MAX: u64 = 10;
/// One incoming WebSocket message.
pub const WS_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Live operations of one socket.
pub const WS_OPERATIONS_MAX: usize = 100;
/// WebSockets and streams of one process together: each holds a connection, and a reader of the
/// store while it has news.
pub const LIVE_MAX: usize = 1_000;
/// Payloads of one stream that wait; the connection itself buffers some more.
pub const STREAM_QUEUE_MAX: usize = 8;
/// Pace of what keeps a quiet stream open: proxies give up after 30 s, as a rule.
pub const STREAM_BEAT_SECS: u64 = 12;
/// Persisted queries of all projects: an application has some hundreds.
pub const PERSISTED_QUERIES_MAX: usize = 10_000;
/// Their text together.
pub const PERSISTED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// API keys whose use is counted; one that was idle long enough is as good as new.
pub const RATE_KEYS_MAX: usize = 10_000;
/// Seconds for which a project may save its quota up: a page that loads asks for several things.
pub const RATE_PROJECT_BURST_SECS: u32 = 2;
/// Complexity that counts as one unit of the rate limit: about one row with its fields.
pub const RATE_UNIT_COMPLEXITY: usize = 100;
/// Units that a key may use in a second when nothing is set: several times what one process can
/// do of the cheapest requests.
pub const RATE_LIMIT_DEFAULT: u32 = 50_000;
/// Units that a key may save up when nothing is set.
pub const RATE_BURST_DEFAULT: u32 = 100_000;
/// Payloads that wait for one operation's reader; the tail reads the store only when there is room.
pub const WS_QUEUE_MAX: usize = 256;
/// Time for `connection_init`.
pub const WS_INIT_SECS_MAX: u64 = 10;
/// Pace of the server's own pings; two misses close the socket.
pub const WS_PING_SECS: u64 = 20;
/// Time for one write to a socket.
pub const WS_WRITE_SECS_MAX: u64 = 10;
