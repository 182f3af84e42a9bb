//! Runs the steps of a plan.  A step that fails is undone, and its interface gets the reason.

use crate::host::Host;
use crate::host::links::{LinkError, Nic};
use crate::host::nic::{NicOrder, OpenNic};
use crate::host::parallel;
use crate::lower::Lower;
use crate::plan::installed::Installed;
use crate::plan::{Held, Step};
use std::io;
use weft_wire::mac::MacAddr;

/// What steps change.
pub struct Apply<'a> {
    /// The devices and links.
    pub host: &'a mut Host,
    /// The workers, which get queues.
    pub lower: &'a mut Lower,
    /// What forwards.
    pub plan: &'a Installed,
}

impl Apply<'_> {
    /// Runs one step; false when it failed in a way that changes the plan.
    pub(crate) fn step(&mut self, step: &Step) -> bool {
        match step {
            // All of a plan together: `close_links`, `open_nics`.
            Step::Close { .. } | Step::OpenPort { .. } | Step::OpenUnderlay { .. } => true,
            Step::OpenTap { name, mac } => match self.open_tap(name, *mac) {
                Ok(()) => true,
                Err(error) => {
                    self.host.failures.note(name, 0, error.to_string());
                    false
                }
            },
            Step::SetMac { name, mac } => {
                self.change(name, &format!("address {mac}"), |kernel, ifindex| {
                    kernel.set_mac(ifindex, mac.octets())
                });
                true
            }
            Step::SetMtu { name, mtu } => {
                self.set_mtu(name, *mtu);
                true
            }
            Step::SetVteps { name, addresses, udp_ports } => {
                let attached =
                    self.host.links.get_mut(name).and_then(|link| link.attached.as_mut());
                if let Some(attached) = attached {
                    let set = attached.set_vteps(addresses);
                    let set = set.and(attached.set_tunnel_ports(udp_ports));
                    if let Err(error) = set {
                        tracing::error!("{name}: {error}");
                    }
                }
                true
            }
        }
    }

    /// A refusal is said once; the interface's row has it as long as it asks for that MTU.
    fn set_mtu(&mut self, name: &str, mtu: u32) {
        let Some(ifindex) = self.host.device(name).map(|link| link.ifindex) else { return };
        match self.host.kernel.set_mtu(ifindex, mtu) {
            Ok(()) => {
                tracing::info!("{name}: mtu {mtu}");
                self.host.links.note_mtu(name, None);
                self.host.links.set_mtu(name, mtu);
            }
            Err(error) => {
                if self.host.links.note_mtu(name, Some((mtu, error.to_string()))) {
                    tracing::warn!("{name}: mtu {mtu}: {error}");
                }
            }
        }
    }

    fn change(
        &mut self,
        name: &str,
        what: &str,
        change: impl FnOnce(&mut crate::netlink::kernel::Kernel, u32) -> io::Result<()>,
    ) {
        let Some(ifindex) = self.host.device(name).map(|link| link.ifindex) else { return };
        match change(&mut self.host.kernel, ifindex) {
            Ok(()) => tracing::info!("{name}: {what}"),
            Err(error) => tracing::warn!("{name}: {what}: {error}"),
        }
    }

    /// Closes the links that the steps name, at a time.
    pub(crate) fn close_links(&mut self, steps: &[Step]) {
        let mut names = Vec::new();
        let mut ports = Vec::new();
        for step in steps {
            let Step::Close { name, removes_device } = step else { continue };
            let Some(link) = self.host.links.get(name) else { continue };
            self.say_why(name, link.ifindex, link.held);
            if link.held == Held::Port {
                ports.push((name, link.ifindex));
            }
            names.push((name.as_str(), *removes_device));
        }
        self.host.links.close_all(names, &mut self.lower.workers);
        for (name, ifindex) in ports {
            let is_there = self.host.kernel.link(ifindex).is_some_and(|link| link.name == *name);
            if self.host.promiscuous.remove(name) && is_there {
                // The device may be on its way out.
                let _ = self.host.kernel.set_promiscuous(ifindex, false);
            }
        }
    }

    /// Why a link is closed.
    fn say_why(&self, name: &str, ifindex: u32, held: Held) {
        match self.host.kernel.link(ifindex) {
            _ if held == Held::Tap => tracing::info!("{name}: closing"),
            Some(device) if device.name != name => {
                tracing::warn!("{name}: its device is called {} now: closing", device.name);
            }
            Some(_) => tracing::info!("{name}: closing"),
            None => tracing::warn!(
                "{name}: its device was removed, or moved to another namespace: closing"
            ),
        }
    }

    fn open_tap(&mut self, name: &str, mac: Option<MacAddr>) -> Result<(), LinkError> {
        let ifindex = self.host.links.open_tap(name, mac, &self.lower.workers)?;
        let changes = self.host.kernel.refresh_link(ifindex)?;
        let lost = self.host.note_changes(changes);
        self.lower.forget_behind(&lost, self.plan);
        self.host.look_at_carrier(name);
        self.host.sync_link(name);
        tracing::info!("{name}: internal port is there");
        Ok(())
    }

    /// Opens the NICs that the steps name, at a time; false when one failed.
    pub(crate) fn open_nics(&mut self, steps: &[Step]) -> bool {
        let mut orders = Vec::new();
        let mut is_complete = true;
        for step in steps {
            let (name, ifindex, held) = match step {
                Step::OpenPort { name, ifindex } => (name, *ifindex, Held::Port),
                Step::OpenUnderlay { name, ifindex } => (name, *ifindex, Held::Underlay),
                _ => continue,
            };
            match self.order_nic(name, ifindex, held) {
                Ok(order) => orders.push(order),
                Err(text) => {
                    self.host.failures.note(name, ifindex, text);
                    is_complete = false;
                }
            }
        }
        let results = parallel::each(orders, |order, at_once| {
            let opened = order.open(at_once);
            (order, opened)
        });
        for (order, opened) in results {
            is_complete &= self.take_nic(&order, opened);
        }
        is_complete
    }

    fn order_nic(&mut self, name: &str, ifindex: u32, held: Held) -> Result<NicOrder, String> {
        if self.host.stuck_nics.contains(name) {
            return Err("a worker that hangs has its queues".to_owned());
        }
        let device = self.host.kernel.link(ifindex);
        let device = device
            .ok_or_else(|| format!("could not open network device {name} (No such device)"))?;
        let nic = Nic { name, ifindex, mtu: device.mtu, kind: &device.kind, held };
        self.host.links.order(&nic, &self.lower.workers).map_err(|error| error.to_string())
    }

    /// Takes a NIC into service, if it is open; false when it is not.
    fn take_nic(&mut self, order: &NicOrder, opened: Result<OpenNic, LinkError>) -> bool {
        let name = &order.name;
        let adopted = match opened {
            Ok(nic) => self.host.links.adopt(name, nic, &mut self.lower.workers),
            Err(error) => {
                self.host.links.refuse(order);
                Err(error)
            }
        };
        if let Err(error) = adopted {
            self.host.failures.note(name, order.ifindex, error.to_string());
            return false;
        }
        self.host.look_at_carrier(name);
        let attached = self.host.links.get(name).and_then(|link| link.attached.as_ref());
        let mut is_adopted = false;
        if let Some(attached) = attached {
            let mode = attached.mode();
            is_adopted = attached.adopted();
            if let Some(reason) = attached.fallback_reason() {
                tracing::info!("{name}: {mode} XDP, since {reason}");
            } else {
                tracing::info!("{name}: {mode} XDP");
            }
        }
        if order.held == Held::Port
            && let Some(device) = self.host.kernel.link(order.ifindex).cloned()
        {
            self.make_promiscuous(&device, is_adopted);
        }
        true
    }

    /// As a port of a bridge a NIC must take frames for all stations behind it.
    fn make_promiscuous(&mut self, link: &crate::netlink::kernel::Link, is_adopted: bool) {
        let name = &link.name;
        if !link.is_promiscuous
            && let Err(error) = self.host.kernel.set_promiscuous(link.ifindex, true)
        {
            tracing::warn!("{name}: cannot be promiscuous: {error}");
        } else if !link.is_promiscuous || is_adopted {
            // An adopted link was a port of ours already, so it was we who made it so.
            self.host.promiscuous.insert(name.clone());
        }
    }
}
