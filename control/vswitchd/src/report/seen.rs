//! What bridges, ports and interfaces are like now, as rows and commands show it.

use crate::config::Config;
use crate::config::desired::{Bridge, Desired, Interface, Protocol};
use crate::config::tunnel::Tunnel;
use crate::host::Host;
use crate::host::links::{Link, Links};
use crate::netlink::kernel::{Kernel, Link as Device};
use crate::plan::installed::Installed;
use crate::plan::path::{Path, State};
use crate::plan::{Carrier, PlannedPort};
use crate::protocols::spanning::Spanning;
use crate::protocols::{Protocols, TreeView};
use crate::report::status::InterfaceStatus;
use crate::underlay::Underlay;
use crate::underlay::dead_ends::DeadEnds;
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_wire::mac::MacAddr;

/// What is looked at.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// What is wanted.
    pub desired: &'a Desired,
    /// What was published last.
    pub plan: &'a Installed,
    /// The kernel's tables.
    pub kernel: &'a Kernel,
    /// Open links.
    pub links: &'a Links,
    /// What the underlay says of tunnels that lead nowhere.
    pub dead_ends: &'a DeadEnds,
    /// Spanning trees and loop guards.
    pub spanning: &'a Spanning,
}

impl<'a> Seen<'a> {
    /// What there is to look at in these parts.
    #[must_use]
    pub const fn of(
        config: &'a Config,
        plan: &'a Installed,
        host: &'a Host,
        underlay: &'a Underlay,
        protocols: &'a Protocols,
    ) -> Self {
        Self {
            desired: &config.desired,
            plan,
            kernel: &host.kernel,
            links: &host.links,
            dead_ends: &underlay.dead_ends,
            spanning: &protocols.spanning,
        }
    }

    /// The text for `Interface.error`: why an interface does not work, or not as it was asked to.
    #[must_use]
    pub fn error(&self, interface: &Interface) -> Option<String> {
        let mtu_refused = || {
            let (mtu, why) = self.links.get(&interface.name)?.mtu_refused.as_ref()?;
            let is_asked = interface.mtu_request == Some(*mtu);
            is_asked.then(|| {
                format!("{}: the device does not take mtu_request={mtu} ({why})", interface.name)
            })
        };
        self.plan.error(&interface.uuid).cloned().or_else(mtu_refused)
    }

    /// The device of an open link, unless it is out of sight.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&'a Device> {
        self.links.device(name, self.kernel)
    }

    /// `datapath_id` of a bridge: what was configured, or the address of its LOCAL port.
    #[must_use]
    pub fn datapath_id(&self, bridge: &Bridge) -> Option<String> {
        if let Some(id) = &bridge.datapath_id {
            return Some(id.clone());
        }
        let mac = MacAddr(self.device(&bridge.name)?.mac);
        Some(format!("{:016x}", mac.to_u64()))
    }

    /// The values of one interface that forwards.
    #[must_use]
    pub fn interface_status(&self, interface: &Interface, port: &PlannedPort) -> InterfaceStatus {
        let mut status = InterfaceStatus {
            ofport: i64::from(port.ofport),
            error: self.error(interface),
            ..InterfaceStatus::default()
        };
        match &port.carrier {
            Carrier::Tunnel(tunnel, path) => {
                tunnel_status(&mut status, interface.uuid, tunnel, path);
                let dead_end = self.dead_ends.text(&interface.uuid);
                if let (State::Ready(_), Some(text)) = (&path.state, dead_end) {
                    status.status.insert("tunnel_unreachable".to_owned(), text);
                }
            }
            Carrier::Link => self.link_status(&mut status, &interface.name),
            Carrier::Patch { .. } => deviceless_status(&mut status, interface.uuid),
        }
        status
    }

    fn link_status(&self, status: &mut InterfaceStatus, name: &str) {
        let Some(link) = self.links.get(name) else { return };
        status.link_resets = Some(link.resets);
        status.status = device_status(link);
        if let Some(device) = self.device(name) {
            status.is_admin_up = Some(device.is_admin_up);
            status.is_running = Some(device.is_running);
            status.mac = Some(MacAddr(device.mac).to_string());
            status.mtu = Some(device.mtu);
            status.ifindex = Some(device.ifindex);
            status.speed = link.medium.speed_mbps.and_then(bits_per_second);
            status.is_full_duplex = link.medium.is_full_duplex;
        } else {
            // Moved into another namespace: it works on, out of our sight.
            status.is_admin_up = Some(false);
            status.is_running = Some(false);
            status.ifindex = Some(0);
        }
    }

    /// The tree of a bridge, if it has one of this protocol.
    #[must_use]
    pub fn tree_of(&self, bridge: &Bridge, protocol: Protocol) -> Option<TreeView<'a>> {
        let mut trees = self.spanning.trees(protocol);
        trees.find(|(name, _)| *name == bridge.name).map(|(_, tree)| tree)
    }
}

/// What holds for an interface without a device of its own.
fn deviceless_status(status: &mut InterfaceStatus, row: Uuid) {
    status.is_admin_up = Some(true);
    status.is_running = Some(true);
    status.link_resets = Some(0);
    status.ifindex = Some(0);
    // An address that means nothing, as stock has it: local, and the same for as long as the row.
    let mut mac = row.as_bytes().first_chunk::<6>().copied().unwrap_or_default();
    if let Some(first) = mac.first_mut() {
        *first = *first & 0xfc | 0x02;
    }
    status.mac = Some(MacAddr(mac).to_string());
}

fn tunnel_status(status: &mut InterfaceStatus, row: Uuid, tunnel: &Tunnel, path: &Path) {
    deviceless_status(status, row);
    if let Some(egress) = &path.egress {
        let carrier = if egress.is_running { "up" } else { "down" };
        status.status.insert("tunnel_egress_iface".to_owned(), egress.name.clone());
        status.status.insert("tunnel_egress_iface_carrier".to_owned(), carrier.to_owned());
    }
    if path.mtu > 0 {
        let mtu = tunnel.effective_mtu(path.mtu).to_string();
        status.status.insert("tunnel_mtu".to_owned(), mtu);
    }
    if let State::Unreachable(reason) = &path.state {
        status.status.insert("tunnel_unreachable".to_owned(), reason.clone());
    }
    if let Some(text) = tunnel.awaits_flows() {
        status.status.insert("tunnel_flow".to_owned(), text.to_owned());
    }
}

fn device_status(link: &Link) -> BTreeMap<String, String> {
    let driver = link.driver.clone();
    let mut status = BTreeMap::from([
        ("driver_name".to_owned(), driver.name),
        ("driver_version".to_owned(), driver.version),
        ("firmware_version".to_owned(), driver.firmware),
    ]);
    if let Some(attached) = &link.attached {
        status.insert("xdp_mode".to_owned(), attached.mode().to_string());
    }
    if link.is_guest() {
        status.insert("io".to_owned(), "packet-socket".to_owned());
    }
    if let Some(mode) = link.af_xdp_mode {
        status.insert("af_xdp_mode".to_owned(), mode.to_owned());
    }
    status
}

fn bits_per_second(mbps: u64) -> Option<i64> {
    i64::try_from(mbps * 1_000_000).ok()
}
