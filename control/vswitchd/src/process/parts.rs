//! Who works with which parts of the engine: nobody takes all of it.
//!
//! Whoever needs parts names them in a struct of borrows ([`Needs::Parts`]); the engine fills it
//! ([`Lend`], all in `lend.rs`).  So the signature of a function says what it reads and changes.

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
