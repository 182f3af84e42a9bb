//! What the kernel is told of devices.

use super::Kernel;
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use std::io;

impl Kernel {
    fn set_link(
        &mut self,
        ifindex: u32,
        flags: LinkFlags,
        change: LinkFlags,
        attribute: Option<LinkAttribute>,
    ) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        message.header.flags = flags;
        message.header.change_mask = change;
        message.attributes.extend(attribute);
        self.request(RouteNetlinkMessage::SetLink(message), NLM_F_ACK)?;
        Ok(())
    }

    /// Makes a device receive frames for any address, or no longer.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_promiscuous(&mut self, ifindex: u32, on: bool) -> io::Result<()> {
        let flags = if on { LinkFlags::Promisc } else { LinkFlags::empty() };
        self.set_link(ifindex, flags, LinkFlags::Promisc, None)
    }

    /// Sets a device up.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_up(&mut self, ifindex: u32) -> io::Result<()> {
        self.set_link(ifindex, LinkFlags::Up, LinkFlags::Up, None)
    }

    /// Sets a device's MTU.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_mtu(&mut self, ifindex: u32, mtu: u32) -> io::Result<()> {
        let none = LinkFlags::empty();
        self.set_link(ifindex, none, none, Some(LinkAttribute::Mtu(mtu)))
    }

    /// Sets a device's MAC address.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_mac(&mut self, ifindex: u32, mac: [u8; 6]) -> io::Result<()> {
        let none = LinkFlags::empty();
        self.set_link(ifindex, none, none, Some(LinkAttribute::Address(mac.to_vec())))
    }

    /// Removes a device.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn delete_link(&mut self, ifindex: u32) -> io::Result<()> {
        let mut message = LinkMessage::default();
        message.header.index = ifindex;
        self.request(RouteNetlinkMessage::DelLink(message), NLM_F_ACK)?;
        Ok(())
    }
}
