//! What is there to deploy Belfry by: `Dockerfile`, `docker-compose.yml`, `.env.sample` and what
//! lies in `deploy/`. They agree with one another and with the settings, and hold no secret; the
//! real tools read them where they are installed.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use belfry::config::{Role, Roles, master_key};
use yaml_rust2::{Yaml, YamlLoader};

use crate::process::{folder, installed, run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

/// The compose file, its merge keys resolved.
fn compose() -> Yaml {
    let read = YamlLoader::load_from_str(&text("docker-compose.yml")).expect("YAML");
    merged(&read[0])
}

/// `<<: *other` puts the entries of another map in where there is none of the same name.
fn merged(value: &Yaml) -> Yaml {
    let Yaml::Hash(entries) = value else { return value.clone() };
    let mut whole = yaml_rust2::yaml::Hash::new();
    for (key, value) in entries {
        match (key.as_str(), merged(value)) {
            (Some("<<"), Yaml::Hash(inherited)) => whole.extend(inherited),
            (_, value) => {
                whole.replace(key.clone(), value);
            }
        }
    }
    Yaml::Hash(whole)
}

fn names(map: &Yaml) -> Vec<&str> {
    map.as_hash().expect("a map").keys().map(|key| key.as_str().expect("a name")).collect()
}

/// The services that run Belfry.
fn own(compose: &Yaml) -> Vec<(&str, &Yaml)> {
    let services = &compose["services"];
    let all = names(services).into_iter().map(|name| (name, &services[name]));
    all.filter(|(_, service)| !service["build"].is_badvalue()).collect()
}

/// The lines of `.env.sample` that set something.
fn sample() -> Vec<(String, String)> {
    let lines = text(".env.sample");
    let set = lines.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    set.map(|line| line.split_once('=').expect("NAME=value"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Each `${NAME…}` of a text: the name, and what follows it.
fn places(text: &str) -> Vec<(&str, &str)> {
    let inner = text.split("${").skip(1).filter_map(|rest| rest.split('}').next());
    let end = |inner: &str| {
        inner.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(inner.len())
    };
    inner.map(|inner| inner.split_at(end(inner))).collect()
}

#[test]
fn two_processes_serve_and_two_execute_with_settings_that_exist() {
    let compose = compose();
    let mut duties = Vec::new();
    for (name, service) in own(&compose) {
        let environment = &service["environment"];
        let mut args = vec!["belfry".to_owned(), "serve".to_owned()];
        for variable in names(environment) {
            let command = belfry::cli::command();
            let serve = command.find_subcommand("serve").expect("belfry serve");
            let setting = serve
                .get_arguments()
                .find(|arg| arg.get_env().is_some_and(|known| known.to_str() == Some(variable)));
            let setting = setting.unwrap_or_else(|| panic!("{name}: no setting {variable}"));
            let value = environment[variable].as_str().expect("a text");
            if !value.contains("${") {
                args.push(format!("--{}={value}", setting.get_long().expect("a flag")));
            }
        }
        let parsed = belfry::cli::command().try_get_matches_from(args);
        assert!(parsed.is_ok(), "{name}: {:?}", parsed.err());
        duties.push(environment["BELFRY_ROLE"].as_str().expect("a role").parse::<Roles>());
    }
    let of = |role| duties.iter().flatten().filter(|roles| roles.has(role)).count();
    assert_eq!(Role::ALL.map(of), [2, 2, 2, 2]);
    assert_eq!(duties.iter().flatten().count(), 4, "nobody does both");
}

#[test]
fn nothing_starts_before_what_it_needs_is_well() {
    let compose = compose();
    let services = &compose["services"];
    assert!(text("Dockerfile").contains("\nHEALTHCHECK "));
    for (name, needed) in [("api-1", "postgres"), ("worker-2", "redis"), ("balancer", "api-2")] {
        assert!(names(&services[name]["depends_on"]).contains(&needed), "{name} needs {needed}");
    }
    for name in names(services) {
        let service = &services[name];
        assert_eq!(service["restart"].as_str(), Some("unless-stopped"), "{name}");
        let limits = &service["deploy"]["resources"]["limits"];
        assert_eq!(names(limits), ["cpus", "memory"], "{name}");
        if service["depends_on"].is_badvalue() {
            continue;
        }
        for needed in names(&service["depends_on"]) {
            let condition = service["depends_on"][needed]["condition"].as_str();
            assert_eq!(condition, Some("service_healthy"), "{name} needs {needed}");
            let has_check = !services[needed]["healthcheck"].is_badvalue();
            let is_ours = !services[needed]["build"].is_badvalue();
            assert!(has_check || is_ours, "{needed} has no health check");
        }
    }
    // While PostgreSQL's image initialises its volume, a server answers on the socket alone.
    let check = &services["postgres"]["healthcheck"]["test"];
    let words: Vec<&str> = check.as_vec().expect("words").iter().filter_map(Yaml::as_str).collect();
    assert!(words.windows(2).any(|pair| pair == ["-h", "127.0.0.1"]), "{words:?}");
}

#[test]
fn no_secret_is_written_down_and_none_has_a_default() {
    let compose = text("docker-compose.yml");
    let samples = sample();
    let known: BTreeSet<&str> = samples.iter().map(|(name, _)| name.as_str()).collect();
    let mut used = BTreeSet::new();
    for (name, rest) in places(&compose) {
        let is_secret = name.ends_with("_PASSWORD") || name.ends_with("_KEY");
        assert_eq!(rest.starts_with(":?"), is_secret, "${{{name}{rest}}}");
        used.insert(name);
    }
    used.remove("BELFRY_IMAGE_TAG");
    assert_eq!(used, known, ".env.sample and docker-compose.yml name the same");
    for (name, value) in &samples {
        let is_secret = name.ends_with("_PASSWORD") || name.ends_with("_KEY");
        assert!(!is_secret || value.is_empty(), "{name} has a value");
    }
    for line in compose.lines().filter(|line| line.contains("_PASSWORD:") || line.contains("_KEY:"))
    {
        assert!(line.contains("${"), "{line}");
    }
}

#[test]
fn the_script_makes_secrets_that_the_settings_accept_and_overwrites_nothing() {
    let folder = folder();
    let deploy = folder.path().join("deploy");
    std::fs::create_dir(&deploy).unwrap();
    std::fs::copy(root().join("deploy/env.sh"), deploy.join("env.sh")).unwrap();
    std::fs::copy(root().join(".env.sample"), folder.path().join(".env.sample")).unwrap();
    let script = || run(Command::new("sh").arg(deploy.join("env.sh")));
    assert_eq!(script().code, 0);
    let file = folder.path().join(".env");
    let made = std::fs::read_to_string(&file).unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secrets: BTreeSet<&str> =
        made.lines().filter_map(|line| line.split_once('=')).map(|(_, value)| value).collect();
    let secrets: Vec<&&str> = secrets.iter().filter(|value| 8 < value.len()).collect();
    assert_eq!(secrets.len(), 4, "four that differ: {made}");
    assert!(secrets.iter().all(|secret| master_key(secret).is_ok()), "{made}");
    let again = script();
    assert_eq!((again.code, again.err.as_str()), (1, ".env is there already\n"));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), made);
}

#[test]
fn the_balancer_asks_the_processes_that_serve() {
    let compose = compose();
    let config = text("deploy/haproxy.cfg");
    let listen = text("Dockerfile");
    let (_, port) = listen.split_once("BELFRY_LISTEN=0.0.0.0:").expect("an address");
    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
    let is_api = |service: &Yaml| service["environment"]["BELFRY_ROLE"].as_str() == Some("api");
    let servers: Vec<String> = own(&compose)
        .into_iter()
        .filter(|(_, service)| is_api(service))
        .map(|(name, _)| format!("    server {name} {name}:{port}"))
        .collect();
    let asked: Vec<&str> =
        config.lines().filter(|line| line.trim_start().starts_with("server ")).collect();
    assert_eq!(asked, servers);
    let mounted = &compose["services"]["balancer"]["volumes"][0];
    assert!(mounted.as_str().is_some_and(|mount| mount.starts_with("./deploy/haproxy.cfg:")));
}

#[test]
fn the_image_is_built_by_the_same_rust_and_runs_without_rights() {
    let dockerfile = text("Dockerfile");
    let toolchain = text("rust-toolchain.toml");
    let channel = toolchain.split('"').nth(1).expect("a channel");
    assert!(dockerfile.contains(&format!("\nFROM rust:{channel}-")), "{channel}");
    let (_, last) = dockerfile.rsplit_once("\nFROM ").expect("stages");
    assert!(last.contains("\nUSER 10001:10001\n") && last.contains("ca-certificates"));
    assert!(last.contains("CMD [\"belfry\", \"healthcheck\"]"));
    for name in ["Dockerfile", "docker-compose.yml"] {
        for line in text(name)
            .lines()
            .filter(|line| line.starts_with("FROM ") || line.trim_start().starts_with("image: "))
        {
            let is_pinned = line.contains(':') && !line.ends_with(":latest");
            assert!(is_pinned, "{name}: {line}");
        }
    }
}

/// How a tool ended, and all that it said.
fn said(command: &mut Command) -> (i32, String) {
    let ended = run(command);
    (ended.code, ended.out + &ended.err)
}

#[test]
fn the_compose_tool_accepts_the_file_with_secrets_and_refuses_it_without() {
    let Some(program) = installed("docker-compose") else { return };
    let nothing = tempfile::NamedTempFile::new().expect("an empty file");
    let config = |values: &[(&str, &str)]| {
        let mut command = Command::new(&program);
        command.arg("--env-file").arg(nothing.path()).arg("-f");
        command
            .arg(root().join("docker-compose.yml"))
            .args(["config", "--quiet"])
            .envs(values.iter().copied());
        said(&mut command)
    };
    let secrets: Vec<(String, String)> = sample();
    let filled: Vec<(&str, &str)> = secrets
        .iter()
        .map(|(name, value)| (&**name, if value.is_empty() { "x" } else { value }))
        .collect();
    let (code, answer) = config(&filled);
    assert_eq!(code, 0, "{answer}");
    let (code, answer) = config(&[]);
    assert!(code != 0 && answer.contains("deploy/env.sh"), "{answer}");
}

#[test]
fn the_balancer_accepts_its_file() {
    let Some(program) = installed("haproxy") else { return };
    let file = root().join("deploy/haproxy.cfg");
    let (code, answer) = said(Command::new(program).arg("-c").arg("-f").arg(file));
    // 1 is for errors; that the names of containers are unknown here is a warning.
    assert_eq!(code, 0, "{answer}");
}
