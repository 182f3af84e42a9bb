//! Changes of the actions of flows.

use crate::bridge::Edit;
use crate::tables::{Filter, Flow};
use std::sync::Arc;
use weft_flow::action::Actions;
use weft_flow::request::{FlowMod, Refusal};
use weft_flow::{Rule, RuleId};

impl Edit<'_> {
    /// Changes the flows that are meant, or adds one.
    pub(super) fn change(&mut self, request: FlowMod, is_strict: bool) -> Result<(), Refusal> {
        self.state.check_actions(&request.actions)?;
        let all = self.targets(&Filter::of_change(&request, is_strict))?;
        if all.is_empty() {
            let adds = request.modify_adds && request.cookie_mask == 0;
            return if adds { self.add(request) } else { Ok(()) };
        }
        let cookie = request.modifies_cookie.then_some(request.cookie);
        for id in all {
            self.change_one(id, &request.actions, cookie, request.flags.resets_counts);
        }
        Ok(())
    }

    fn change_one(
        &mut self,
        id: RuleId,
        actions: &Actions,
        cookie: Option<u64>,
        resets_counts: bool,
    ) {
        let Some(old) = self.state.tables.get(id).cloned() else { return };
        let rule = Rule {
            id,
            table: old.rule.table,
            priority: old.rule.priority,
            cookie: cookie.unwrap_or(old.rule.cookie),
            matching: old.rule.matching.clone(),
            actions: actions.clone(),
        };
        let (packets, bytes) = if resets_counts { (0, 0) } else { (old.packets, old.bytes) };
        let changed = self.state.next_change();
        let rule = Arc::new(rule);
        let new = Flow { rule, modified: self.now, changed, packets, bytes, ..old };
        self.replace_flow(new, false);
    }
}
