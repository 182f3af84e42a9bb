//! The action set, and buckets, which are action sets too.

use crate::program::{Context, Reason};
use crate::walk::state::{List, Work};
use crate::walk::{Event, Sink, Walk, outside};
use crate::{Action, Bits, PortNo, Slot};

/// Kinds of actions in the order in which a set does them; of those before `Changes` the last of
/// each kind counts, as of `Queue`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    StripVlan,
    PopMpls,
    PushMpls,
    PushVlan,
    DecTtl,
    DecMplsTtl,
    Changes,
    Queue,
    /// One of these ends the set: the last of the last kind that is there.  Without one the set
    /// does nothing.
    Ct,
    CtClear,
    Resubmit,
    Output,
    Group,
}

fn turn(action: &Action) -> Turn {
    match action {
        Action::StripVlan => Turn::StripVlan,
        Action::PopMpls { .. } => Turn::PopMpls,
        Action::PushMpls { .. } => Turn::PushMpls,
        Action::PushVlan { .. } => Turn::PushVlan,
        Action::DecTtl { .. } => Turn::DecTtl,
        Action::DecMplsTtl => Turn::DecMplsTtl,
        Action::SetQueue(_) => Turn::Queue,
        Action::Ct(_) => Turn::Ct,
        Action::CtClear => Turn::CtClear,
        Action::Resubmit(_) => Turn::Resubmit,
        Action::Output { .. } => Turn::Output,
        Action::Group(_) => Turn::Group,
        _ => Turn::Changes,
    }
}

/// What a set does, the first last.
pub(in crate::walk) fn picked<'a>(
    set: impl DoubleEndedIterator<Item = &'a Action>,
) -> Vec<&'a Action> {
    let mut picked: Vec<(Turn, &Action)> = Vec::new();
    for action in set.rev() {
        let turn = turn(action);
        let has_kind = picked.iter().any(|(other, _)| *other == turn);
        if turn == Turn::Changes || !has_kind {
            picked.push((turn, action));
        }
    }
    // Stable: changes stay in their order, the last first.
    picked.sort_by_key(|(turn, _)| std::cmp::Reverse(*turn));
    let last = picked.first().map_or(Turn::Changes, |(turn, _)| *turn);
    if last < Turn::Ct {
        return Vec::new();
    }
    picked.retain(|(turn, _)| *turn < Turn::Ct || *turn == last);
    picked.into_iter().map(|(_, action)| action).collect()
}

/// The actions of a bucket.
pub(in crate::walk) fn of_bucket(actions: &[Action]) -> List<'_> {
    List::Picked(picked(actions.iter()))
}

impl<'a, S: Sink> Walk<'a, S> {
    pub(in crate::walk) fn clear_actions(&mut self) {
        self.state.action_set.clear();
        self.write_actset_output();
    }

    pub(in crate::walk) fn write_actions(&mut self, actions: &'a [Action]) {
        self.state.action_set.extend(actions);
        self.write_actset_output();
    }

    /// The port that the set sends to, unless a group does.
    fn write_actset_output(&mut self) {
        let set = &self.state.action_set;
        let has_group = set.iter().any(|action| matches!(action, Action::Group(_)));
        let outputs = set.iter().rev().filter_map(|action| match action {
            Action::Output { port, .. } => Some(*port),
            _ => None,
        });
        let port = outputs.take(usize::from(!has_group)).next().unwrap_or(PortNo::UNSET);
        self.write(Slot::ActsetOutput, Bits::new(port.0.into(), Slot::ActsetOutput.ones()));
    }

    pub(in crate::walk) fn do_action_set(&mut self, depth: u16) {
        let set = std::mem::take(&mut self.state.action_set);
        let actions = picked(set.into_iter());
        if actions.is_empty() {
            return;
        }
        self.event(|_| Event::ActionSet);
        let context = Context { depth, ..outside(Reason::ActionSet) };
        self.work.push(Work::Actions(List::Picked(actions), context));
    }
}
