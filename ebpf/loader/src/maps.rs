//! The maps of a loaded object: sockets, VTEPs, tunnel ports, counters.

use std::{collections::BTreeSet, net::IpAddr, os::fd::AsFd};

use aya::maps::{Array, HashMap, Map, MapData, PerCpuArray, XskMap};
use weft_ebpf_abi::{PORT_WORDS, QUEUES_MAX, Reason, VTEPS_MAX, VtepKey, map, port_bit};

use crate::{MapError, Programs};

impl Programs {
    /// Frames of this RX queue go to this AF_XDP socket from now on. The kernel takes the socket out by
    /// itself when it is closed.
    ///
    /// # Errors
    /// [`MapError::QueueOutOfRange`], or the kernel's refusal (a descriptor that is no AF_XDP socket).
    pub fn set_socket(&mut self, queue: u32, socket: impl AsFd) -> Result<(), MapError> {
        in_range(queue)?;
        self.xsks()?.set(queue, socket.as_fd(), 0).map_err(kernel(map::XSKS))
    }

    /// Frames of this RX queue pass to the host from now on. An empty slot is no error.
    ///
    /// # Errors
    /// [`MapError::QueueOutOfRange`], or the kernel's refusal.
    pub fn clear_socket(&mut self, queue: u32) -> Result<(), MapError> {
        in_range(queue)?;
        match self.xsks()?.unset(queue) {
            Err(aya::maps::MapError::KeyNotFound) => Ok(()),
            // Deleting from an empty slot of this map says EINVAL on some kernels and nothing on others.
            Err(aya::maps::MapError::SyscallError(error))
                if error.io_error.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(())
            }
            done => done.map_err(kernel(map::XSKS)),
        }
    }

    /// Exactly these addresses are local VTEPs from now on. What stays is not touched, new ones go in before
    /// old ones go out. An IPv4-mapped IPv6 address is the IPv4 address.
    ///
    /// # Errors
    /// [`MapError::TooManyVteps`] (nothing is changed), or the kernel's refusal (some may be changed; the next
    /// call goes on from there).
    pub fn set_vteps(&mut self, addresses: &[IpAddr]) -> Result<(), MapError> {
        let wanted: BTreeSet<VtepKey> = addresses.iter().copied().map(key_of).collect();
        let count = wanted.len();
        if u32::try_from(count).map_or(true, |count| count > VTEPS_MAX) {
            return Err(MapError::TooManyVteps { count });
        }
        let map: &mut Map = find(self.object.map_mut(map::VTEPS), map::VTEPS)?;
        let mut vteps: HashMap<&mut MapData, VtepKey, u8> =
            map.try_into().map_err(|_| MapError::Missing { map: map::VTEPS })?;
        let new: Vec<_> = wanted.difference(&self.vteps).copied().collect();
        for key in new {
            vteps.insert(key, 1, 0).map_err(kernel(map::VTEPS))?;
            self.vteps.insert(key);
        }
        let old: Vec<_> = self.vteps.difference(&wanted).copied().collect();
        for key in old {
            vteps.remove(&key).map_err(kernel(map::VTEPS))?;
            self.vteps.remove(&key);
        }
        Ok(())
    }

    /// Exactly these UDP destination ports carry tunnels from now on. What stays is not touched.
    ///
    /// # Errors
    /// The kernel's refusal (some may be changed; the next call goes on from there).
    pub fn set_tunnel_ports(&mut self, ports: &[u16]) -> Result<(), MapError> {
        let wanted: BTreeSet<u16> = ports.iter().copied().collect();
        let map: &mut Map = find(self.object.map_mut(map::TUNNEL_PORTS), map::TUNNEL_PORTS)?;
        let mut words: Array<&mut MapData, u64> =
            map.try_into().map_err(|_| MapError::Missing { map: map::TUNNEL_PORTS })?;
        // 64 ports share a word, and a word is written whole: no port is ever gone in between.
        let changed: BTreeSet<u32> =
            wanted.symmetric_difference(&self.ports).map(|port| port_bit(*port).0).collect();
        for word in changed {
            debug_assert!(word < PORT_WORDS, "a 16-bit port has a word");
            let in_word = |port: &&u16| port_bit(**port).0 == word;
            let bits = wanted.iter().filter(in_word).fold(0, |bits, port| bits | port_bit(*port).1);
            words.set(word, bits, 0).map_err(kernel(map::TUNNEL_PORTS))?;
            self.ports.retain(|port| port_bit(*port).0 != word);
            self.ports.extend(wanted.iter().filter(in_word));
        }
        Ok(())
    }

    /// The counters of this interface since its program was attached, summed over CPUs, in the order of
    /// [`Reason::ALL`].
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn counters(&self) -> Result<Vec<(Reason, u64)>, MapError> {
        let stats: PerCpuArray<&MapData, u64> = find(self.object.map(map::STATS), map::STATS)?
            .try_into()
            .map_err(|_| MapError::Missing { map: map::STATS })?;
        Reason::ALL
            .iter()
            .map(|reason| {
                let values = stats.get(&reason.index(), 0).map_err(kernel(map::STATS))?;
                Ok((*reason, values.iter().fold(0, |sum: u64, value| sum.wrapping_add(*value))))
            })
            .collect()
    }

    fn xsks(&mut self) -> Result<XskMap<&mut MapData>, MapError> {
        find(self.object.map_mut(map::XSKS), map::XSKS)?
            .try_into()
            .map_err(|_| MapError::Missing { map: map::XSKS })
    }
}

fn find<T>(map: Option<T>, name: &'static str) -> Result<T, MapError> {
    map.ok_or(MapError::Missing { map: name })
}

fn in_range(queue: u32) -> Result<(), MapError> {
    if queue < QUEUES_MAX { Ok(()) } else { Err(MapError::QueueOutOfRange { queue }) }
}

fn kernel(map: &'static str) -> impl Fn(aya::maps::MapError) -> MapError {
    move |source| MapError::Kernel { map, source: Box::new(source) }
}

fn key_of(address: IpAddr) -> VtepKey {
    match address.to_canonical() {
        IpAddr::V4(address) => VtepKey::from_ipv4(address.octets()),
        IpAddr::V6(address) => VtepKey::from_ipv6(address.octets()),
    }
}
