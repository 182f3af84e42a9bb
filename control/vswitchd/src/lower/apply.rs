//! Runs the steps of a plan.  A step that fails is undone, and its interface gets the reason.

use crate::host::Host;
use crate::host::links::{LinkError, Nic};
use crate::host::nic::NicOrder;
use crate::host::threads::Opened;
use crate::lower::Lower;
use crate::netlink::kernel::Changes;
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

/// A link cannot be opened; why is noted.
pub(crate) struct Refused;

impl Apply<'_> {
    /// Runs one step; false when it failed in a way that changes the plan.
    pub(crate) fn step(&mut self, step: &Step) -> bool {
        match step {
            // Threads do that: `close`, `order`.
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

    /// Has the link closed that a step names.
    pub(crate) fn close(&mut self, step: &Step) {
        let Step::Close { name, removes_device } = step else { return };
        let Some((held, ifindex)) = self.host.links.get(name).map(|link| (link.held, link.ifindex))
        else {
            return;
        };
        self.say_why(name, ifindex, held);
        let Some(mut leaving) = self.host.links.leave(name, *removes_device) else { return };
        if held == Held::Port {
            let is_there = self.host.kernel.link(ifindex).is_some_and(|link| link.name == *name);
            leaving.ends_promiscuity = self.host.promiscuous.remove(name) && is_there;
        }
        self.host.threads.close([leaving], &mut self.lower.workers);
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

    /// What it takes to open the NIC that a step names, if it names one.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn order(&mut self, step: &Step) -> Result<Option<NicOrder>, Refused> {
        let (name, ifindex, held) = match step {
            Step::OpenPort { name, ifindex } => (name, *ifindex, Held::Port),
            Step::OpenUnderlay { name, ifindex } => (name, *ifindex, Held::Underlay),
            _ => return Ok(None),
        };
        self.order_nic(name, ifindex, held).map(Some).map_err(|text| {
            self.host.failures.note(name, ifindex, text);
            Refused
        })
    }

    fn order_nic(&mut self, name: &str, ifindex: u32, held: Held) -> Result<NicOrder, String> {
        if self.host.stuck_nics.contains(name) {
            return Err("a worker that hangs has its queues".to_owned());
        }
        let device = self.host.kernel.link(ifindex);
        let device = device
            .ok_or_else(|| format!("could not open network device {name} (No such device)"))?;
        let (mtu, kind, is_promiscuous) = (device.mtu, &device.kind, device.is_promiscuous);
        let nic = Nic { name, ifindex, mtu, kind, held, is_promiscuous };
        self.host.links.order(&nic, &self.lower.workers).map_err(|error| error.to_string())
    }

    /// Takes a NIC into service, if it is open; false when it is not.
    pub(crate) fn take_nic(&mut self, opened: Opened) -> bool {
        let Opened { order, outcome } = opened;
        let name = &order.name;
        let nic = match outcome {
            Ok(nic) => nic,
            Err(error) => {
                self.host.links.refuse(&order);
                self.host.failures.note(name, order.ifindex, error.to_string());
                return false;
            }
        };
        if !self.has_workers_of(&order) {
            // What the kernel would tell has it looked at again.
            let device = (order.ifindex, name.clone());
            self.host.note_devices(Changes { devices: [device].into(), ..Changes::default() });
            self.host.threads.undo(name, nic);
            return true;
        }
        if nic.is_made_promiscuous {
            self.host.promiscuous.insert(name.clone());
        }
        self.host.links.adopt(name, nic, &self.lower.workers);
        self.host.look_at_carrier(name);
        if let Some(attached) = self.host.links.get(name).and_then(|link| link.attached.as_ref()) {
            let mode = attached.mode();
            if let Some(reason) = attached.fallback_reason() {
                tracing::info!("{name}: {mode} XDP, since {reason}");
            } else {
                tracing::info!("{name}: {mode} XDP");
            }
        }
        true
    }

    /// False when a worker that was to have a queue was replaced by one with other memory.
    fn has_workers_of(&self, order: &NicOrder) -> bool {
        order.workers.iter().all(|(worker, region)| {
            self.lower.workers.region(*worker).is_some_and(|now| now.same(*region))
        })
    }
}
