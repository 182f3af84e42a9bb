//! `learn`: a flow made from the packet.

use crate::action::{Action, FinTimeout, Learn, LearnDestination, LearnSource, LearnSpec, SetForm};
use crate::field::ones;
use crate::request::{FlowCommand, FlowFlags, FlowMod, Learned};
use crate::walk::{Fact, Sink, Walk};
use crate::{Match, PortNo};

impl<S: Sink> Walk<'_, S> {
    pub(in crate::walk) fn learn(&mut self, learn: &Learn) {
        let mut matching = Match::any();
        let mut actions = Vec::new();
        if learn.fin_idle_timeout != 0 || learn.fin_hard_timeout != 0 {
            let (idle, hard) = (learn.fin_idle_timeout, learn.fin_hard_timeout);
            actions.push(Action::FinTimeout(FinTimeout { idle, hard }));
        }
        for spec in &learn.specs {
            let value = self.learned_value(spec);
            match spec.destination {
                LearnDestination::Match(part) => {
                    let (value, mask) = shifted(value, spec.bits, part.offset);
                    matching.set(part.field, value, mask);
                }
                LearnDestination::Load(part) => {
                    let (value, mask) = shifted(value, spec.bits, part.offset);
                    let (field, form) = (part.field, SetForm::Load);
                    actions.push(Action::SetField { field, value, mask, has_vlan: false, form });
                }
                LearnDestination::Output => {
                    let number = u16::try_from(value & ones(16)).unwrap_or_default();
                    actions.push(Action::Output { port: PortNo::from_u16(number), max_len: 0 });
                }
            }
        }
        let flow = flow(learn, matching, actions);
        self.depends_on(Fact::Room(learn.table));
        let has_room = self.state.tables.can_learn(&flow);
        if let Some(result) = learn.result.filter(|_| learn.flags.writes_result) {
            self.write_bits(result, has_room.into());
        }
        if has_room {
            self.builder.learn(flow);
        }
    }

    fn learned_value(&mut self, spec: &LearnSpec) -> u128 {
        match spec.source {
            LearnSource::Field(part) => self.read_bits(part),
            LearnSource::Value(value) => value,
        }
    }
}

/// Value and mask at their place in a field.
fn shifted(value: u128, bits: u16, offset: u16) -> (u128, u128) {
    let mask = ones(bits.into());
    let shift = |bits: u128| bits.checked_shl(offset.into()).unwrap_or_default();
    (shift(value & mask), shift(mask))
}

fn flow(learn: &Learn, matching: Match, actions: Vec<Action>) -> FlowMod {
    FlowMod {
        table: learn.table,
        priority: learn.priority,
        matching,
        cookie: learn.cookie,
        modifies_cookie: true,
        modify_adds: true,
        idle_timeout: learn.idle_timeout,
        hard_timeout: learn.hard_timeout,
        flags: FlowFlags {
            sends_flow_removed: learn.flags.sends_flow_removed,
            ..FlowFlags::default()
        },
        actions: actions.into(),
        learned: Some(Learned { limit: learn.limit }),
        ..FlowMod::new(FlowCommand::ModifyStrict)
    }
}
