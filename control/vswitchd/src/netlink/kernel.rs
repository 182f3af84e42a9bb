//! What the kernel knows: links, addresses, routes, neighbours; and the few things it is told.
//!
//! The only user of the netlink crates.  Requests are synchronous: the kernel answers rtnetlink
//! inside the `send`, so there is nothing to wait for, and plain functions stay plain.  A second
//! socket listens to the multicast groups, and its messages keep [`Kernel`]'s copy of the tables
//! true.  Routes are not copied: the kernel's own look-up is asked, which knows policy rules,
//! metrics and prefixes better than we ever would.

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkMessage, Stats64};
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::{RouteAttribute, RouteFlags, RouteMessage};
use netlink_packet_route::stats::{StatsAttribute, StatsFilterMask, StatsMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;

mod addresses;
mod decode;
mod link_table;
mod monitor;
mod neighbours;
mod orders;

use addresses::Addresses;
use decode::{family, link, route, table_entry, target, way_to};
use link_table::LinkTable;
pub use monitor::{Monitor, watched};
pub use neighbours::Neighbour;
use neighbours::neighbour;

/// How long the kernel may take for an answer, which it gives at once.
const ANSWER_SECS_MAX: i64 = 2;

/// One network device.
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of a device")]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// The kernel's number.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Its MAC address; zero when it is no Ethernet device.
    pub mac: [u8; 6],
    /// Largest L3 payload, bytes.
    pub mtu: u32,
    /// `ip link set up`.
    pub is_admin_up: bool,
    /// The carrier is there.
    pub is_running: bool,
    /// The loopback device.
    pub is_loopback: bool,
    /// Receives frames for any address.
    pub is_promiscuous: bool,
    /// What `ip -d link` calls its kind (`veth`, `tun`); empty for hardware.
    pub kind: String,
    /// How often the carrier came or went.
    pub carrier_changes: u32,
    /// Counters.
    pub stats: LinkStats,
}

/// Counters of a network device, as the kernel keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats(pub Stats64);

/// Where the kernel would send a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The egress device.
    pub ifindex: u32,
    /// The next hop, when it is not the target itself.
    pub gateway: Option<IpAddr>,
    /// The source address.
    pub source: Option<IpAddr>,
    /// A path MTU that the route has of its own.
    pub mtu: Option<u32>,
    /// The target is this host.
    pub is_local: bool,
}

/// What is other in the tables than it was.
#[must_use = "what depends on it has to be looked at"]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Devices that appeared, vanished, or changed name, address or MTU; by the names that they have
    /// and had.
    pub devices: BTreeSet<(u32, String)>,
    /// Devices that changed state, likewise; all that appeared or vanished are among them.
    pub states: BTreeSet<(u32, String)>,
    /// Addresses of this host that came or went, with the number of their device.
    pub addresses: BTreeSet<(u32, IpAddr)>,
    /// Neighbours of which something else is known.
    pub neighbours: BTreeSet<(u32, IpAddr)>,
    /// Routes that came or went: their targets, with the length of the prefix.
    pub routes: BTreeSet<(IpAddr, u8)>,
    /// Anything may be other.
    pub is_all: bool,
}

impl Changes {
    /// Takes in what changed besides.
    pub fn add(&mut self, more: Self) {
        self.devices.extend(more.devices);
        self.states.extend(more.states);
        self.addresses.extend(more.addresses);
        self.neighbours.extend(more.neighbours);
        self.routes.extend(more.routes);
        self.is_all |= more.is_all;
    }

    /// True when nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Names and numbers of the devices that changed in any way.
    pub fn links(&self) -> impl Iterator<Item = &(u32, String)> {
        self.devices.union(&self.states)
    }

    fn of_link(link: &Link) -> Self {
        let one = BTreeSet::from([(link.ifindex, link.name.clone())]);
        Self { devices: one.clone(), states: one, ..Self::default() }
    }
}

/// The requests, and our copy of the tables.
pub struct Kernel {
    socket: Socket,
    sequence: u32,
    links: LinkTable,
    addresses: Addresses,
    neighbours: HashMap<(u32, IpAddr), Neighbour>,
}

/// Those of `addresses` that the device with this number has.
pub(crate) fn addresses_of(
    addresses: &BTreeSet<(u32, IpAddr)>,
    ifindex: u32,
) -> impl Iterator<Item = IpAddr> + '_ {
    let least = IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);
    let from = addresses.range((ifindex, least)..);
    from.take_while(move |(of, _)| *of == ifindex).map(|(_, address)| *address)
}

impl Kernel {
    /// Opens the socket and reads the tables.  A [`Monitor`] must be open before, or changes
    /// between the two are lost.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn open() -> io::Result<Self> {
        let mut kernel = Self::connected()?;
        let dumps = [
            RouteNetlinkMessage::GetLink(LinkMessage::default()),
            RouteNetlinkMessage::GetAddress(AddressMessage::default()),
            RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()),
        ];
        for dump in dumps {
            for answer in kernel.request(dump, NLM_F_DUMP)? {
                // Nobody has looked at anything yet.
                let _ = kernel.note(answer);
            }
        }
        Ok(kernel)
    }

    /// A socket to give orders by, and empty tables.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn connected() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
            links: LinkTable::default(),
            addresses: Addresses::default(),
            neighbours: HashMap::new(),
        })
    }

    /// Reads all tables anew, by a socket that knows nothing of what went wrong before.
    ///
    /// # Errors
    /// When the kernel does not answer; the tables stay as they were.
    pub fn refresh(&mut self) -> io::Result<Changes> {
        *self = Self::open()?;
        Ok(Changes { is_all: true, ..Changes::default() })
    }

    /// Takes in counters of links.
    pub fn note_counters(&mut self, counters: Vec<(u32, LinkStats)>) {
        for (ifindex, stats) in counters {
            if let Some(link) = self.links.get_mut(ifindex) {
                link.stats = stats;
            }
        }
    }

    /// Reads one link anew: one that was made just now, for example.
    ///
    /// # Errors
    /// When the kernel does not answer, or has no such link.
    pub fn refresh_link(&mut self, ifindex: u32) -> io::Result<Changes> {
        let mut get = LinkMessage::default();
        get.header.index = ifindex;
        let mut changes = Changes::default();
        for answer in self.request(RouteNetlinkMessage::GetLink(get), 0)? {
            changes.add(self.note(answer));
        }
        Ok(changes)
    }

    /// Takes one datagram of notifications into the tables.
    pub fn note_bytes(&mut self, bytes: &[u8]) -> Changes {
        let mut changes = Changes::default();
        for message in messages(bytes) {
            if let NetlinkPayload::InnerMessage(inner) = message.payload {
                changes.add(self.note(inner));
            }
        }
        changes
    }

    fn note(&mut self, message: RouteNetlinkMessage) -> Changes {
        let mut changes = Changes::default();
        match message {
            RouteNetlinkMessage::NewLink(message) => return self.note_link(&message),
            // A bridge or a protocol family lets go of a device with this message, too.
            RouteNetlinkMessage::DelLink(message)
                if message.header.interface_family == AddressFamily::Unspec =>
            {
                let index = message.header.index;
                let gone = self.links.remove(index);
                changes = gone.as_ref().map(Changes::of_link).unwrap_or_default();
                changes.addresses = self.addresses.remove_device(index);
                self.neighbours.retain(|(of, _), _| *of != index);
            }
            RouteNetlinkMessage::NewAddress(message) => {
                changes.addresses.extend(self.addresses.note(&message));
            }
            RouteNetlinkMessage::DelAddress(message) => {
                changes.addresses.extend(self.addresses.remove(&message));
            }
            RouteNetlinkMessage::NewNeighbour(message) => {
                if let Some((address, state)) = neighbour(&message) {
                    let who = (message.header.ifindex, address);
                    let old = self.neighbours.insert(who, state);
                    changes.neighbours.extend((old != Some(state)).then_some(who));
                }
            }
            RouteNetlinkMessage::DelNeighbour(message) => {
                if let Some((address, _)) = neighbour(&message) {
                    let who = (message.header.ifindex, address);
                    changes.neighbours.extend(self.neighbours.remove(&who).map(|_| who));
                }
            }
            RouteNetlinkMessage::NewRoute(message) | RouteNetlinkMessage::DelRoute(message) => {
                match target(&message) {
                    Some(target) => drop(changes.routes.insert(target)),
                    None => changes.is_all = true,
                }
            }
            RouteNetlinkMessage::NewRule(_) | RouteNetlinkMessage::DelRule(_) => {
                changes.is_all = true;
            }
            _ => {}
        }
        changes
    }

    fn note_link(&mut self, message: &LinkMessage) -> Changes {
        if message.header.interface_family != AddressFamily::Unspec {
            return Changes::default();
        }
        let link = link(message);
        let mut changes = Changes::default();
        match self.links.get(link.ifindex) {
            None => changes = Changes::of_link(&link),
            Some(old) => {
                let names = [&old.name, &link.name].map(|name| (link.ifindex, name.clone()));
                if (&old.name, old.mac, old.mtu) != (&link.name, link.mac, link.mtu) {
                    changes.devices.extend(names.clone());
                }
                if (old.is_admin_up, old.is_running) != (link.is_admin_up, link.is_running) {
                    changes.states.extend(names);
                }
            }
        }
        self.links.insert(link);
        changes
    }

    /// All devices, in the order of their numbers.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.iter()
    }

    /// The device with this number.
    #[must_use]
    pub fn link(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(ifindex)
    }

    /// The device with this name.
    #[must_use]
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.named(name)
    }

    /// All local addresses that can be used, with the number of their device.
    pub fn addresses(&self) -> impl Iterator<Item = (u32, IpAddr)> + '_ {
        self.addresses.all().iter().copied()
    }

    /// The local addresses of one device.
    pub fn addresses_of(&self, ifindex: u32) -> impl Iterator<Item = IpAddr> + '_ {
        addresses_of(self.addresses.all(), ifindex)
    }

    /// What is known of the neighbour `address` on a device.
    #[must_use]
    pub fn neighbour(&self, ifindex: u32, address: IpAddr) -> Option<Neighbour> {
        self.neighbours.get(&(ifindex, address)).copied()
    }

    /// All neighbours with a known address.
    pub fn neighbours(&self) -> impl Iterator<Item = (u32, IpAddr, [u8; 6])> + '_ {
        self.neighbours.iter().filter_map(|((ifindex, address), state)| match state {
            Neighbour::Known { mac, .. } => Some((*ifindex, *address, *mac)),
            _ => None,
        })
    }

    /// Asks the kernel for the route to `target`, from `source` when that is given.  `None` when
    /// there is none.
    #[must_use]
    pub fn route(&mut self, target: IpAddr, source: Option<IpAddr>) -> Option<Route> {
        let question = RouteNetlinkMessage::GetRoute(way_to(target, source));
        let answers = self.request(question, 0).ok()?;
        answers.into_iter().find_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(answer) => route(&answer),
            _ => None,
        })
    }

    /// The devices of the next hops that share the route to `target`, when there is more than one.
    #[must_use]
    pub fn equal_routes(&mut self, target: IpAddr, source: Option<IpAddr>) -> Vec<u32> {
        let mut message = way_to(target, source);
        message.header.flags = RouteFlags::FibMatch;
        let answers = self.request(RouteNetlinkMessage::GetRoute(message), 0).unwrap_or_default();
        let attributes = answers.into_iter().filter_map(|answer| match answer {
            RouteNetlinkMessage::NewRoute(answer) => Some(answer.attributes),
            _ => None,
        });
        let hops = attributes.flatten().filter_map(|attribute| match attribute {
            RouteAttribute::MultiPath(hops) => Some(hops),
            _ => None,
        });
        hops.flatten().map(|hop| hop.interface_index).collect()
    }

    /// The routes of the tables `local` and `main`: target, length of its prefix, and the way.
    ///
    /// # Errors
    /// When the kernel does not answer.
    pub fn routes(&mut self) -> io::Result<Vec<(IpAddr, u8, Route)>> {
        let dump = RouteNetlinkMessage::GetRoute(RouteMessage::default());
        let answers = self.request(dump, NLM_F_DUMP)?;
        Ok(answers.iter().filter_map(table_entry).collect())
    }

    fn request(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        let is_dump = flags & NLM_F_DUMP == NLM_F_DUMP;
        let mut answers = Vec::new();
        loop {
            self.wait_for_answer()?;
            let (bytes, _) = self.socket.recv_from_full()?;
            for message in messages(&bytes) {
                if message.header.sequence_number != self.sequence {
                    continue;
                }
                match message.payload {
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        return Err(error.to_io());
                    }
                    NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(answers),
                    NetlinkPayload::InnerMessage(inner) => {
                        answers.push(inner);
                        if !is_dump && flags & NLM_F_ACK == 0 {
                            return Ok(answers);
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    fn wait_for_answer(&self) -> io::Result<()> {
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
        let limit = Timespec { tv_sec: ANSWER_SECS_MAX, tv_nsec: 0 };
        match poll(&mut fds, Some(&limit)) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer")),
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Reads the counters of all links, and nothing else: with thousands of links a dump of all that is
/// known of them takes many times as long.  For a thread of its own, of the same namespace.
///
/// # Errors
/// When the kernel does not answer.
pub fn read_counters() -> io::Result<Vec<(u32, LinkStats)>> {
    let mut get = StatsMessage::default();
    get.header.filter_mask = StatsFilterMask::Link64;
    let mut counters = Vec::new();
    let mut kernel = Kernel::connected()?;
    for answer in kernel.request(RouteNetlinkMessage::GetStats(get), NLM_F_DUMP)? {
        let RouteNetlinkMessage::NewStats(message) = answer else { continue };
        let of_link = message.attributes.into_iter().filter_map(|attribute| match attribute {
            StatsAttribute::Link64(stats) => Some((message.header.ifindex, LinkStats(stats))),
            _ => None,
        });
        counters.extend(of_link);
    }
    Ok(counters)
}

/// The messages of one datagram.  One that cannot be decoded is left out: newer kernels may say
/// things that nobody here understands.
fn messages(mut bytes: &[u8]) -> Vec<NetlinkMessage<RouteNetlinkMessage>> {
    let mut found = Vec::new();
    while let Ok(buffer) = NetlinkBuffer::new_checked(bytes) {
        let len = usize::try_from(buffer.length()).unwrap_or(usize::MAX);
        let Some(one) = bytes.get(..len) else { break };
        match NetlinkMessage::deserialize(one) {
            Ok(message) => found.push(message),
            Err(error) => tracing::debug!("a netlink message was not understood: {error}"),
        }
        bytes = bytes.get(len.next_multiple_of(4).max(16)..).unwrap_or_default();
    }
    found
}
