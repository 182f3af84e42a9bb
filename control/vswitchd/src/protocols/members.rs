//! Ports that may take part in a control protocol.

use crate::config::desired::{Bridge, Port};
use crate::host::Host;
use crate::lower::publish::Ids;
use crate::plan::installed::Installed;
use crate::plan::{Carrier, Held};
use crate::protocols::spanning::Member;
use weft_io::ethtool::Medium;
use weft_wire::mac::MacAddr;

/// Where it stands what a port is.
pub struct Members<'a> {
    /// What is planned.
    pub plan: &'a Installed,
    /// Devices and links.
    pub host: &'a Host,
}

impl Members<'_> {
    /// The address of a bridge: that of its LOCAL port.
    #[must_use]
    pub fn address(&self, bridge: &Bridge) -> Option<MacAddr> {
        Some(MacAddr(self.host.device(&bridge.name)?.mac))
    }

    /// A port that is planned and may take part.  Internal ports take none: a host is no bridge.
    #[must_use]
    pub fn member(&self, ids: &Ids, bridge: &Bridge, port: &Port) -> Option<Member> {
        let rows = port.interfaces.iter().map(|interface| &interface.uuid);
        let mut planned = rows.filter_map(|row| self.plan.ports.get(row));
        let planned = planned.find(|planned| planned.bridge == bridge.name)?;
        let local = self.address(bridge)?;
        let group = planned.split_horizon.as_ref().and_then(|name| ids.groups.get(name));
        let mut member = Member {
            id: ids.port(&port.name)?,
            interface: planned.name.clone(),
            source: local,
            is_up: true,
            medium: Medium::default(),
            vid: planned.vlan.tag,
            group: group.unwrap_or(0),
        };
        if planned.carrier == Carrier::Link {
            let link = self.host.links.get(&planned.name).filter(|link| link.held != Held::Tap)?;
            let device = self.host.device(&planned.name);
            member.source = device.map_or(local, |device| MacAddr(device.mac));
            member.is_up = device.is_some_and(|device| device.is_running);
            member.medium = link.medium;
        }
        Some(member)
    }

    /// True when the device of an open link is there and has no carrier.
    #[must_use]
    pub fn is_down(&self, name: &str) -> bool {
        self.host.device(name).is_some_and(|device| !device.is_running)
    }
}
