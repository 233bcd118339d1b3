//! The README is true: its tour runs as it stands, its tables are those of the code, its operations
//! are valid.
//!
//! Fenced blocks are told apart by what follows their language:
//!
//! | block | what the test does with it |
//! |---|---|
//! | `sh tour:serve` | starts the server (it must say `make run`) |
//! | `sh tour:watch` | runs in the terminal that watches, which goes on |
//! | `sh tour` | runs in the terminal that acts; must succeed |
//! | `json tour` | what the block before printed; repeated until it fits, when it only reads |
//! | `text tour` | the same, line by line |
//! | `text tour:serve`, `text tour:watch` | lines that come in that terminal, in any order |
//! | `graphql` | validated against the schema |
//! | `text filter` | each line is a filter |
//!
//! `…` stands for any text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use belfry::clock::{Clock as _, SystemClock};
use belfry::domain::filter::{Field, Filter, Kind, Op};
use serde_json::Value;

use crate::TestApp;
use crate::process::{PATIENCE, Process, belfry, binary, fits, folder};

/// The documents of the project, from its folder.
const DOCUMENTS: [&str; 8] = [
    "README.md",
    "CHANGELOG.md",
    "console/README.md",
    "docs/architecture.md",
    "docs/guarantees.md",
    "docs/metrics.md",
    "docs/operations.md",
    "docs/time.md",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project's folder")
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// A fenced block: what stands after the fence, and its text.
struct Block {
    mark: String,
    text: String,
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in document.lines() {
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(mark), None) => {
                open = Some(Block { mark: mark.to_owned(), text: String::new() });
            }
            (None, Some(block)) => {
                let _ = writeln!(block.text, "{line}");
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a fenced block is not closed");
    blocks
}

/// The three terminals of the tour.
struct Terminals {
    serve: Option<Process>,
    watch: Option<Process>,
    act: Process,
    folder: PathBuf,
    /// What the README writes, and what it is here.
    stands_for: BTreeMap<&'static str, String>,
}

/// What the acting terminal prints after each block, before the exit code.
const MARK: &str = "--- block ended with";

impl Terminals {
    fn open(folder: &Path) -> Self {
        std::os::unix::fs::symlink(root().join("examples"), folder.join("examples"))
            .expect("a link to the examples");
        // The port is free until the receiver takes it.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let receiver = free.expect("a free port").to_string();
        let stands_for = BTreeMap::from([
            ("belfry receive ", format!("belfry receive --listen {receiver} ")),
            ("127.0.0.1:9000", receiver),
        ]);
        let act = Process::start(shell(folder).stdin(Stdio::piped()));
        let folder = folder.to_owned();
        Self { serve: None, watch: None, act, folder, stands_for }
    }

    fn here(&self, text: &str) -> String {
        let replace = |text: String, (from, to): (&&str, &String)| text.replace(*from, to);
        self.stands_for.iter().fold(text.to_owned(), replace)
    }

    fn serve(&mut self, text: &str) {
        assert_eq!(text, "make run\n", "the server is started by make");
        let mut command = belfry(&self.folder, &["serve", "--listen", "127.0.0.1:0"]);
        // What the Makefile sets.
        command.env("BELFRY_ALLOW_TARGETS", "127.0.0.0/8,::1/128");
        let mut process = Process::start(&mut command);
        let line = process.wait_for(&["  GraphQL     http://…/graphql"]).remove(0);
        let address = line.trim_start_matches("  GraphQL     http://").trim_end_matches("/graphql");
        self.stands_for.insert("127.0.0.1:8000", address.to_owned());
        let tail = format!("examples/tail.py http://{address}");
        self.stands_for.insert("examples/tail.py", tail);
        process.seen.push(line);
        self.serve = Some(process);
    }

    fn watch(&mut self, text: &str) {
        self.watch = Some(Process::start(shell(&self.folder).arg("-c").arg(self.here(text))));
    }

    /// Runs a block; returns what it printed.
    fn act(&mut self, text: &str) -> String {
        let script = format!("{}\necho; echo \"{MARK} $?\"\n", self.here(text));
        self.act.input().write_all(script.as_bytes()).expect("the shell reads");
        let mut lines = self.act.read_until(&format!("{MARK} 0"));
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines.join("\n")
    }
}

fn shell(folder: &Path) -> Command {
    // The debug binary stands in for the release one that `make run` builds.
    let bin = binary().parent().expect("the binary lies in a folder").to_owned();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc"]).current_dir(folder).env("PATH", path);
    command.env_remove("BELFRY_BIN").env_remove("DATABASE_URL");
    command
}

#[test]
fn the_tour_runs_as_it_stands() {
    let readme = document("README.md");
    let folder = folder();
    let mut terminals = Terminals::open(folder.path());
    let mut last = (String::new(), String::new());
    let mut run = 0;
    for block in blocks(&readme) {
        match block.mark.as_str() {
            "sh tour:serve" => terminals.serve(&block.text),
            "sh tour:watch" => terminals.watch(&block.text),
            "sh tour" => {
                let printed = terminals.act(&block.text);
                last = (block.text, printed);
            }
            "json tour" | "text tour" => check_output(&mut terminals, &last, &block),
            "text tour:serve" | "text tour:watch" => {
                let expected = terminals.here(&block.text);
                let lines: Vec<&str> = expected.lines().collect();
                let is_server = block.mark.ends_with("serve");
                let terminal = if is_server { &mut terminals.serve } else { &mut terminals.watch };
                terminal.as_mut().expect("the terminal is open").wait_for(&lines);
            }
            mark => {
                assert!(!mark.contains("tour"), "an unknown mark: {mark}");
                continue;
            }
        }
        run += 1;
    }
    assert!(20 < run, "the tour has {run} blocks: were its marks changed?");
}

/// Compares what a block printed with what the README shows. A block that only reads is repeated
/// while it does not fit: what it reads may still be on its way to the disk.
fn check_output(terminals: &mut Terminals, last: &(String, String), shown: &Block) {
    let (script, first) = last;
    let expected = terminals.here(&shown.text);
    let until = SystemClock::new().now().plus_ms(PATIENCE.as_millis().try_into().unwrap_or(0));
    let only_reads = script.contains("\"{ ") || script.contains(" -G ");
    let mut printed = first.clone();
    while !is_as_shown(&shown.mark, &expected, &printed) {
        let again = only_reads && SystemClock::new().now() < until;
        assert!(again, "{script}printed\n{printed}\nand the README shows\n{expected}");
        printed = terminals.act(script);
    }
}

fn is_as_shown(mark: &str, expected: &str, printed: &str) -> bool {
    if mark.starts_with("json") {
        let expected = serde_json::from_str(expected).expect("what is shown is JSON");
        return serde_json::from_str(printed).is_ok_and(|value| same(&expected, &value));
    }
    let (expected, printed): (Vec<_>, Vec<_>) =
        (expected.lines().collect(), printed.lines().collect());
    expected.len() == printed.len() && expected.iter().zip(printed).all(|(a, b)| fits(a, b))
}

/// Whether two values are the same; the order of fields does not matter.
fn same(expected: &Value, value: &Value) -> bool {
    match (expected, value) {
        (Value::String(pattern), Value::String(text)) => fits(pattern, text),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

#[tokio::test]
async fn every_operation_in_the_documents_is_valid() {
    let app = TestApp::start().await;
    let schema = belfry::graphql::schema(&app.app);
    let mut operations = Vec::new();
    for name in DOCUMENTS {
        let found = blocks(&document(name)).into_iter().filter(|block| block.mark == "graphql");
        operations.extend(found.map(|block| (name.to_owned(), block.text)));
    }
    let starters = root().join("console/src/playground/starters");
    for entry in std::fs::read_dir(starters).expect("the starters") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("a starter");
        operations.push((path.display().to_string(), text));
    }
    operations.extend(starters_of_the_small_page());
    assert!(14 < operations.len(), "only {} operations were found", operations.len());
    for (name, text) in operations {
        // Everything is validated; no resolver runs. A subscription is refused only after that.
        let request = async_graphql::Request::new(&text).only_introspection();
        let mut errors = schema.execute(request).await.errors;
        errors.retain(|error| !error.message.starts_with("Subscriptions are not supported on"));
        assert!(errors.is_empty(), "{name}: {errors:?}\n{text}");
    }
}

/// `STARTERS` of the page that stands in for the playground: one `['title', 'operation'],` a line.
fn starters_of_the_small_page() -> Vec<(String, String)> {
    let page = document("server/assets/playground.js");
    let list = page.lines().skip_while(|line| !line.contains("const STARTERS")).skip(1);
    list.map_while(|line| {
        let inner = line.trim().strip_prefix("['")?.strip_suffix("'],")?;
        let (title, text) = inner.split_once("', '")?;
        Some((format!("playground.js: {title}"), text.replace("\\n", "\n")))
    })
    .collect()
}

#[test]
fn every_filter_in_the_documents_is_one() {
    let found = blocks(&document("README.md"));
    let examples = found.iter().filter(|block| block.mark == "text filter");
    let mut count = 0;
    for line in examples.flat_map(|block| block.text.lines()) {
        let read = Filter::parse(line);
        assert!(read.is_ok(), "{line}: {read:?}");
        count += 1;
    }
    assert_eq!(count, 5);
}

#[test]
fn the_commands_are_those_of_the_command_line() {
    let mut rows = vec![];
    for command in belfry::cli::command().get_subcommands() {
        let below: Vec<_> = command.get_subcommands().map(clap::Command::get_name).collect();
        let name = match below.as_slice() {
            [] => format!("`belfry {}`", command.get_name()),
            below => format!("`belfry {} {}`", command.get_name(), below.join(" \\| ")),
        };
        rows.push([name, command.get_about().map(ToString::to_string).unwrap_or_default()]);
    }
    same_table("commands", ["command", "does"], &rows);
}

#[test]
fn the_settings_are_those_of_belfry_serve() {
    let command = belfry::cli::command();
    let serve = command.find_subcommand("serve").expect("belfry serve");
    let mut rows = vec![];
    for arg in serve.get_arguments() {
        let flag = format!("`--{}`", arg.get_long().expect("every setting has a flag"));
        let variable = arg.get_env().expect("every setting has a variable").to_string_lossy();
        let default = arg.get_default_values().first().map(|text| text.to_string_lossy());
        let default = default.filter(|text| !text.is_empty()).map(|text| format!("`{text}`"));
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        rows.push([flag, format!("`{variable}`"), default.unwrap_or_default(), help]);
    }
    same_table("settings", ["flag", "variable", "default", "meaning"], &rows);
}

#[test]
fn the_fields_of_filters_are_those_of_the_parser() {
    let mut rows: Vec<(Kind, Vec<&str>)> = vec![];
    for field in Field::ALL {
        let is_alike = |kind: Kind| kind == field.kind() || is_id(kind) && is_id(field.kind());
        match rows.iter_mut().find(|(kind, _)| is_alike(*kind)) {
            Some((_, names)) => names.push(field.name()),
            None => rows.push((field.kind(), vec![field.name()])),
        }
    }
    let code =
        |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" ");
    let shown = |(kind, names): &(Kind, Vec<&str>)| {
        let values = match kind {
            Kind::Text => "any text".to_owned(),
            Kind::UpperCase => "text in upper case".to_owned(),
            Kind::Choice(words) => code(words),
            Kind::Severity => "`DEBUG` < `INFO` < `WARN` < `ERROR`".to_owned(),
            Kind::EventId | Kind::TriggerId | Kind::FiringId => "an id".to_owned(),
            Kind::Instant => "an instant".to_owned(),
            Kind::Boolean => "`true` `false`".to_owned(),
        };
        let operators: Vec<&str> = kind.operators().iter().copied().map(Op::name).collect();
        [code(names), values, code(&operators)]
    };
    let rows: Vec<[String; 3]> = rows.iter().map(shown).collect();
    same_table("filter-fields", ["field", "values", "operators"], &rows);
}

fn is_id(kind: Kind) -> bool {
    matches!(kind, Kind::EventId | Kind::TriggerId | Kind::FiringId)
}

/// The README has exactly this table between `<!-- name -->` and `<!-- /name -->`.
fn same_table<const N: usize>(name: &str, head: [&str; N], rows: &[[String; N]]) {
    let mut table = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
    for row in rows {
        let _ = writeln!(table, "| {} |", row.join(" | "));
    }
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let readme = document("README.md");
    let shown = readme.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
    let shown = shown.map_or("", |(table, _)| table);
    assert!(shown == table, "write this between {open}and {close} of README.md:\n\n{table}");
}

#[test]
fn every_link_and_path_leads_somewhere_and_every_target_of_make_exists() {
    let makefile = document("Makefile");
    for name in DOCUMENTS {
        let text = document(name);
        let folder = root().join(name).parent().expect("a folder").to_owned();
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.starts_with("http")) {
            match link.strip_prefix('#') {
                Some(anchor) => assert!(anchors(&text).contains(anchor), "{name}: #{anchor}"),
                None => {
                    let path = link.split('#').next().unwrap_or_default();
                    assert!(folder.join(path).exists(), "{name}: {link}");
                }
            }
        }
        for path in text.split('`').skip(1).step_by(2).filter(|code| is_path(code)) {
            assert!(root().join(path).exists(), "{name}: {path}");
        }
        let targets = text.split("`make ").skip(1).filter_map(|rest| rest.split('`').next());
        for target in targets {
            assert!(makefile.contains(&format!("\n{target}:")), "{name}: make {target}");
        }
    }
}

/// Whether a piece of code names a file or a folder of the project.
fn is_path(code: &str) -> bool {
    let folders =
        ["server/", "tests/", "entity/", "migration/", "console/", "deploy/", "docs/", "examples/"];
    let is_plain = code.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
    is_plain && folders.iter().any(|folder| code.starts_with(folder))
}

/// The anchors that a reader of Markdown makes of its headings.
fn anchors(document: &str) -> std::collections::BTreeSet<String> {
    let heading = |line: &str| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|c| c.is_alphanumeric() || *c == '-').collect()
    };
    document.lines().filter(|line| line.starts_with('#')).map(heading).collect()
}

#[test]
fn the_checked_in_schema_is_what_belfry_schema_prints() {
    let same = document("schema.graphql") == belfry::graphql::sdl();
    assert!(same, "schema.graphql is stale: make schema");
}
