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
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkInfo, LinkMessage, Stats64};
use netlink_packet_route::neighbour::NeighbourMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteType,
};
use netlink_packet_route::stats::{StatsAttribute, StatsFilterMask, StatsMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use tokio::io::unix::AsyncFd;

mod addresses;
mod neighbours;

use addresses::Addresses;
pub use neighbours::Neighbour;
use neighbours::neighbour;

/// Multicast groups of rtnetlink: links, neighbours, IPv4 and IPv6 addresses, routes and rules.
const GROUPS: [u32; 8] = [1, 3, 5, 7, 8, 9, 11, 19];

/// How long the kernel may take for an answer, which it gives at once.
const ANSWER_SECS_MAX: i64 = 2;

/// `linux/rtnetlink.h`.
const RT_TABLE_LOCAL: u8 = 255;

/// Bytes of notifications that may wait for us before the kernel throws some away.
const NOTICES_BYTES: usize = 4 << 20;

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
    links: BTreeMap<u32, Link>,
    addresses: Addresses,
    neighbours: HashMap<(u32, IpAddr), Neighbour>,
}

/// The notifications.
pub struct Monitor(AsyncFd<Socket>);

impl Monitor {
    /// Joins the groups.  Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        for group in GROUPS {
            socket.add_membership(group)?;
        }
        // Best effort: too small a buffer means a dump more often.
        let _ = socket.set_rx_buf_sz(NOTICES_BYTES);
        socket.set_non_blocking(true)?;
        Ok(Self(watched(socket)?))
    }

    /// One datagram of notifications, if one is there already; otherwise as [`Monitor::next`].
    ///
    /// # Errors
    /// As [`Monitor::next`].
    pub fn take(&self) -> io::Result<Option<Vec<u8>>> {
        match self.0.get_ref().recv_from_full() {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(Vec::new())),
            Err(error) if error.raw_os_error() == Some(NO_BUFFERS) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for notifications and returns one datagram of them; `None` when some were lost and
    /// the tables have to be read anew.  Loses nothing when it is dropped while it waits.
    ///
    /// # Errors
    /// When the socket fails in another way.
    pub async fn next(&self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut ready = self.0.readable().await?;
            match ready.try_io(|socket| socket.get_ref().recv_from_full()) {
                Ok(Ok((bytes, _))) => return Ok(Some(bytes)),
                Ok(Err(error)) if error.raw_os_error() == Some(NO_BUFFERS) => return Ok(None),
                Ok(Err(error)) => return Err(error),
                Err(_would_block) => {}
            }
        }
    }
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

/// A descriptor that tokio watches.
///
/// # Errors
/// When it cannot be watched.
#[expect(deprecated, reason = "its successor is unsafe; these descriptors are owned and stay")]
pub fn watched<T: std::os::fd::AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::new(owner)
}

/// `ENOBUFS`: notifications were lost.
const NO_BUFFERS: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

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

    /// A socket, and empty tables.
    fn connected() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self {
            socket,
            sequence: 0,
            links: BTreeMap::new(),
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
            if let Some(link) = self.links.get_mut(&ifindex) {
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
                let gone = self.links.remove(&index);
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
        match self.links.get(&link.ifindex) {
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
        self.links.insert(link.ifindex, link);
        changes
    }

    /// All devices, in the order of their numbers.
    pub fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// The device with this number.
    #[must_use]
    pub fn link(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    /// The device with this name.
    #[must_use]
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
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

/// The question for the route to `target`, from `source` when that is given.
fn way_to(target: IpAddr, source: Option<IpAddr>) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(target);
    message.header.destination_prefix_length = prefix_len(target);
    message.attributes.push(RouteAttribute::Destination(RouteAddress::from(target)));
    if let Some(source) = source {
        message.header.source_prefix_length = prefix_len(source);
        message.attributes.push(RouteAttribute::Source(RouteAddress::from(source)));
    }
    message
}

/// One answer of a dump of routes, unless it is of another table or for multicast.
fn table_entry(answer: &RouteNetlinkMessage) -> Option<(IpAddr, u8, Route)> {
    let RouteNetlinkMessage::NewRoute(message) = answer else { return None };
    let is_shown = [RouteHeader::RT_TABLE_MAIN, RT_TABLE_LOCAL].contains(&message.header.table);
    let found = route(message).filter(|_| is_shown)?;
    let (target, len) = target(message)?;
    Some((target, len, found))
}

/// What a route leads to: an address, and how many of its bits count.
fn target(message: &RouteMessage) -> Option<(IpAddr, u8)> {
    let unspecified = match message.header.address_family {
        AddressFamily::Inet => IpAddr::from([0; 4]),
        AddressFamily::Inet6 => IpAddr::from([0; 16]),
        _ => return None,
    };
    let target = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(address) => ip(address),
        _ => None,
    });
    Some((target.unwrap_or(unspecified), message.header.destination_prefix_length))
}

const fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

const fn prefix_len(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn mac(bytes: &[u8]) -> [u8; 6] {
    bytes.try_into().unwrap_or_default()
}

fn link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        ifindex: message.header.index,
        is_admin_up: flags.contains(LinkFlags::Up),
        is_running: flags.contains(LinkFlags::LowerUp),
        is_loopback: flags.contains(LinkFlags::Loopback),
        is_promiscuous: flags.contains(LinkFlags::Promisc),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(bytes) => link.mac = mac(bytes),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::CarrierChanges(count) => link.carrier_changes = *count,
            LinkAttribute::Stats64(stats) => link.stats = LinkStats(*stats),
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    if let LinkInfo::Kind(kind) = info {
                        link.kind = kind.to_string();
                    }
                }
            }
            _ => {}
        }
    }
    link
}

fn route(message: &RouteMessage) -> Option<Route> {
    let kind = message.header.kind;
    if !matches!(kind, RouteType::Unicast | RouteType::Local) {
        return None;
    }
    let mut found = Route {
        ifindex: 0,
        gateway: None,
        source: None,
        mtu: None,
        is_local: kind == RouteType::Local,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => found.ifindex = *index,
            RouteAttribute::Gateway(address) => found.gateway = ip(address),
            RouteAttribute::PrefSource(address) => found.source = ip(address),
            RouteAttribute::Via(via) => found.gateway = via_address(via),
            RouteAttribute::Metrics(metrics) => {
                found.mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    (found.ifindex != 0).then_some(found)
}

fn via_address(via: &netlink_packet_route::route::RouteVia) -> Option<IpAddr> {
    use netlink_packet_route::route::RouteVia;
    match via {
        RouteVia::Inet(address) => Some(IpAddr::V4(*address)),
        RouteVia::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

const fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some(IpAddr::V4(*address)),
        RouteAddress::Inet6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
