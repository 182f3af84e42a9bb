//! Holds the drawings of `control/README.md` against the code: who uses whom, and that nobody uses
//! what is above.
//!
//! A drawing is a block of lines `NAME ─▶ NAME, NAME`, from the top down.  Every arrow that is
//! drawn must be in the code, every one of the code must be drawn, and it must point to a later
//! line.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Who uses whom, and in which order the drawing has them.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The drawing below the heading `title`: its names from the top down, and its arrows.
fn drawing(title: &str) -> (Vec<String>, Arrows) {
    let text = read(&root().join("control/README.md"));
    let heading = format!("### {title}\n");
    let (_, rest) = text.split_once(&heading).unwrap_or_else(|| panic!("no heading {title}"));
    let block = rest.split("```").nth(1).expect("a drawing").trim_start_matches("text\n");
    let mut order = Vec::new();
    let mut arrows = Arrows::new();
    for line in block.lines().filter(|line| !line.trim().is_empty()) {
        let (name, uses) = line.split_once("─▶").unwrap_or((line, ""));
        let uses = uses.split(',').map(str::trim).filter(|name| !name.is_empty());
        order.push(name.trim().to_owned());
        arrows.insert(name.trim().to_owned(), uses.map(str::to_owned).collect());
    }
    (order, arrows)
}

/// Compares a drawing with what the code says.
fn compare(title: &str, real: &Arrows) {
    let (order, drawn) = drawing(title);
    assert_eq!(real, &drawn, "{title}: the drawing of what the code says is\n{}", draw(real));
    for (place, name) in order.iter().enumerate() {
        for used in &drawn[name] {
            let below = order.iter().position(|other| other == used);
            let below = below.unwrap_or_else(|| panic!("{title}: {used} is not drawn"));
            assert!(below > place, "{title}: {name} uses {used}, which is above it");
        }
    }
}

/// The crates of the workspace that a manifest's `[dependencies]` names, without their `weft-`.
fn dependencies(manifest: &Path) -> BTreeSet<String> {
    let text = read(manifest);
    let section = text.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let names = lines.filter_map(|line| line.strip_prefix("weft-"));
    names.filter_map(|rest| Some(rest.split(['.', ' ', '=']).next()?.to_owned())).collect()
}

/// Draws what the code says, from the top down, for whoever changes the drawing.
fn draw(real: &Arrows) -> String {
    let mut left = real.clone();
    let mut lines = Vec::new();
    while !left.is_empty() {
        let below: BTreeSet<_> = left.values().flatten().cloned().collect();
        let top = left.keys().find(|name| !below.contains(*name)).or_else(|| left.keys().next());
        let name = top.expect("not empty").clone();
        let uses = left.remove(&name).expect("there").into_iter().collect::<Vec<_>>().join(", ");
        lines.push(format!("{name} ─▶ {uses}"));
    }
    lines.join("\n")
}

#[test]
fn crates_use_what_is_drawn_and_nothing_above() {
    let mut real = Arrows::new();
    for side in ["datapath", "ebpf", "control"] {
        for folder in fs::read_dir(root().join(side)).expect("a folder of crates") {
            let manifest = folder.expect("an entry").path().join("Cargo.toml");
            let Ok(text) = fs::read_to_string(&manifest) else { continue };
            let name = text.split("\nname = \"").nth(1).and_then(|rest| rest.split('"').next());
            let name = name.expect("a name").trim_start_matches("weft-").to_owned();
            real.insert(name, dependencies(&manifest));
        }
    }
    assert!(real.len() > 8, "{real:?}");
    compare("Crates", &real);
}

/// The files of a room that are not its tests.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a room") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if stem == "tests" || stem.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            files(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// A file without comments and without the module of tests at its end.
fn code(file: &Path) -> String {
    let text = read(file);
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rooms that a file names: `crate::ROOM` and `crate::{ROOM::…, ROOM::…}`.
fn rooms_named(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut rooms = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let Some(group) = rest.strip_prefix('{') else {
            rooms.insert(word(rest));
            continue;
        };
        let mut depth = 0;
        let mut starts = true;
        for (place, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => starts = true,
                _ if starts && c.is_alphanumeric() => {
                    rooms.insert(word(&group[place..]));
                    starts = false;
                }
                _ => {}
            }
        }
    }
    rooms
}

/// Who uses whom among the rooms of a crate: the folders of its `src`, and the files beside them.
fn rooms(source: &str) -> Arrows {
    let source = root().join(source);
    let places =
        fs::read_dir(&source).expect("a crate").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    let places = places.map(|path| (name(&path), path));
    let places: Vec<_> = places.filter(|(name, _)| name != "lib" && name != "main").collect();
    let all: BTreeSet<_> = places.iter().map(|(name, _)| name.clone()).collect();
    let mut arrows = Arrows::new();
    for (name, place) in places {
        let mut found = Vec::new();
        if place.is_dir() {
            files(&place, &mut found);
        } else {
            found.push(place);
        }
        let mut used: BTreeSet<_> =
            found.iter().flat_map(|file| rooms_named(&code(file))).collect();
        used.retain(|room| all.contains(room));
        used.remove(&name);
        arrows.insert(name, used);
    }
    arrows
}

#[test]
fn rooms_of_weftd_use_what_is_drawn_and_nothing_above() {
    compare("Rooms of weftd", &rooms("control/vswitchd/src"));
}

#[test]
fn rooms_of_the_database_use_what_is_drawn_and_nothing_above() {
    compare("Rooms of the database", &rooms("control/ovsdb/src"));
}

#[test]
fn rooms_are_found_in_groups_too() {
    let named =
        rooms_named("use crate::plan::Plan;\nuse crate::{host::links, report::{Rows, x}};\n");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["host", "plan", "report"]);
}
