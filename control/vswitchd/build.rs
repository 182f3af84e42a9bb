//! Finds the modules that log, which `vlog/list` and `vlog/set` know by name.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs, io};

/// The crates whose lines end up in the log of weftd.
const SOURCES: [&str; 5] = [
    "src",
    "../ovsdb/src",
    "../../datapath/io/src",
    "../../datapath/worker/src",
    "../../ebpf/loader/src",
];

/// What a file that logs has in it.
const MACROS: [&str; 4] =
    ["tracing::error!", "tracing::warn!", "tracing::info!", "tracing::debug!"];

/// What stands before a name that is not the module's own.
const TARGET: &str = "target: \"";

fn main() -> io::Result<()> {
    let mut modules = BTreeSet::new();
    for folder in SOURCES {
        println!("cargo:rerun-if-changed={folder}");
        collect(Path::new(folder), &mut modules)?;
    }
    let list: Vec<String> = modules.into_iter().collect();
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("no OUT_DIR"))?;
    fs::write(Path::new(&out).join("modules.rs"), format!("&{list:?}"))
}

/// Adds the names of the modules below `folder` that log.
fn collect(folder: &Path, modules: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, modules)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path)?;
            if MACROS.iter().any(|name| text.contains(name)) {
                modules.insert(name(&path));
            }
            let targets = text.split(TARGET).skip(1);
            let targets = targets.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
            modules.extend(targets);
        }
    }
    Ok(())
}

/// The last part of the module's Rust path.
fn name(file: &Path) -> String {
    let stem = if file.ends_with("mod.rs") { file.parent() } else { Some(file) };
    stem.and_then(Path::file_stem).unwrap_or_default().to_string_lossy().into_owned()
}
