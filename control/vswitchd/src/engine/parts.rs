//! Who works with which parts of the engine: nobody takes all of it.
//!
//! Whoever needs parts names them in a struct of borrows ([`Needs::Parts`]); the engine fills it
//! ([`Lend`], all in `command/lend.rs`).  So the signature of a function says what it reads and changes.

/// Names the parts of the engine that a family of commands, or an errand, works with.
pub(crate) trait Needs: Sized + 'static {
    /// The parts, borrowed.
    type Parts<'a>;
}

/// Lends the parts that `N` names.
pub(crate) trait Lend<N: Needs> {
    /// Borrows them.
    fn lend(&mut self) -> N::Parts<'_>;
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    /// The engine's own files, the loop that owns it, and those that borrow its parts.
    const OWNERS: [&str; 4] =
        ["engine/mod.rs", "engine/errand.rs", "process/control", "command/mod.rs"];

    fn sources(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
        files.into_iter().chain(folders.iter().flat_map(|folder| sources(folder))).collect()
    }

    #[test]
    fn nobody_takes_the_whole_engine() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let whole = ["&", "&mut ", "&'a "].map(|borrow| format!(": {borrow}Engine"));
        for path in sources(&root) {
            let place = path.strip_prefix(&root).unwrap();
            if OWNERS.iter().any(|owner| place.starts_with(owner)) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let taken = text.lines().find(|line| whole.iter().any(|it| line.contains(it)));
            assert_eq!(taken, None, "{} takes the whole engine", place.display());
        }
    }
}
