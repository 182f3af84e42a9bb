//! What may be in a list of actions, and in which order.

use weft_flow::action::Instruction;
use weft_flow::request::Refusal;
use weft_flow::{Action, Field, Subfield};

/// Where a list of actions is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A message that has actions only; a meter may be among them.
    Actions,
    /// A flow.
    Instructions,
    /// An action or instruction.
    Nested,
}

/// The action that a list is inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outer {
    /// None.
    None,
    /// `ct`.
    Ct,
    /// `clone`.
    Clone,
    /// `write_actions`.
    WriteActions,
}

/// Refuses actions that may not be where they are, `conjunction` beside others, and instructions
/// twice or out of their order.
pub(crate) fn verify(actions: &[Action], place: Place, outer: Outer) -> Result<(), Refusal> {
    let mut before: Option<Instruction> = None;
    for action in actions {
        if matches!(action, Action::Conjunction(_)) {
            let fits = |other| matches!(other, &Action::Conjunction(_) | &Action::Note(_));
            return if actions.iter().all(fits) { Ok(()) } else { Err(Refusal::BadConjunction) };
        }
        nested(action, outer)?;
        let next = action.instruction();
        let is_late = before.is_some_and(|before| {
            if before == Instruction::ApplyActions { next < before } else { next <= before }
        });
        if is_late && !matches!(action, Action::Meter(_)) {
            return Err(Refusal::UnsupportedOrder);
        }
        let is_allowed = match place {
            Place::Instructions => true,
            Place::Actions => next <= Instruction::ApplyActions,
            Place::Nested => next == Instruction::ApplyActions,
        };
        if !is_allowed {
            return Err(Refusal::UnsupInst);
        }
        before = Some(next);
    }
    Ok(())
}

fn nested(action: &Action, outer: Outer) -> Result<(), Refusal> {
    if matches!(action, Action::Nat(_)) {
        return if outer == Outer::Ct { Ok(()) } else { Err(Refusal::BadSetArgument) };
    }
    let written = match action {
        Action::SetField { field, .. }
        | Action::Move { destination: Subfield { field, .. }, .. } => Some(*field),
        Action::SetLong(of) => Some(of.field),
        _ => None,
    };
    let is_connection = |field: Field| matches!(field.name(), "ct_mark" | "ct_label");
    let writes_connection = written.is_some_and(is_connection);
    match (outer, writes_connection) {
        (Outer::Ct, false) => Err(Refusal::ActionBadArgument),
        (Outer::None | Outer::Clone | Outer::WriteActions, true) => Err(Refusal::BadSetArgument),
        _ => Ok(()),
    }
}

/// Refuses what cannot be in an action set.
pub(crate) fn verify_set(actions: &[Action]) -> Result<(), Refusal> {
    let fits = |action: &Action| {
        !matches!(
            action,
            Action::Bundle(_)
                | Action::CheckPktLarger { .. }
                | Action::ClearActions
                | Action::Clone(_)
                | Action::Conjunction(_)
                | Action::Controller(_)
                | Action::CtClear
                | Action::Enqueue { .. }
                | Action::Exit
                | Action::FinTimeout(_)
                | Action::GotoTable(_)
                | Action::Learn(_)
                | Action::Meter(_)
                | Action::Multipath(_)
                | Action::Nat(_)
                | Action::Note(_)
                | Action::OutputReg { .. }
                | Action::OutputTruncated { .. }
                | Action::Pop(_)
                | Action::PopQueue
                | Action::Push(_)
                | Action::Sample(_)
                | Action::WriteActions(_)
                | Action::WriteMetadata { .. }
        )
    };
    if actions.iter().all(fits) { Ok(()) } else { Err(Refusal::ActionBadType) }
}
