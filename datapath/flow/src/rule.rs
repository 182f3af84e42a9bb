//! Rules: flows as tables hand them to those who decide.

use crate::action::Actions;
use crate::{Match, TableId};

/// The number of a rule in its bridge, under which uses of it are reported.  Free again when its
/// flow is gone and nobody reports for it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct RuleId(pub u32);

/// A flow of a table.  It never changes: other actions make another rule, with the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its number.
    pub id: RuleId,
    /// Where it is.
    pub table: TableId,
    /// The larger wins.  Messages know 0 to 65535; flows above are the switch's own, and no
    /// message sees or changes them.
    pub priority: u32,
    /// What its controller calls it.
    pub cookie: u64,
    /// Which packets it takes.
    pub matching: Match,
    /// What it does with them.
    pub actions: Actions,
}
