//! Neighbours: what the kernel knows of them, is told, and is made to ask.

use super::{Kernel, family};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::RouteType;
use std::io;
use std::net::IpAddr;

/// What is known of a neighbour's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// This MAC address; `is_stale` when it was not confirmed lately.
    Known {
        /// The address.
        mac: [u8; 6],
        /// It was not confirmed lately.
        is_stale: bool,
    },
    /// It is being asked for.
    Asked,
    /// It does not answer.
    Silent,
}

impl Kernel {
    /// Tells the kernel the MAC address of a neighbour, as if it had just answered.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_neighbour(&mut self, ifindex: u32, address: IpAddr, mac: [u8; 6]) -> io::Result<()> {
        let mut message = neighbour_message(ifindex, address);
        message.header.state = NeighbourState::Reachable;
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.to_vec()));
        let flags = NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
        self.request(RouteNetlinkMessage::NewNeighbour(message), flags)?;
        Ok(())
    }

    /// Makes the kernel ask for a neighbour, or confirm one that it knows.
    ///
    /// # Errors
    /// When the kernel refuses, because the device is down for example.
    pub fn ask_neighbour(&mut self, ifindex: u32, address: IpAddr) -> io::Result<()> {
        let mut message = neighbour_message(ifindex, address);
        message.header.flags = NeighbourFlags::Use;
        self.request(
            RouteNetlinkMessage::NewNeighbour(message),
            NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE,
        )?;
        Ok(())
    }

    /// Makes the kernel ask a neighbour whether it is still there, also when it has answered lately.
    /// The kernel gives it up after three questions, a second apart.  Nothing is asked of neighbours
    /// that were set for good.
    ///
    /// # Errors
    /// When the kernel refuses, or does not know the neighbour.
    pub fn probe_neighbour(&mut self, ifindex: u32, address: IpAddr) -> io::Result<()> {
        let mut message = neighbour_message(ifindex, address);
        let known = self.request(RouteNetlinkMessage::GetNeighbour(message.clone()), 0)?;
        let was_learned = known.iter().any(|answer| match answer {
            RouteNetlinkMessage::NewNeighbour(known) => matches!(
                known.header.state,
                NeighbourState::Reachable | NeighbourState::Stale | NeighbourState::Delay
            ),
            _ => false,
        });
        if was_learned {
            message.header.state = NeighbourState::Probe;
            self.request(RouteNetlinkMessage::NewNeighbour(message), NLM_F_ACK | NLM_F_REPLACE)?;
        }
        Ok(())
    }
}

fn neighbour_message(ifindex: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = ifindex;
    message.header.kind = RouteType::Unspec;
    let target = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    message.attributes.push(NeighbourAttribute::Destination(target));
    message
}

pub(super) fn neighbour(message: &NeighbourMessage) -> Option<(IpAddr, Neighbour)> {
    let mut address = None;
    let mut target = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(ip)) => {
                address = Some(IpAddr::V4(*ip));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(ip)) => {
                address = Some(IpAddr::V6(*ip));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => target = Some(super::decode::mac(bytes)),
            _ => {}
        }
    }
    let state = match message.header.state {
        NeighbourState::Reachable
        | NeighbourState::Permanent
        | NeighbourState::Noarp
        | NeighbourState::Delay
        | NeighbourState::Probe => Neighbour::Known { mac: target?, is_stale: false },
        NeighbourState::Stale => Neighbour::Known { mac: target?, is_stale: true },
        NeighbourState::Incomplete => Neighbour::Asked,
        _ => Neighbour::Silent,
    };
    Some((address?, state))
}
