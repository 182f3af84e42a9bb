//! Ports that are no tunnels: devices of the host, TAPs of ours, patch ports.

use super::{Carrier, Device, Held, OpenLink, Planner};
use crate::config::desired::Kind;

impl Planner<'_> {
    /// Devices and TAPs that are ports.
    pub(super) fn links(&mut self) {
        for (bridge, port, interface) in self.looked.clone() {
            let name = &interface.name;
            let link = match &interface.kind {
                Kind::Internal => {
                    let ifindex = self.observed.open.get(name).map_or(0, |open| open.ifindex);
                    OpenLink { held: Held::Tap, ifindex }
                }
                Kind::System => match self.foreign_device(name) {
                    Some(device) if device.is_loopback => {
                        let text = format!(
                            "could not add network device {name} to ofproto (Invalid argument)"
                        );
                        self.fail(interface, text);
                        continue;
                    }
                    Some(device) => OpenLink { held: Held::Port, ifindex: device.ifindex },
                    None => {
                        let text = format!("could not open network device {name} (No such device)");
                        self.fail(interface, text);
                        continue;
                    }
                },
                Kind::Tunnel(_) | Kind::Patch(_) => continue,
                Kind::Unusable(text) => {
                    self.fail(interface, text.clone());
                    continue;
                }
            };
            if let Some((ifindex, text)) = self.observed.failed.get(name)
                && *ifindex == link.ifindex
            {
                self.fail(interface, text.clone());
                continue;
            }
            self.wanted.insert(name.clone(), link);
            self.push_port(bridge, port, interface, Carrier::Link);
        }
    }

    /// A device of the host that is no TAP of ours: such a one is on its way out when its name is
    /// wanted for another kind of interface.
    pub(super) fn foreign_device(&self, name: &str) -> Option<&Device> {
        let device = self.observed.devices.get(name)?;
        let open = self.observed.open.get(name);
        let is_tap =
            open.is_some_and(|open| open.held == Held::Tap && open.ifindex == device.ifindex);
        (!is_tap).then_some(device)
    }

    /// Patch ports.  One whose other end is not there, or names another, is a port all the same.
    pub(super) fn patches(&mut self) {
        let desired = self.desired;
        for row in self.plan.planned.clone() {
            let Some((bridge, port, interface)) = desired.interface(&row) else { continue };
            let Kind::Patch(peer) = &interface.kind else { continue };
            if let Some(text) = self.fault(bridge) {
                self.fail(interface, text);
                continue;
            }
            let other = desired.patch(peer).filter(|other| {
                let other = desired.interface(other);
                other.is_some_and(|(bridge, _, other)| {
                    self.fault(bridge).is_none()
                        && other.kind == Kind::Patch(interface.name.clone())
                })
            });
            if other.is_none() {
                let datapath = &bridge.datapath_type;
                let text = format!("No usable peer '{peer}' exists in '{datapath}' datapath.");
                self.plan.complaints.insert(interface.uuid, text);
            }
            self.push_port(bridge, port, interface, Carrier::Patch { peer: peer.clone(), other });
        }
    }
}
