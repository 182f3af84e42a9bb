//! What the actions and the match of a flow refer to.

use weft_flow::action::{LearnDestination, LearnSource, SampleNumber, ZoneSource};
use weft_flow::{Action, Field, GroupId, Match, MeterId, PortNo, Rule, Slot, TableId};

/// What a rule refers to, each once.
#[derive(Debug, Default)]
pub(crate) struct Uses {
    /// The groups that its actions name.
    pub(crate) groups: Vec<GroupId>,
    /// The meters that its actions name as an instruction.
    pub(crate) meters: Vec<MeterId>,
    /// The options of tunnels that it names, a bit each.
    pub(crate) options: u64,
    /// Which flows go with it: those of this table with this cookie.
    pub(crate) learned: Vec<(TableId, u64)>,
}

impl Uses {
    /// What a rule refers to.
    pub(crate) fn of(rule: &Rule) -> Self {
        let mut uses = Self { options: options_of_match(&rule.matching), ..Self::default() };
        walk(&rule.actions, &mut |action| uses.add(action));
        uses
    }

    /// What actions refer to.
    pub(crate) fn of_actions(actions: &[Action]) -> Self {
        let mut uses = Self::default();
        walk(actions, &mut |action| uses.add(action));
        uses
    }

    fn add(&mut self, action: &Action) {
        match action {
            Action::Group(group) => add_once(&mut self.groups, *group),
            Action::Meter(meter) => add_once(&mut self.meters, *meter),
            Action::Learn(learn) if learn.flags.deletes_learned => {
                add_once(&mut self.learned, (learn.table, learn.cookie));
            }
            _ => {}
        }
        fields(action, &mut |field| {
            if let Some(number) = field.tun_metadata_number() {
                self.options |= 1 << number;
            }
        });
    }
}

fn add_once<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// Shows `see` every action, those inside others too.
pub(crate) fn walk(actions: &[Action], see: &mut impl FnMut(&Action)) {
    for action in actions {
        see(action);
        walk(action.nested(), see);
    }
}

/// True when an action, or one inside another, is such.
fn any(actions: &[Action], is: &impl Fn(&Action) -> bool) -> bool {
    actions.iter().any(|action| is(action) || any(action.nested(), is))
}

/// True when actions send packets to a port in so many words.  As in stock, those of groups,
/// `bundle`, `learn` and outputs that truncate do not count.
pub(crate) fn sends_to(actions: &[Action], to: PortNo) -> bool {
    any(actions, &|action| match action {
        Action::Output { port, .. } | Action::Enqueue { port, .. } => *port == to,
        Action::Controller(_) => to == PortNo::CONTROLLER,
        _ => false,
    })
}

/// True when actions name a group.
pub(crate) fn uses_group(actions: &[Action], group: GroupId) -> bool {
    any(actions, &|action| matches!(action, Action::Group(id) if *id == group))
}

fn options_of_match(matching: &Match) -> u64 {
    let asked = u64::try_from(matching.slot(Slot::TunPresent).mask).unwrap_or(u64::MAX);
    matching.iter().fold(asked, |all, (slot, _)| match slot {
        Slot::TunMetadata(number, _) if number < 64 => all | 1 << number,
        _ => all,
    })
}

/// Shows `see` the fields that an action itself names.
fn fields(action: &Action, see: &mut impl FnMut(Field)) {
    match action {
        Action::SetField { field, .. } | Action::DeleteField(field) => see(*field),
        Action::SetLong(long) => see(long.field),
        Action::OutputReg { source: bits, .. }
        | Action::Push(bits)
        | Action::Pop(bits)
        | Action::CheckPktLarger { destination: bits, .. } => see(bits.field),
        Action::Move { source, destination, .. } => {
            see(source.field);
            see(destination.field);
        }
        Action::Bundle(bundle) => {
            if let Some(bits) = bundle.destination {
                see(bits.field);
            }
        }
        Action::Multipath(multipath) => see(multipath.destination.field),
        Action::Ct(ct) => {
            if let ZoneSource::Field(bits) = ct.zone {
                see(bits.field);
            }
        }
        Action::Sample(sample) => {
            for number in [sample.domain, sample.point] {
                if let SampleNumber::Field(bits) = number {
                    see(bits.field);
                }
            }
        }
        Action::Learn(learn) => {
            for spec in &learn.specs {
                if let LearnSource::Field(bits) = spec.source {
                    see(bits.field);
                }
                if let LearnDestination::Match(bits) | LearnDestination::Load(bits) =
                    spec.destination
                {
                    see(bits.field);
                }
            }
        }
        _ => {}
    }
}
