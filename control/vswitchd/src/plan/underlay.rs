//! What tunnels mean for the internal ports of bridges: their MTU, and which of them are VTEPs.

use super::{Carrier, Held, MTU_DEFAULT, Planner};
use crate::config::desired::{Bridge, Kind};
use weft_switch::Vtep;

impl Planner<'_> {
    /// The MTU for the internal ports of a bridge: whatever they send fits each of its NICs and
    /// each of its tunnels.
    ///
    /// While a tunnel has no route nothing is known of its MTU, and that of the bridge does not
    /// grow: routes flap.
    pub(super) fn bridge_mtu(&self, bridge: &Bridge) -> u32 {
        let (mut known, mut is_lost) = (self.facts.nic_mtu(&bridge.name), false);
        let carries_tunnels = self.carries_tunnels(bridge);
        for (device, mtu) in self.facts.mtus(&bridge.name) {
            // Two bridges whose tunnels leave by each other would pull each other down for ever.
            if carries_tunnels && device.is_some_and(|device| self.is_tap(device)) {
                continue;
            }
            is_lost |= mtu.is_none();
            known = known.into_iter().chain(mtu).min();
        }
        let last = self.observed.bridge_mtus.get(&bridge.name).filter(|_| is_lost);
        let mtu = known.unwrap_or(MTU_DEFAULT);
        last.map_or(mtu, |last| mtu.min(*last))
    }

    fn is_tap(&self, name: &str) -> bool {
        self.wanted.get(name).is_some_and(|link| link.held == Held::Tap)
    }

    /// True when some tunnel leaves by an internal port of this bridge.
    fn carries_tunnels(&self, bridge: &Bridge) -> bool {
        let interfaces = self.desired.linked_of(bridge).map(|(_, _, interface)| interface);
        let mut internal = interfaces.filter(|interface| interface.kind == Kind::Internal);
        !self.facts.has_no_tunnels() && internal.any(|port| self.facts.leaves_by(&port.name))
    }

    /// Tells internal ports which of their addresses tunnel packets may be sent to.
    pub(super) fn mark_vteps(&mut self) {
        if self.facts.has_no_tunnels() {
            return;
        }
        let mut marks = Vec::new();
        for (index, port) in self.plan.ports.iter().enumerate() {
            if port.carrier != Carrier::Link || !self.is_tap(&port.name) {
                continue;
            }
            let Some(device) = self.tap_device(&port.name) else { continue };
            let mut addresses = self.vteps(&port.name, device.ifindex);
            addresses
                .retain(|address| self.observed.addresses.contains(&(device.ifindex, *address)));
            if !addresses.is_empty() {
                let addresses = addresses.into_iter().collect();
                marks.push((index, Vtep { mac: device.mac, addresses }));
            }
        }
        for (index, vtep) in marks {
            if let Some(port) = self.plan.ports.get_mut(index) {
                port.vtep = Some(vtep);
            }
        }
    }
}
