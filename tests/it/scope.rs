//! Every function of the store takes the project that it works for, or has a reason not to.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a function may take to know whose rows it touches: the project, or rows that carry it.
const SCOPES: [&str; 6] = ["ProjectId", "Model", "Outcome", "Whose", "&Filter", "Header"];

/// Those of the engine, of the operator and of the log as a whole, each with its reason.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("api_key::find_by_hash", "precedes the tenant: finds out whose key it is"),
    ("trigger::find_for_sender", "precedes the tenant: finds out whose signature it is"),
    ("project::all", "the operator at the command line"),
    ("project::get_oldest", "the first start"),
    ("installation::find_or_insert", "the server, which has one row"),
    ("installation::get", "the server, which has one row"),
    ("installation::get_locked", "the server, which has one row"),
    ("schedule::last", "the engine: what the sweeper marks as over"),
    ("installation::set_tzdata", "the server, which has one row"),
    ("zone::take_turn", "the engine: every schedule that reads a clock on a wall"),
    ("installation::operator", "the server, which has one row"),
    ("installation::get_or_insert", "the server, which has one row"),
    ("claim::claim", "the engine: ids that the queue handed out, of every project"),
    ("claim::claim_decided", "the engine: ids that the queue handed out, of every project"),
    ("claim::renew", "the engine: by the lease's owner"),
    ("claim::release", "the engine: by the lease's owner"),
    ("claim::set_processed", "the engine: schedules of what it claimed"),
    ("claim::still_due", "the engine: ids that the queue handed out"),
    ("calendar::find_dates", "dates of the calendars that stored schedules refer to"),
    ("calendar::get_dates", "dates of the calendars that stored schedules refer to"),
    ("calendar::count_schedules", "of a calendar that its caller has found"),
    ("calendar::set_of_schedule", "of a schedule that its caller has"),
    ("timetable::find_many", "what stored schedules say"),
    ("timetable::get_each", "what stored schedules say"),
    ("timetable::get_many", "what stored schedules say"),
    ("event::head", "the log's one counter"),
    ("event::floors", "the log's retention"),
    ("forecast::count_waiting", "metrics, which name nobody"),
    ("forecast::measured_by_all", "metrics, which name nobody"),
    ("health::schema", "metrics, which name nobody"),
    ("health::oldest_waiting", "metrics, which name nobody"),
    ("health::unarmed", "metrics, which name nobody"),
    ("trigger::ending", "the engine: deleted triggers of which much waited"),
    ("operation::running", "the engine: operations that go on"),
    ("overlap::claim", "the engine: ids that the queue handed out, of every project"),
    ("overlap::release", "the engine: slots of triggers that a change ended something of"),
    ("overlap::stuck", "the engine: slots that fell free"),
    ("range::extend", "the engine: a range of a schedule that the caller has"),
    ("range::until", "the engine: a range of a schedule that the caller has"),
    ("range::fold", "the engine: schedules of what it claimed"),
    ("range::unfolded", "the engine: what a claim left to fold"),
    ("backfill::left_over", "the engine: what was skipped of backfills that had ended"),
    ("backfill::end_left_over", "the engine: what was skipped of backfills that had ended"),
    ("plan::next_look", "the engine: the planner's clock"),
    ("plan::missed", "the engine: the planner's work"),
    ("plan::advance_due", "the engine: the planner's work"),
    ("retention::delete_events", "the engine: deletes by age"),
    ("retention::delete_firings", "the engine: deletes by age"),
    ("retention::delete_operations", "the engine: deletes by age"),
    ("retention::delete_idempotency", "the engine: deletes by age"),
    ("retention::raise_floor", "the engine: deletes by age"),
    ("sweep::overdue_projects", "the engine: which projects have work"),
    ("sweep::expire_leases", "the engine: leases of dead processes"),
    ("partition::prepare", "the engine: the log's partitions"),
    ("partition::drop_until", "the engine: the log's partitions"),
    ("postgres::open", "opens the database"),
    ("postgres::now_ms", "the database's clock"),
    ("sqlite::open", "opens the database"),
    ("sqlite::vacuum_some", "the database's pages"),
    ("bulk::insert", "writes rows that carry their project"),
    ("page::read", "reads what its caller has selected"),
    ("reading::check", "a connection that comes back to its pool"),
    ("transfer::export", "the operator at the command line: takes the project's row"),
    ("transfer::import", "the operator at the command line: the project is in the file"),
];

#[test]
fn every_function_of_the_store_takes_the_project_or_has_a_reason() {
    let reasons: BTreeMap<&str, &str> = EXCEPTIONS.iter().copied().collect();
    let mut unused: Vec<&str> = reasons.keys().copied().collect();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (file, text) in sources() {
        for (name, signature) in functions(&text) {
            let name = format!("{file}::{name}");
            count += 1;
            let arguments = signature.split("->").next().unwrap_or_default();
            if SCOPES.iter().any(|scope| arguments.contains(scope)) {
                continue;
            }
            match reasons.get(&*name) {
                Some(_) => unused.retain(|unused| *unused != name),
                None => wrong.push(name),
            }
        }
    }
    assert!(60 < count, "only {count} functions were found");
    assert!(wrong.is_empty(), "without a project: {wrong:#?}");
    assert!(unused.is_empty(), "exceptions that are none: {unused:#?}");
}

/// The files of nouns and duties with their texts; the store's own machinery is left out.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src/store");
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the store") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_machinery(&path) {
                found.push((noun(&path), fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    found.sort();
    found
}

fn is_machinery(path: &Path) -> bool {
    let name = path.file_stem().expect("a name").to_string_lossy();
    let is_root = name == "mod" && path.parent().is_some_and(|folder| folder.ends_with("store"));
    is_root || matches!(&*name, "command" | "writer" | "sql")
}

fn noun(path: &Path) -> String {
    let folder: PathBuf = path.parent().expect("a folder").into();
    let file = if folder.ends_with("store") { path } else { &folder };
    file.file_stem().expect("a name").to_string_lossy().into_owned()
}

/// The asynchronous functions that others can call: name and arguments.
fn functions(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for opening in ["pub async fn ", "pub(super) async fn "] {
        for part in text.split(opening).skip(1) {
            let name: String =
                part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let signature: String = part.split(" {\n").next().unwrap_or_default().to_owned();
            found.push((name, signature));
        }
    }
    found
}
