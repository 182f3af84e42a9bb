//! First half of a change: nothing is sent any more to what goes; then it goes.

use super::{Piece, Stage};
use crate::engine::Engine;
use crate::lower::Lower;
use crate::plan::installed::Installed;
use crate::plan::{Carrier, Held, Plan, Step};
use std::collections::BTreeSet;
use std::time::Instant;
use uuid::Uuid;
use weft_switch::PortId;

impl Engine {
    /// Publishes a snapshot without what goes, if anything does.
    pub(super) fn part(&mut self, piece: &mut Piece) -> Stage {
        let closing = closing(&piece.next);
        let gone = gone(&piece.next, &self.plan, &closing);
        if gone.is_empty() && closing.is_empty() {
            return Stage::Open;
        }
        for row in &gone {
            piece.left.extend(self.plan.ports.remove(row).map(|port| port.port.clone()));
        }
        for port in &piece.left {
            self.lower.mark_port(port);
        }
        let mut links = closing.iter().filter_map(|name| self.host.links.get(name));
        if links.any(|link| link.held == Held::Underlay) {
            leave_underlays(&closing, &mut self.plan, &mut self.lower);
        }
        self.publisher().install();
        piece.gone = gone;
        Stage::Close
    }

    /// Takes the numbers of what is gone back, and has links closed.
    pub(super) fn close(&mut self, piece: &mut Piece, until: Instant) -> Stage {
        for row in piece.gone.drain(..) {
            self.lower.ids.ifaces.take_back(&row);
        }
        self.retire(piece);
        while let Some(step) = piece.next.close.get(piece.done) {
            piece.done += 1;
            self.apply().close(step);
            if Instant::now() >= until {
                return Stage::Close;
            }
        }
        piece.done = 0;
        Stage::Open
    }

    /// Takes the numbers of ports back that interfaces have left, if they have none any more, and forgets
    /// what was learned there.  To be called when nothing is sent to them any more.
    pub(super) fn retire(&mut self, piece: &mut Piece) {
        for port in std::mem::take(&mut piece.left) {
            if self.plan.ports.by_port(&port).is_none()
                && let Some(number) = self.lower.ids.ports.take_back(&port)
            {
                self.lower.workers.forget_fdb(None, Some(PortId(number)));
                self.protocols.snooping.forget_port(PortId(number));
            }
        }
    }
}

/// The links that go.
fn closing(next: &Plan) -> BTreeSet<&String> {
    let names = next.close.iter().filter_map(|step| match step {
        Step::Close { name, .. } => Some(name),
        _ => None,
    });
    names.collect()
}

/// Interfaces that forward no more, or not before their link is open again.
fn gone(next: &Plan, installed: &Installed, closing: &BTreeSet<&String>) -> Vec<Uuid> {
    let stay: BTreeSet<Uuid> = next.ports.iter().map(|port| port.interface).collect();
    let is_gone = |row: &&Uuid| {
        installed.ports.get(row).is_some_and(|port| {
            let closes = port.carrier == Carrier::Link && closing.contains(&port.name);
            closes || !stay.contains(*row)
        })
    };
    next.planned.iter().filter(is_gone).copied().collect()
}

/// Tunnels that leave by a NIC that is closed have no way any more.
fn leave_underlays(closing: &BTreeSet<&String>, plan: &mut Installed, lower: &mut Lower) {
    for row in plan.ports.linked().clone() {
        let Some(port) = plan.ports.get(&row) else { continue };
        let mut left = port.clone();
        left.leave_underlays(closing);
        if left != *port {
            lower.mark_port(&left.port);
            plan.ports.insert(left);
        }
    }
}
