//! The floors of `src/`: no room imports from one above it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the top down.
const FLOORS: &[&str] = &[
    "commands", "cli", "services", "doctor", "snapshot", "stores", "bundle", "sandbox", "run",
    "render", "act", "plan", "judge", "usage", "drift", "verify", "report", "scan", "needs",
    "locate", "graph", "sumdb", "formats", "net", "settings", "error", "findings", "folder",
    "text", "values", "parallel",
];

fn floor(room: &str) -> usize {
    let floor = FLOORS.iter().position(|known| *known == room);
    floor.unwrap_or_else(|| panic!("{room} is on no floor: name it in FLOORS"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn outside_of_tests(source: &str) -> String {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap();
    let code = code.lines();
    code.filter(|line| !line.trim_start().starts_with("//"))
        .collect()
}

/// The rooms that a source names by `crate::`, in imports and elsewhere, outside
/// of its tests.
fn named(source: &str) -> BTreeSet<String> {
    let code = outside_of_tests(source);
    let mut rooms = BTreeSet::new();
    for after in code.split("crate::").skip(1) {
        let group = match after.strip_prefix('{') {
            Some(group) => group.split([';', '}']).next().unwrap().split(',').collect(),
            None => vec![after],
        };
        for path in group {
            let name = path
                .trim()
                .split(|c: char| !c.is_alphanumeric() && c != '_');
            rooms.extend(
                name.take(1)
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
            );
        }
    }
    rooms
}

#[test]
fn no_room_imports_from_above() {
    let mut files = Vec::new();
    sources(Path::new("src"), &mut files);
    let mut upwards = BTreeSet::new();
    let mut rooms_seen = BTreeSet::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        // A file of tests may reach for whatever it compares with.
        if matches!(
            name,
            "lib.rs" | "main.rs" | "tour.rs" | "tests.rs" | "testing.rs"
        ) {
            continue;
        }
        let inside = file.strip_prefix("src").unwrap();
        let first = inside.iter().next().unwrap().to_str().unwrap();
        let room = first.trim_end_matches(".rs").to_owned();
        let source = fs::read_to_string(&file).unwrap();
        // There, `super` is the crate.
        let at_the_door =
            inside.components().count() == 1 || inside.ends_with(format!("{room}/mod.rs"));
        assert!(
            !(at_the_door && outside_of_tests(&source).contains("super::")),
            "{}: name the room by crate::",
            file.display()
        );
        rooms_seen.insert(room.clone());
        for other in named(&source) {
            if FLOORS.contains(&other.as_str()) && floor(&other) < floor(&room) {
                upwards.insert((room.clone(), other));
            }
        }
    }
    assert_eq!(upwards, BTreeSet::new(), "imports that point upwards");
    let floors = FLOORS.iter().map(|room| (*room).to_owned());
    assert_eq!(rooms_seen, floors.collect(), "FLOORS and src/ differ");
}

#[test]
fn a_path_is_found_wherever_it_stands() {
    let source = "use crate::{a, b::{self, C}};\nfn f() { crate::d::g(); }\n// crate::no\n\
                  #[cfg(test)]\nmod tests { use crate::no; }";
    let expected = ["a", "b", "d"].map(str::to_owned);
    assert!(expected.iter().all(|room| named(source).contains(room)));
    assert!(!named(source).contains("no"));
}
