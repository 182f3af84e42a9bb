//! The addresses of this host that packets can be sent from.

use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// An address, with the number of its device.
type Owned = (u32, IpAddr);

/// Addresses as the kernel tells of them.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    usable: BTreeSet<Owned>,
    /// Those of them that should be used no more (RFC 4862 section 5.5.4): the kernel prefers others
    /// as the source of routes.
    deprecated: BTreeSet<Owned>,
}

impl Addresses {
    /// Takes over what is said of an address, and returns it when routes may have another source now.
    ///
    /// An IPv6 address is nobody's before it is known to be unique (RFC 4862 section 5.4): until then
    /// the kernel sends from another one, and it says the same address again when that is over.
    pub(super) fn note(&mut self, message: &AddressMessage) -> Option<Owned> {
        let flags = message.header.flags;
        let is_unique = !flags.contains(AddressHeaderFlags::Tentative)
            || flags.contains(AddressHeaderFlags::Optimistic);
        if !is_unique {
            return self.remove(message);
        }
        let who = owned(message)?;
        let is_new = self.usable.insert(who);
        let differs = if flags.contains(AddressHeaderFlags::Deprecated) {
            self.deprecated.insert(who)
        } else {
            self.deprecated.remove(&who)
        };
        (is_new || differs).then_some(who)
    }

    /// Forgets an address, and returns it when it was there.
    pub(super) fn remove(&mut self, message: &AddressMessage) -> Option<Owned> {
        let who = owned(message)?;
        self.deprecated.remove(&who);
        self.usable.take(&who)
    }

    /// Forgets those of a device, and returns them.
    pub(super) fn remove_device(&mut self, ifindex: u32) -> BTreeSet<Owned> {
        self.deprecated.retain(|(of, _)| *of != ifindex);
        self.usable.extract_if(.., |(of, _)| *of == ifindex).collect()
    }

    /// All of them.
    pub(super) const fn all(&self) -> &BTreeSet<Owned> {
        &self.usable
    }
}

fn owned(message: &AddressMessage) -> Option<Owned> {
    local(message).map(|address| (message.header.index, address))
}

/// The address itself; on a point-to-point link `Address` is the peer's.
fn local(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}
