//! The key by which a table finds a flow: its priority and its match, which its rule holds.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use weft_flow::{Match, Rule};

/// Whatever has a priority and a match.
pub(super) trait MatchKey {
    /// They.
    fn key(&self) -> (u32, &Match);
}

/// A rule as a key.  The map holds the rule that the flow holds, not a copy of its match.
#[derive(Debug)]
pub(super) struct ByMatch(pub(super) Arc<Rule>);

impl MatchKey for ByMatch {
    fn key(&self) -> (u32, &Match) {
        (self.0.priority, &self.0.matching)
    }
}

impl MatchKey for (u32, &Match) {
    fn key(&self) -> (u32, &Match) {
        *self
    }
}

impl Hash for dyn MatchKey + '_ {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for dyn MatchKey + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for dyn MatchKey + '_ {}

impl Hash for ByMatch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for ByMatch {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for ByMatch {}

impl<'a> Borrow<dyn MatchKey + 'a> for ByMatch {
    fn borrow(&self) -> &(dyn MatchKey + 'a) {
        self
    }
}
