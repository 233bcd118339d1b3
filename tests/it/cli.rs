//! The command line, in processes of its own: what it refuses before it makes anything, what it
//! prints, and that what was acknowledged survives its end.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{Ended, Process, Server, belfry, files, folder, run, run_belfry};

const ADMIN_KEY: &str = "an-admin-key-of-thirty-two-chars";

const TIMER_START: &str = "mutation ($input: TimerStartInput!) {
    timerStart(input: $input) { timer { id } userErrors { message } }
}";

/// A server whose admin key is [`ADMIN_KEY`].
fn server(folder: &Path) -> Server {
    Server::start(folder, &["--admin-key", ADMIN_KEY])
}

/// A receiver on a port of its own, with its address.
fn receiver(folder: &Path, args: &[&str]) -> (Process, String) {
    let mut command = belfry(folder, &["receive", "--listen", "127.0.0.1:0"]);
    let mut process = Process::start(command.args(args));
    let line = process.wait_for(&["receiving on http://…/, answering …; ctrl-c ends"]).remove(0);
    let address = line.trim_start_matches("receiving on http://");
    let address = address.split('/').next().unwrap_or_default().to_owned();
    (process, address)
}

fn start_timer(server: &Server, url: &str, duration: &str) {
    let input = json!({ "length": { "duration": duration }, "target": { "url": url } });
    let data = server.graphql(ADMIN_KEY, TIMER_START, &json!({ "input": input }));
    assert_eq!(data["timerStart"]["userErrors"], json!([]));
}

#[test]
fn help_names_the_variable_and_the_default_of_each_setting() {
    let folder = folder();
    let help = run_belfry(folder.path(), &["serve", "--help"]).out;
    let command = belfry::cli::command();
    let serve = command.find_subcommand("serve").expect("belfry serve");
    let mut count = 0;
    for arg in serve.get_arguments() {
        let (flag, variable) = (arg.get_long().unwrap(), arg.get_env().unwrap().to_string_lossy());
        let (_, rest) = help.split_once(&format!("--{flag} <")).expect("help names the flag");
        let own = rest.split("\n      --").next().unwrap_or_default();
        assert!(own.contains(&format!("[env: {variable}")), "{flag}: {own}");
        for default in arg.get_default_values().iter().filter(|text| !text.is_empty()) {
            let shown = format!("[default: {}]", default.to_string_lossy());
            assert!(own.contains(&shown), "{flag}: {own}");
        }
        count += 1;
    }
    assert!(10 < count);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file_and_that_over_the_default() {
    let folder = folder();
    let file = "archive-after-secs = 3600\nallow-targets = [\"127.0.0.0/8\", \"::1/128\"]\n";
    std::fs::write(folder.path().join("belfry.toml"), file).unwrap();
    let archive_after = |variables: &[(&str, &str)], args: &[&str]| {
        let mut command = belfry(folder.path(), &[]);
        command.envs(variables.iter().copied());
        command.env("BELFRY_ADMIN_KEY", ADMIN_KEY);
        let server = Server::start_as(command, args);
        let data = server.graphql(ADMIN_KEY, "{ server { archiveAfter } }", &Value::Null);
        data["server"]["archiveAfter"].as_str().unwrap().to_owned()
    };
    let variable = ("BELFRY_ARCHIVE_AFTER_SECS", "1800");
    let file = ("BELFRY_CONFIG", "belfry.toml");
    assert_eq!(archive_after(&[], &[]), "PT2H");
    assert_eq!(archive_after(&[file], &[]), "PT1H");
    assert_eq!(archive_after(&[variable], &["--config", "belfry.toml"]), "PT30M");
    assert_eq!(archive_after(&[variable, file], &["--archive-after-secs=900"]), "PT15M");
}

#[test]
fn every_command_reads_the_database_of_the_file() {
    let folder = folder();
    let file = "database-url = \"sqlite://other.db\"\nlisten = \"127.0.0.1:1\"\n";
    std::fs::write(folder.path().join("b.toml"), file).unwrap();
    let migrated = run_belfry(folder.path(), &["migrate", "--config", "b.toml"]);
    assert_eq!((migrated.code, migrated.out.as_str()), (0, "other.db is up to date\n"));
    let mut listed = belfry(folder.path(), &["key", "list"]);
    let listed = run(listed.env("BELFRY_CONFIG", "b.toml"));
    assert!(listed.out.contains("active   admin  [ADMIN]"), "{}{}", listed.out, listed.err);
    let checked = run_belfry(folder.path(), &["healthcheck", "--config=b.toml"]);
    assert!(checked.err.contains("http://127.0.0.1:1/readyz"), "{}", checked.err);
    assert!(!files(folder.path()).contains(&"belfry.db".to_owned()));
}

/// Runs a command that must be refused for what was written: exit code 2, and no file is made.
fn refused(args: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> String {
    let folder = folder();
    if let Some(text) = file {
        std::fs::write(folder.path().join("belfry.toml"), text).unwrap();
    }
    let before = files(folder.path());
    let mut command = belfry(folder.path(), args);
    let ended = run(command.envs(variables.iter().copied()));
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?} {variables:?}: {}", ended.err);
    assert_eq!(files(folder.path()), before, "{args:?} {variables:?}");
    ended.err.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn what_is_unknown_or_wrong_is_refused_before_anything_is_made() {
    let flag = |args: &[&str]| refused(&[&["serve"], args].concat(), &[], None);
    assert_eq!(flag(&["--lisen=x"]), "error: unexpected argument '--lisen' found");
    assert_eq!(
        flag(&["--listen=here"]),
        "error: invalid value 'here' for '--listen <ADDRESS>': invalid socket address syntax"
    );
    assert_eq!(
        flag(&["--allow-targets=10.0.0.0/8,10.0.0.0/33"]),
        "error: invalid value '10.0.0.0/33' for '--allow-targets <CIDRS>': expected networks such \
         as 10.0.0.0/8,fd00::/8"
    );
    assert_eq!(
        flag(&["--concurrency=0"]),
        "error: invalid value '0' for '--concurrency <N>': 0 is not in 1..=10000"
    );
    assert_eq!(flag(&["--log=[["]), "belfry: --log: log filter \"[[\": invalid filter directive");

    let variable = |name: &str, value: &str| refused(&["serve"], &[(name, value)], None);
    assert_eq!(
        variable("BELFRY_LISTNE", "127.0.0.1:1"),
        "belfry: there is no setting BELFRY_LISTNE; belfry serve --help lists them"
    );
    assert_eq!(
        variable("BELFRY_LOG_FORMAT", "xml"),
        "error: invalid value 'xml' for '--log-format <FORMAT>'"
    );

    let file = |text: &str| refused(&["serve", "--config", "belfry.toml"], &[], Some(text));
    assert_eq!(file("lisen = \"x\""), "belfry: belfry.toml: there is no setting \"lisen\"");
    assert_eq!(file("config = \"x\""), "belfry: belfry.toml: there is no setting \"config\"");
    assert_eq!(
        file("listen = { port = 1 }"),
        "belfry: belfry.toml: listen: expected a text or a number"
    );
    assert_eq!(
        file("concurrency = 0"),
        "error: invalid value '0' for '--concurrency <N>': 0 is not in 1..=10000"
    );
    assert!(file("listen =").starts_with("belfry: belfry.toml: TOML parse error"));
    assert!(
        refused(&["serve", "--config", "none.toml"], &[], None)
            .starts_with("belfry: none.toml: No such file")
    );
}

/// Runs a command that must fail on the database or Redis that it was told: exit code 1, one line,
/// and no file is made.
fn failed(args: &[&str], variables: &[(&str, &str)]) -> String {
    let folder = folder();
    let mut command = belfry(folder.path(), args);
    let ended = run(command.envs(variables.iter().copied()));
    assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{args:?} {variables:?}: {}", ended.err);
    assert_eq!(files(folder.path()), Vec::<String>::new(), "{args:?} {variables:?}");
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
    ended.err.trim_end().to_owned()
}

#[test]
fn a_url_that_is_none_is_refused_in_one_line_that_names_the_setting_and_not_the_password() {
    let database = "belfry: --database-url: expected sqlite://PATH with a path of a file, or \
                    postgres://USER:PASSWORD@HOST/DATABASE";
    for url in ["mysql://u:secret@host/db", "postgres://u:secret@host", "belfry.db", ""] {
        assert_eq!(failed(&["serve", "--database-url", url], &[]), database, "{url}");
        assert_eq!(failed(&["migrate"], &[("DATABASE_URL", url)]), database, "{url}");
    }
    let redis = "belfry: --redis-url: expected redis://HOST:PORT, rediss://HOST:PORT, \
                 redis+sentinel://HOST:PORT,HOST:PORT/SERVICE or \
                 redis+cluster://HOST:PORT,HOST:PORT";
    for url in ["http://:secret@host", "redis://", "host:6379"] {
        assert_eq!(failed(&["serve", "--redis-url", url], &[]), redis, "{url}");
        assert_eq!(failed(&["serve"], &[("BELFRY_REDIS_URL", url)]), redis, "{url}");
    }
}

#[test]
fn settings_that_do_not_go_together_are_refused() {
    let flag = |args: &[&str]| refused(&[&["serve"], args].concat(), &[], None);
    assert_eq!(
        flag(&["--role=planner,leader"]),
        "error: invalid value 'planner,leader' for '--role <ROLES>': expected all, or some of \
         api,planner,executor,retention"
    );
    assert_eq!(
        flag(&["--role=planner"]),
        "belfry: --role: an SQLite database serves one process, which does everything; planner \
         alone needs PostgreSQL"
    );
    assert_eq!(
        flag(&["--database-url=postgres://belfry:secret@127.0.0.1:1/belfry"]),
        "belfry: --master-key: PostgreSQL needs 64 hexadecimal digits, the same for every \
         process; openssl rand -hex 32 makes some"
    );
    let bounds = |flag: &str, last: u32| {
        for (value, is_good) in [(0, false), (1, true), (last, true), (last + 1, false)] {
            let parsed = belfry::cli::command().try_get_matches_from([
                "belfry",
                "serve",
                &format!("--{flag}={value}"),
            ]);
            assert_eq!(parsed.is_ok(), is_good, "--{flag}={value}");
        }
    };
    bounds("poll-secs", 3_600);
    bounds("project-concurrency", 10_000);
}

#[test]
fn an_admin_key_of_31_characters_is_refused_and_not_repeated() {
    let refusal = "error: invalid value '…' for '--admin-key <KEY>': expected at least 32 visible \
                   ASCII characters without blanks, and at most 1024";
    let short = &ADMIN_KEY[..31];
    assert_eq!(refused(&["serve"], &[("BELFRY_ADMIN_KEY", short)], None), refusal);
    let master = refused(&["serve", "--master-key", "5ec4e7"], &[], None);
    assert_eq!(
        master,
        "error: invalid value '…' for '--master-key <HEX>': expected 64 hexadecimal digits"
    );
}

#[test]
fn an_admin_key_of_32_characters_opens_the_api_and_is_never_written() {
    let folder = folder();
    let mut server = server(folder.path());
    let viewer = server.graphql(ADMIN_KEY, "{ viewer { name scopes } }", &Value::Null);
    assert_eq!(viewer, json!({ "viewer": { "name": "admin", "scopes": ["ADMIN"] } }));
    server.process.wait_for(&["First start: the admin key is the one of BELFRY_ADMIN_KEY"]);
    assert!(!files(folder.path()).contains(&"belfry.db.admin-key".to_owned()));
}

#[test]
fn only_the_first_start_prints_the_key_and_its_link() {
    let folder = folder();
    let mut first = Server::start(folder.path(), &[]);
    let printed = first.process.wait_for(&[
        "First start: the admin key is shown once, and kept in belfry.db.admin-key",
        "  blf_…",
        "  http://…/playground#key=blf_…",
    ]);
    let kept = std::fs::read_to_string(folder.path().join("belfry.db.admin-key")).unwrap();
    let key = kept.trim();
    assert_eq!(printed[1].trim(), key);
    assert_eq!(printed[2], format!("  http://{}/playground#key={key}", first.address));
    assert!(first.get("/event", Some(key)).status == 200);
    first.process.signal("TERM");
    first.process.ended();

    let second = Server::start(folder.path(), &[]);
    assert_eq!(second.get("/event", Some(key)).status, 200);
    second.process.signal("TERM");
    let printed = second.process.ended_with_output();
    assert!(!printed.contains("blf_") && !printed.contains("First start"), "{printed}");
}

#[test]
fn files_with_secrets_and_payloads_belong_to_their_owner_alone() {
    let folder = folder();
    // One that was there before, open to all.
    let admin_key = folder.path().join("belfry.db.admin-key");
    std::fs::write(&admin_key, "old\n").unwrap();
    std::fs::set_permissions(&admin_key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let mut server = Server::start(folder.path(), &[]);
    server.process.wait_for(&["  http://…/playground#key=blf_…"]);
    let names = files(folder.path());
    let all = ["", "-shm", "-wal", ".admin-key", ".lock", ".master-key"];
    assert_eq!(names, all.map(|suffix| format!("belfry.db{suffix}")));
    for name in names {
        let mode = std::fs::metadata(folder.path().join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_second_server_on_the_same_database_is_refused() {
    let folder = folder();
    let first = server(folder.path());
    let second = run_belfry(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(second.code, 1);
    assert_eq!(
        second.err,
        "belfry: another server runs on belfry.db: an SQLite database serves one process\n"
    );
    let other = crate::process::folder();
    let same_port = run_belfry(other.path(), &["serve", "--listen", &first.address]);
    assert_eq!(same_port.code, 1);
    assert!(same_port.err.contains("could not be bound"), "{}", same_port.err);
    assert_eq!(files(other.path()), Vec::<String>::new());
}

#[test]
fn a_second_project_has_keys_and_firings_of_its_own() {
    let folder = folder();
    let server = server(folder.path());
    let made = run_belfry(folder.path(), &["project", "create", "staging"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let key = made.out.trim();
    let names = run_belfry(folder.path(), &["project", "list"]).out;
    let names: Vec<&str> =
        names.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect();
    assert_eq!(names, ["default", "staging"]);

    start_timer(&server, "http://127.0.0.1:9/", "PT1H");
    let count = "{ timers(first: 0) { totalCount } }";
    let of = |key: &str| server.graphql(key, count, &Value::Null)["timers"]["totalCount"].clone();
    assert_eq!((of(ADMIN_KEY), of(key)), (json!(1), json!(0)));

    let args = ["key", "create", "--name", "deploy", "--scopes", "READ", "--project", "staging"];
    let reader = run_belfry(folder.path(), &args).out;
    assert_eq!(of(reader.trim()), json!(0));
    let list = run_belfry(folder.path(), &["key", "list", "--project", "staging"]).out;
    assert_eq!(list.lines().count(), 2, "{list}");

    let again = run_belfry(folder.path(), &["project", "create", "staging"]);
    assert_eq!((again.code, again.out.as_str()), (1, ""));
    assert_eq!(again.err, "belfry: name: another project is already named \"staging\"\n");
    let missing = run_belfry(folder.path(), &["key", "list", "--project", "stagin"]);
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert_eq!(missing.err, "belfry: project: no project is named \"stagin\"\n");
}

#[test]
fn sigterm_and_ctrl_c_end_it_with_exit_code_0() {
    for signal in ["TERM", "INT"] {
        let folder = folder();
        let server = server(folder.path());
        server.process.signal(signal);
        assert_eq!(server.process.ended().code(), Some(0), "{signal}");
    }
}

#[test]
fn what_was_acknowledged_fires_after_kill_9() {
    let folder = folder();
    let first = server(folder.path());
    let secret = run_belfry(folder.path(), &["key", "signing"]).out;
    let (mut receiver, address) = receiver(folder.path(), &["--secret", secret.trim()]);
    start_timer(&first, &format!("http://{address}/due"), "PT1S");
    start_timer(&first, &format!("http://{address}/overdue"), "PT0.2S");
    first.process.signal("KILL");
    assert_eq!(first.process.ended().code(), None);

    let _second = server(folder.path());
    receiver.wait_for(&[
        "…  POST /due  answered 204",
        "…  POST /overdue  answered 204",
        "  signature: holds",
        "  signature: holds",
    ]);
}

#[test]
fn receive_prints_whether_the_signature_holds() {
    let folder = folder();
    let server = server(folder.path());
    let secret = run_belfry(folder.path(), &["key", "signing"]).out;
    let (mut knows, address) = receiver(folder.path(), &["--secret", secret.trim()]);
    let (mut refuses, other) = receiver(folder.path(), &["--status", "410"]);
    start_timer(&server, &format!("http://{address}/a?b=c"), "PT0S");
    start_timer(&server, &format!("http://{other}/"), "PT0S");
    let lines = knows.wait_for(&[
        "…  POST /a?b=c  answered 204",
        "  webhook-id: frg_…_post",
        "  signature: holds",
        "  body: {\"id\":\"tmr_…\"}",
    ]);
    assert_eq!(lines[1][18..44], lines[3][19..45], "a timer and its firing share their id");
    refuses.wait_for(&[
        "…  POST /  answered 410",
        "  signature: unknown; --secret tells how to verify it",
    ]);
}

#[test]
fn migrate_makes_the_database_and_says_so() {
    let folder = folder();
    for _ in 0..2 {
        let Ended { code, out, err } = run_belfry(folder.path(), &["migrate"]);
        assert_eq!((code, out.as_str(), err.as_str()), (0, "belfry.db is up to date\n", ""));
    }
    let deep = run_belfry(folder.path(), &["migrate", "--database-url", "sqlite://no/such.db"]);
    assert_eq!(deep.code, 1);
    assert!(deep.err.starts_with("belfry: no/such.db"), "{}", deep.err);
}

#[test]
fn schema_prints_the_schema() {
    let folder = folder();
    let printed = run_belfry(folder.path(), &["schema"]);
    assert!(printed.code == 0 && printed.out == belfry::graphql::sdl());
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn healthcheck_tells_by_its_exit_code_whether_the_server_can_work() {
    let folder = folder();
    let server = server(folder.path());
    let address = server.address.clone();
    let check = || run_belfry(folder.path(), &["healthcheck", "--listen", &address]);
    let well = check();
    assert_eq!(well.code, 0);
    assert!(well.out.starts_with("{\"status\":\"OK\",\"checks\":{"), "{}", well.out);
    let port = address.split(':').next_back().unwrap();
    let everywhere = format!("0.0.0.0:{port}");
    assert_eq!(run_belfry(folder.path(), &["healthcheck", "--listen", &everywhere]).code, 0);
    server.process.signal("TERM");
    server.process.ended();
    let gone = check();
    assert_eq!((gone.code, gone.out.as_str()), (1, ""));
    assert!(gone.err.starts_with(&format!("belfry: http://{address}/readyz: ")), "{}", gone.err);
}

#[test]
fn keys_are_made_listed_and_revoked_beside_a_running_server() {
    let folder = folder();
    let server = server(folder.path());
    let key = |args: &[&str]| run_belfry(folder.path(), &[&["key"], args].concat());
    let made = key(&["create", "--name", "reader", "--scopes", "READ,FIRE"]);
    let text = made.out.trim();
    assert!(made.code == 0 && text.starts_with("blf_") && text.lines().count() == 1, "{text}");
    assert_eq!(server.get("/event", Some(text)).status, 200);
    let event = json!({ "email": "a@b.c", "environment": "e", "component": "c", "message": "m",
        "data": {} });
    assert_eq!(server.post("/event", text, &event).status, 403);

    let id = format!("key_{}", &text[4..30]);
    let listed = key(&["list"]).out;
    assert!(listed.contains(&format!("{id}  active   reader  [READ FIRE]")), "{listed}");
    assert!(!listed.contains(text));

    assert_eq!(key(&["revoke", &id]).out, format!("{id} is revoked\n"));
    let clock = belfry::clock::SystemClock::new();
    let now = || belfry::clock::Clock::now(&clock);
    let revoked_at = now();
    while server.get("/event", Some(text)).status != 401 {
        let waited = now().ms_since(revoked_at);
        assert!(waited < 1_500, "the key still opens after {waited} ms");
    }
    assert!(key(&["list"]).out.contains(&format!("{id}  revoked  reader")));

    let unknown = key(&["revoke", "key_01h2xcejqtf2nbrexx3vqjhp41"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.err.contains("key_01h2xcejqtf2nbrexx3vqjhp41"), "{}", unknown.err);
    assert_eq!(key(&["revoke", "nonsense"]).code, 2);
    assert_eq!(key(&["create", "--name", "x", "--scopes", "FLY"]).code, 2);
    assert_eq!(key(&["create", "--name", "x"]).code, 2);
    let signing = key(&["signing"]);
    assert!(signing.out.starts_with("whsec_") && signing.out == key(&["signing"]).out);
}

#[test]
fn key_in_the_wrong_folder_makes_no_database() {
    let folder = folder();
    for args in
        [&["key", "list"][..], &["key", "signing"], &["key", "create", "--name=a", "--scopes=READ"]]
    {
        let ended = run_belfry(folder.path(), args);
        assert_eq!(ended.code, 1);
        assert_eq!(ended.err, "belfry: belfry.db is not there; belfry migrate makes it\n");
        assert_eq!(files(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn seed_twice_is_harmless() {
    let folder = folder();
    let first = run_belfry(folder.path(), &["seed"]);
    assert_eq!(first.code, 0);
    assert_eq!(
        first.out,
        "made action demo-log\nmade trigger demo-by-hand\nmade trigger demo-every-minute\n\
         made trigger demo-weekdays-at-nine\nmade one application event\n"
    );
    let second = run_belfry(folder.path(), &["seed"]);
    assert_eq!(second.out, "The demo data is there already\n");
    assert_eq!(second.code, 0);
    let server = Server::start(folder.path(), &[]);
    let key = std::fs::read_to_string(folder.path().join("belfry.db.admin-key")).unwrap();
    let query = "{ triggers { totalCount } actions { totalCount } }";
    let data = server.graphql(key.trim(), query, &Value::Null);
    assert_eq!(data["triggers"]["totalCount"], 3);
    assert_eq!(data["actions"]["totalCount"], 1);
}

#[test]
fn cron_next_prints_instants_or_the_reason() {
    let folder = folder();
    let next = |args: &[&str]| run_belfry(folder.path(), &[&["cron", "next"], args].concat());
    let from = "--from=2026-10-24T12:00:00Z";
    let json = next(&["30 2 * * *", "--tz", "Europe/Berlin", from, "-n", "2", "--json"]);
    let instants: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(instants, json!(["2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"]));
    let words = next(&["@daily", from, "-n1"]);
    assert_eq!(words.out, "every day at 00:00, UTC\n2026-10-25T00:00:00+00:00\n");
    assert_eq!(next(&["* * * * *", "--json", from]).out.matches("2026-10").count(), 5);

    // In capitals, as the API says it, or not.
    let new_york = ["30 2 * * *", "--tz", "America/New_York", "--gap", "skip", "--overlap", "LAST"];
    let skipped = next(&[&new_york[..], &["--from=2026-03-07T12:00:00Z", "-n1"]].concat());
    assert_eq!(
        skipped.out,
        "every day at 02:30, America/New_York, times in a gap skipped, repeated times at the \
         second pass\n2026-03-09T02:30:00-04:00\n"
    );

    let bad = |args: &[&str]| {
        let ended = next(args);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{args:?}");
        ended.err
    };
    assert_eq!(
        bad(&["61 * * * *", "--json"]),
        "belfry: the expression: at character 1: expected a minute from 0 to 59, not `61`\n"
    );
    assert_eq!(
        bad(&["0 0 30 2 *"]),
        "belfry: the expression: at character 5: expected a day that exists in one of the months, \
         not `30`\n"
    );
    assert!(bad(&["@daily", "--tz", "Mars/Olympus"]).starts_with("belfry: --tz: "));
    assert!(bad(&["@daily", "-n", "0"]).contains("0 is not in 1..=10080"));
    assert_eq!(next(&["@daily", "-n", "10080", "--json"]).code, 0);
    assert!(bad(&["@daily", "-n", "10081"]).contains("10081 is not in 1..=10080"));
    assert!(bad(&["@daily", "--from", "yesterday"]).contains("--from <INSTANT>"));
    assert_eq!(files(folder.path()), Vec::<String>::new());
}

#[test]
fn without_a_command_it_serves() {
    let folder = folder();
    let mut command = belfry(folder.path(), &[]);
    let mut process = Process::start(command.env("BELFRY_LISTEN", "127.0.0.1:0"));
    process.read_until("Belfry … is ready");
    process.signal("TERM");
    assert_eq!(process.ended().code(), Some(0));
}

#[test]
fn a_project_is_carried_to_another_database_beside_a_running_server() {
    let (here, there) = (folder(), folder());
    let first = server(here.path());
    start_timer(&first, "http://127.0.0.1:9/", "PT1H");
    let export = run_belfry(here.path(), &["export", "--project", "default"]);
    assert_eq!(export.code, 0, "{}", export.err);
    assert!(export.err.starts_with("exported default (prj_"), "{}", export.err);
    std::fs::write(there.path().join("project.jsonl"), &export.out).unwrap();
    let unknown = run_belfry(here.path(), &["export", "--project", "other"]);
    assert_eq!(
        (unknown.code, unknown.err.as_str()),
        (1, "belfry: no project is named \"other\"; there are: default\n")
    );

    let import = || {
        let file = std::fs::File::open(there.path().join("project.jsonl")).unwrap();
        run(belfry(there.path(), &["import"]).stdin(file))
    };
    let imported = import();
    assert_eq!(imported.code, 0, "{}", imported.err);
    assert!(imported.out.starts_with("imported default (prj_"), "{}", imported.out);
    let again = import();
    assert_eq!(again.code, 1);
    assert!(again.err.ends_with(" is there already\n") && again.err.lines().count() == 1);
    let second = server(there.path());
    let timers = second.graphql(ADMIN_KEY, "{ timers { totalCount } }", &Value::Null);
    assert_eq!(timers["timers"]["totalCount"], 1, "and the key of the old server opens it");
    let beside = import();
    assert!(beside.err.starts_with("belfry: another server runs on belfry.db"), "{}", beside.err);
}
