//! What the shared maps have of one interface: its slots, and what an underlay's program goes by.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv6Addr},
    os::fd::AsFd,
    sync::Arc,
};

use weft_ebpf_abi::{PortKey, QUEUES_MAX, Reason, VTEPS_MAX, VtepKey};

use crate::{MapError, Object, slots::Row};

/// The entries of one interface. They go with this value, but for those of a program that is pinned.
#[derive(Debug)]
pub struct NicEntry {
    object: Arc<Object>,
    ifindex: u32,
    row: Row,
    vteps: BTreeSet<VtepKey>,
    tunnel_ports: BTreeSet<PortKey>,
    stays: bool,
}

impl NicEntry {
    /// Gives an interface slots for this many RX queues (1 to [`QUEUES_MAX`]; more are served as that many). One
    /// that has enough, from an earlier process, keeps them, its counters and all that the maps have of it.
    ///
    /// # Errors
    /// [`MapError::Full`], or the kernel's refusal.
    pub fn open(object: &Arc<Object>, ifindex: u32, queues: u32) -> Result<Self, MapError> {
        let queues = queues.clamp(1, QUEUES_MAX);
        let mut maps = object.maps();
        let row = match maps.row(ifindex) {
            Some(row) if row.queues >= queues => row,
            _ => maps.add(ifindex, queues)?,
        };
        let vteps = maps.vteps.keys(|key| key.ifindex == ifindex);
        let tunnel_ports = maps.tunnel_ports.keys(|key| key.ifindex == ifindex);
        drop(maps);
        let object = Arc::clone(object);
        Ok(Self { object, ifindex, row, vteps, tunnel_ports, stays: false })
    }

    /// Forgets what an earlier interface with this number left: it counts from 0, and nothing is for us.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn reset(&mut self) -> Result<(), MapError> {
        let mut maps = self.object.maps();
        maps.empty(self.row);
        maps.write(self.ifindex, self.row)?;
        drop(maps);
        self.set_vteps(&[])?;
        self.set_tunnel_ports(&[])
    }

    /// From now on the entries outlive this value.
    pub(crate) const fn stays(&mut self) {
        self.stays = true;
    }

    /// The entries go with this value.
    pub(crate) const fn goes(&mut self) {
        self.stays = false;
    }

    pub(crate) fn object(&self) -> &Object {
        &self.object
    }

    /// Frames of this RX queue go to this AF_XDP socket from now on. The kernel takes the socket out by
    /// itself when it is closed.
    ///
    /// # Errors
    /// [`MapError::QueueOutOfRange`], or the kernel's refusal (a descriptor that is no AF_XDP socket).
    pub fn set_socket(&mut self, queue: u32, socket: impl AsFd) -> Result<(), MapError> {
        let slot = self.slot(queue)?;
        self.object.maps().set_socket(slot, socket.as_fd())
    }

    /// Frames of this RX queue pass to the host from now on. An empty slot is no error.
    ///
    /// # Errors
    /// [`MapError::QueueOutOfRange`], or the kernel's refusal.
    pub fn clear_socket(&mut self, queue: u32) -> Result<(), MapError> {
        let slot = self.slot(queue)?;
        self.object.maps().clear_socket(slot)
    }

    fn slot(&self, queue: u32) -> Result<u32, MapError> {
        let Row { first, queues } = self.row;
        if queue < queues {
            Ok(first.saturating_add(queue))
        } else {
            Err(MapError::QueueOutOfRange { queue, queues })
        }
    }

    /// Exactly these addresses are local VTEPs of the interface from now on. What stays is not touched, new ones go
    /// in before old ones go out. An IPv4-mapped IPv6 address is the IPv4 address.
    ///
    /// # Errors
    /// [`MapError::TooManyVteps`] (nothing is changed), [`MapError::Full`], or the kernel's refusal (some may be
    /// changed; the next call goes on from there).
    pub fn set_vteps(&mut self, addresses: &[IpAddr]) -> Result<(), MapError> {
        let ifindex = self.ifindex;
        let key = |address: &IpAddr| VtepKey { ifindex, address: mapped(*address).octets() };
        let wanted: BTreeSet<VtepKey> = addresses.iter().map(key).collect();
        let count = wanted.len();
        if u32::try_from(count).map_or(true, |count| count > VTEPS_MAX) {
            return Err(MapError::TooManyVteps { count });
        }
        self.object.maps().vteps.replace(&mut self.vteps, &wanted)
    }

    /// Exactly these UDP destination ports carry tunnels from now on. What stays is not touched.
    ///
    /// # Errors
    /// [`MapError::Full`], or the kernel's refusal (some may be changed; the next call goes on from there).
    pub fn set_tunnel_ports(&mut self, ports: &[u16]) -> Result<(), MapError> {
        let ifindex = self.ifindex;
        let key = |port: &u16| PortKey { ifindex, port: u32::from(*port) };
        let wanted: BTreeSet<PortKey> = ports.iter().map(key).collect();
        self.object.maps().tunnel_ports.replace(&mut self.tunnel_ports, &wanted)
    }

    /// The counters of this interface since its program was attached, summed over CPUs, in the order of
    /// [`Reason::ALL`].
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn counters(&self) -> Result<Vec<(Reason, u64)>, MapError> {
        self.object.maps().counters(self.ifindex)
    }
}

impl Drop for NicEntry {
    fn drop(&mut self) {
        if !self.stays {
            self.object.maps().remove(self.ifindex);
        }
    }
}

fn mapped(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}
