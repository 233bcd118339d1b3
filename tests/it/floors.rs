//! The house stands as `lib.rs` and `docs/architecture.md` draw it: each floor imports only
//! downward, the rooms of floor 3 and those of floor 6 never one another, and nothing on floor 2
//! knows a runtime, SQL or what time it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room with its floor.
const ROOMS: [(&str, u8); 19] = [
    ("error", 1),
    ("clock", 1),
    ("config", 1),
    ("limits", 1),
    ("link", 1),
    ("metrics", 1),
    ("shutdown", 1),
    ("telemetry", 1),
    ("domain", 2),
    ("store", 3),
    ("queue", 3),
    ("bus", 3),
    ("stage", 3),
    ("app", 4),
    ("service", 5),
    ("graphql", 6),
    ("engine", 6),
    ("http", 7),
    ("cli", 7),
];
/// Crates that a floor must not know.
const NOT_IN_DOMAIN: [&str; 6] = ["tokio", "sea_orm", "sqlx", "axum", "reqwest", "async_graphql"];
/// What only the store says.
const STATEMENTS: [&str; 4] = ["SELECT ", "UPDATE ", "DELETE FROM", "INSERT INTO"];

#[test]
fn every_room_is_known_and_stands_where_it_is_looked_for() {
    let mut found: Vec<String> = sources().into_iter().map(|(room, _, _)| room).collect();
    found.sort();
    found.dedup();
    let mut known: Vec<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    known.sort();
    assert_eq!(found, known);
}

#[test]
fn each_floor_imports_only_downward() {
    let floors: BTreeMap<&str, u8> = ROOMS.into_iter().collect();
    let mut wrong = Vec::new();
    for (room, path, text) in sources() {
        for (line, used) in imports(&text) {
            let (Some(here), Some(there)) = (floors.get(&*room), floors.get(&*used)) else {
                wrong.push(format!("{}:{line}: crate::{used} is no room", path.display()));
                continue;
            };
            let is_within = room == used;
            let is_beside = *here == *there && matches!(*here, 1 | 7);
            if !(is_within || is_beside || there < here) {
                wrong.push(format!("{}:{line}: {room} imports {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_domain_is_pure() {
    let uses = sources().into_iter().filter(|(room, _, _)| room == "domain");
    let wrong: Vec<String> =
        uses.flat_map(|(_, path, text)| naming(&path, &text, &NOT_IN_DOMAIN)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn statements_are_written_in_the_store_alone() {
    let others = sources().into_iter().filter(|(room, _, _)| room != "store");
    let wrong: Vec<String> =
        others.flat_map(|(_, path, text)| naming(&path, &text, &STATEMENTS)).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn a_file_opens_with_what_it_is() {
    let silent = |(_, path, text): (String, PathBuf, String)| {
        (!text.starts_with("//! ")).then(|| path.display().to_string())
    };
    let wrong: Vec<String> = sources().into_iter().filter_map(silent).collect();
    assert!(wrong.is_empty(), "without //!: {wrong:?}");
}

/// Every source file of the server: its room, its path, its text without its tests.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../server/src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            let is_test =
                path.file_name().is_some_and(|name| name == "tests" || name == "tests.rs");
            if path.is_dir() && !is_test {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") && !is_test {
                let inside = path.strip_prefix(&root).expect("below the root").to_path_buf();
                let first = inside.iter().next().expect("a name").to_string_lossy();
                let room = first.trim_end_matches(".rs").to_owned();
                if !matches!(&*room, "lib" | "main") {
                    let text = fs::read_to_string(&path).expect("a source");
                    let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
                    found.push((room, inside, text));
                }
            }
        }
    }
    assert!(50 < found.len(), "only {} sources were found", found.len());
    found
}

/// The rooms that a text names as `crate::<room>`, with their lines; comments do not count.
fn imports(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for rest in code.split("crate::").skip(1) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if !name.is_empty() {
                found.push((index + 1, name));
            }
        }
    }
    found
}

fn naming(path: &Path, text: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for word in words.iter().filter(|word| code.contains(*word)) {
            found.push(format!("{}:{}: {word}", path.display(), index + 1));
        }
    }
    found
}
