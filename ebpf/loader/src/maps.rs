//! The maps that all interfaces of a network namespace share: slots, sockets, counters, VTEPs, tunnel ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::{AsRawFd as _, BorrowedFd},
    thread,
    time::Duration,
};

use aya::{
    Pod,
    maps::{HashMap, Map, MapData, PerCpuHashMap, PerCpuValues, XskMap},
    util::nr_cpus,
};
use rustix::io::Errno;
use weft_ebpf_abi::{ENTRIES_MAX, Nic, PortKey, Reason, SLOTS_MAX, VtepKey, map};

use crate::{
    MapError,
    slots::{Row, Slots},
};

/// What must be so of a map that is pinned: sizes of key and value in bytes, and entries.
pub(crate) const LAYOUTS: [(&str, usize, usize, u32); map::ALL.len()] = [
    (map::NICS, 4, size_of::<Nic>(), SLOTS_MAX),
    (map::XSKS, 4, 4, SLOTS_MAX),
    (map::VTEPS, size_of::<VtepKey>(), 1, ENTRIES_MAX),
    (map::TUNNEL_PORTS, size_of::<PortKey>(), 1, ENTRIES_MAX),
];

/// How often the kernel is asked again for memory that it has not at once, and how long it gets.
const MEMORY_TRIES: u32 = 50;
const MEMORY_WAIT: Duration = Duration::from_millis(1);

/// The maps, and which slots are in use.
pub(crate) struct Maps {
    nics: PerCpuHashMap<MapData, u32, Nic>,
    xsks: XskMap<MapData>,
    pub(crate) vteps: Set<VtepKey>,
    pub(crate) tunnel_ports: Set<PortKey>,
    slots: Slots,
}

impl Maps {
    /// Takes them over, with what they say of slots.
    pub(crate) fn of(mut maps: BTreeMap<&'static str, Map>) -> Result<Self, MapError> {
        let nics: PerCpuHashMap<MapData, u32, Nic> = taken(&mut maps, map::NICS)?;
        let entries = nics.iter().collect::<Result<Vec<_>, _>>().map_err(kernel(map::NICS))?;
        Ok(Self {
            slots: Slots::of(entries.iter().filter_map(|(_, nic)| row_of(nic))),
            nics,
            xsks: taken(&mut maps, map::XSKS)?,
            vteps: Set { name: map::VTEPS, map: taken(&mut maps, map::VTEPS)? },
            tunnel_ports: Set {
                name: map::TUNNEL_PORTS,
                map: taken(&mut maps, map::TUNNEL_PORTS)?,
            },
        })
    }

    /// The slots of an interface, if it has some.
    pub(crate) fn row(&self, ifindex: u32) -> Option<Row> {
        row_of(&self.nics.get(&ifindex, 0).ok()?)
    }

    /// The interfaces that have slots.
    pub(crate) fn ifindexes(&self) -> Vec<u32> {
        self.nics.keys().flatten().collect()
    }

    /// Gives an interface slots, other ones than it may have, without sockets; its counters are 0.
    ///
    /// # Errors
    /// [`MapError::Full`], or the kernel's refusal.
    pub(crate) fn add(&mut self, ifindex: u32, queues: u32) -> Result<Row, MapError> {
        let full = MapError::Full { map: map::XSKS, limit: SLOTS_MAX, free: self.slots.free() };
        let old = self.row(ifindex);
        let row = self.slots.take(queues).ok_or(full)?;
        if let Err(error) = self.write(ifindex, row) {
            self.slots.give_back(row);
            return Err(error);
        }
        if let Some(old) = old {
            self.give_back(old);
        }
        Ok(row)
    }

    /// Takes an interface out: from now on its frames pass to the host.
    pub(crate) fn remove(&mut self, ifindex: u32) {
        self.vteps.remove_of(|key| key.ifindex == ifindex);
        self.tunnel_ports.remove_of(|key| key.ifindex == ifindex);
        let Some(row) = self.row(ifindex) else { return };
        match self.nics.remove(&ifindex) {
            Ok(()) => self.give_back(row),
            Err(error) => tracing::warn!(ifindex, %error, "its slots stay taken"),
        }
    }

    /// Writes the entry of an interface: it counts from 0.
    pub(crate) fn write(&mut self, ifindex: u32, row: Row) -> Result<(), MapError> {
        let Row { first, queues } = row;
        let nic = Nic { first, queues, counters: [0; Reason::COUNT as usize] };
        let cpus = nr_cpus().map_err(|(path, source)| MapError::Cpus { path, source })?;
        for tries in 1.. {
            let values = PerCpuValues::try_from(vec![nic; cpus])
                .map_err(|source| MapError::Cpus { path: "/sys/devices/system/cpu", source })?;
            match self.nics.insert(ifindex, values, 0) {
                // Memory for each CPU comes in portions, which the kernel makes meanwhile.
                Err(error) if errno(&error) == Some(Errno::NOMEM) && tries < MEMORY_TRIES => {
                    thread::sleep(MEMORY_WAIT);
                }
                done => return done.map_err(kernel(map::NICS)),
            }
        }
        Ok(())
    }

    /// No socket is in the slots, which are free.
    fn give_back(&mut self, row: Row) {
        self.empty(row);
        self.slots.give_back(row);
    }

    /// No socket is in the slots.
    pub(crate) fn empty(&mut self, row: Row) {
        for slot in row.slots() {
            if let Err(error) = self.clear_socket(slot) {
                tracing::warn!(slot, %error, "a socket stays");
            }
        }
    }

    pub(crate) fn set_socket(&mut self, slot: u32, socket: BorrowedFd<'_>) -> Result<(), MapError> {
        self.xsks.set(slot, socket.as_raw_fd(), 0).map_err(kernel(map::XSKS))
    }

    /// An empty slot is no error.
    pub(crate) fn clear_socket(&mut self, slot: u32) -> Result<(), MapError> {
        match self.xsks.unset(slot) {
            Err(aya::maps::MapError::KeyNotFound) => Ok(()),
            Err(error) if errno(&error) == Some(Errno::NOENT) => Ok(()),
            done => done.map_err(kernel(map::XSKS)),
        }
    }

    /// The counters of an interface summed over CPUs, in the order of [`Reason::ALL`].
    pub(crate) fn counters(&self, ifindex: u32) -> Result<Vec<(Reason, u64)>, MapError> {
        let mut sums = Reason::ALL.map(|reason| (reason, 0_u64));
        let nics = self.nics.get(&ifindex, 0).map_err(kernel(map::NICS))?;
        for nic in nics.iter() {
            for ((_, sum), count) in sums.iter_mut().zip(nic.counters) {
                *sum = sum.wrapping_add(count);
            }
        }
        Ok(sums.to_vec())
    }
}

/// The slots of an interface: all CPUs say the same.
fn row_of(nics: &PerCpuValues<Nic>) -> Option<Row> {
    nics.first().map(|nic| Row { first: nic.first, queues: nic.queues })
}

/// A map that says which keys there are; its values mean nothing.
pub(crate) struct Set<K: Pod> {
    name: &'static str,
    map: HashMap<MapData, K, u8>,
}

impl<K: Pod + Ord> Set<K> {
    /// The keys that fit.
    pub(crate) fn keys(&self, fits: impl Fn(&K) -> bool) -> BTreeSet<K> {
        self.map.keys().flatten().filter(fits).collect()
    }

    /// Exactly the keys `wanted` are there from now on, of those that were `present` before. What stays is not
    /// touched, new ones go in before old ones go out.
    pub(crate) fn replace(
        &mut self,
        present: &mut BTreeSet<K>,
        wanted: &BTreeSet<K>,
    ) -> Result<(), MapError> {
        for key in wanted.difference(&present.clone()) {
            self.map.insert(key, 1, 0).map_err(|error| self.refusal(error))?;
            present.insert(*key);
        }
        for key in present.clone().difference(wanted) {
            self.map.remove(key).map_err(kernel(self.name))?;
            present.remove(key);
        }
        Ok(())
    }

    fn remove_of(&mut self, fits: impl Fn(&K) -> bool) {
        for key in self.keys(fits) {
            if let Err(error) = self.map.remove(&key) {
                tracing::warn!(map = self.name, %error, "an entry stays");
            }
        }
    }

    fn refusal(&self, error: aya::maps::MapError) -> MapError {
        if errno(&error) == Some(Errno::TOOBIG) {
            return MapError::Full { map: self.name, limit: ENTRIES_MAX, free: 0 };
        }
        kernel(self.name)(error)
    }
}

/// One of the maps, as what it is.
fn taken<T: TryFrom<Map>>(
    maps: &mut BTreeMap<&'static str, Map>,
    name: &'static str,
) -> Result<T, MapError> {
    let map = maps.remove(name).ok_or(MapError::Missing { map: name })?;
    map.try_into().map_err(|_| MapError::Missing { map: name })
}

fn errno(error: &aya::maps::MapError) -> Option<Errno> {
    match error {
        aya::maps::MapError::SyscallError(error) => Errno::from_io_error(&error.io_error),
        _ => None,
    }
}

fn kernel(map: &'static str) -> impl Fn(aya::maps::MapError) -> MapError {
    move |source| MapError::Kernel { map, source: Box::new(source) }
}
