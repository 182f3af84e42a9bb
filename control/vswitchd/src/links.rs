//! The links that we hold open: XDP programs, `AF_XDP` queues, TAPs.  Opened whole or not at all.

use crate::descriptors::{self, NoDescriptors};
use crate::plan::Held;
use crate::taps::LinkTap;
use crate::workers::{WorkerError, Workers};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use weft_ebpf::{AttachConfig, AttachError, Attached, MapError, Mode, Role, Shield};
use weft_io::ethtool::{self, Driver, Medium, medium};
use weft_io::{
    LARGE_MTU_MAX, OpenError, QueueWatch, Tap, TapError, XskConfig, XskQueue, packet_queue,
};
use weft_switch::{LinkId, WorkerId};
use weft_wire::mac::MacAddr;

/// RX queues of one NIC that are served.
const QUEUES_MAX: u32 = weft_ebpf::QUEUES_MAX;

/// Why a link could not be opened.  The text stands in `Interface.error`.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// XDP.
    #[error("{0}")]
    Attach(#[from] AttachError),
    /// The map of sockets.
    #[error("{0}")]
    Map(#[from] MapError),
    /// `AF_XDP`.
    #[error("{0}")]
    Open(#[from] OpenError),
    /// A TAP.
    #[error("{0}")]
    Tap(#[from] TapError),
    /// A worker.
    #[error("{0}")]
    Worker(#[from] WorkerError),
    /// The system.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Descriptors.
    #[error("{0}")]
    Descriptors(#[from] NoDescriptors),
    /// All numbers are in use.
    #[error("more than 65535 links")]
    TooMany,
}

/// One link that is open.
pub struct Link {
    /// Its number in the datapath.
    pub id: LinkId,
    /// What it is.
    pub held: Held,
    /// The device's number when it was opened; for a TAP, in our namespace at that time.
    pub ifindex: u32,
    /// The device's MTU that the queues were opened for.
    pub mtu: u32,
    /// The largest MTU that its queues take.
    pub mtu_max: u32,
    /// An MTU that its device was to have and did not take, and why.
    pub mtu_refused: Option<(u32, String)>,
    /// The device's driver.
    pub driver: Driver,
    /// Its frames may carry checksums that are not complete: it is no hardware, and who sends to it
    /// may be on this machine.  TAPs and packet sockets say so themselves, frame by frame.
    pub has_partial_checksums: bool,
    /// Its speed and duplex when its carrier came or went last.
    pub medium: Medium,
    /// Whether its device ran when we looked last; `None` before the first look.
    pub is_running: Option<bool>,
    /// How often its carrier came or went since.
    pub resets: i64,
    /// The XDP program of a NIC.
    pub attached: Option<Attached>,
    /// What keeps the host's stack from the frames of a guest's TAP, which has no XDP program.
    pub shield: Option<Shield>,
    /// How `AF_XDP` exchanges frames: `zero-copy` or `copy`.
    pub af_xdp_mode: Option<&'static str>,
    /// Statistics of its queues.
    pub watches: Vec<QueueWatch>,
    /// Which worker has each queue.
    pub workers: Vec<WorkerId>,
    /// The TAP of an internal port, wherever it is.
    pub tap_device: Option<Tap>,
    /// Whether somebody taps it.
    pub tap: LinkTap,
}

impl Link {
    /// Whether a packet socket serves it, as the TAP of a guest.
    #[must_use]
    pub const fn is_guest(&self) -> bool {
        self.shield.is_some()
    }

    /// Frames that the kernel dropped before a worker saw them, by reason; without the zeros.
    #[must_use]
    pub fn missed_frames(&self) -> BTreeMap<&'static str, u64> {
        let mut missed = BTreeMap::new();
        for (reason, frames) in self.watches.iter().flat_map(QueueWatch::missed_frames) {
            if frames > 0 {
                *missed.entry(reason).or_default() += frames;
            }
        }
        let tapped = self.tap.missed_frames();
        if tapped > 0 {
            *missed.entry("kernel_rx_ring").or_default() += tapped;
        }
        missed
    }

    /// False when a TAP's device was destroyed, not just moved out of sight.
    #[must_use]
    pub fn tap_exists(&self) -> bool {
        self.tap_device.as_ref().is_none_or(|tap| tap.mac().is_ok())
    }
}

/// A NIC to open.
#[derive(Clone, Copy, Debug)]
pub struct Nic<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its number.
    pub ifindex: u32,
    /// Its MTU.
    pub mtu: u32,
    /// Its kind, as the kernel says (`veth`); empty for hardware.
    pub kind: &'a str,
    /// Bridge port or underlay.
    pub held: Held,
}

impl Nic<'_> {
    /// Whether it is the TAP of a guest, or of some other program that is no switch.
    fn is_guest(&self) -> bool {
        self.held == Held::Port && self.kind == "tun"
    }
}

/// All links that are open, by name.
#[derive(Default)]
pub struct Links {
    open: BTreeMap<String, Link>,
    /// Numbers of links that were closed, all below `next_id`.
    free_ids: BTreeSet<LinkId>,
    /// The lowest number that no link ever had.
    next_id: u16,
    /// The names of those that are open.
    names: BTreeMap<LinkId, String>,
    /// Links that came, went or have another MTU since somebody asked.
    changed: BTreeSet<LinkId>,
    /// How many are NICs that are ports of bridges.
    nic_ports: usize,
    next_worker: usize,
    pins: Option<PathBuf>,
}

impl Links {
    /// No links; XDP links will be pinned under `pins`.
    #[must_use]
    pub fn new(pins: Option<PathBuf>) -> Self {
        Self { pins, ..Self::default() }
    }

    /// Where XDP links are pinned, if anywhere.
    #[must_use]
    pub fn pins(&self) -> Option<&Path> {
        self.pins.as_deref()
    }

    /// All links with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Link)> {
        self.open.iter()
    }

    /// All links with their names, to change.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&String, &mut Link)> {
        self.open.iter_mut()
    }

    /// One link.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Link> {
        self.open.get(name)
    }

    /// One link, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Link> {
        self.open.get_mut(name)
    }

    /// The lowest number that no link has; [`Links::insert`] takes it.
    fn free_id(&self) -> Result<LinkId, LinkError> {
        let next = (self.next_id < u16::MAX).then_some(LinkId(self.next_id));
        self.free_ids.first().copied().or(next).ok_or(LinkError::TooMany)
    }

    fn insert(&mut self, name: &str, link: Link) {
        if !self.free_ids.remove(&link.id) {
            self.next_id = link.id.0.saturating_add(1);
        }
        self.nic_ports += usize::from(link.held == Held::Port);
        self.changed.insert(link.id);
        self.names.insert(link.id, name.to_owned());
        self.open.insert(name.to_owned(), link);
    }

    /// Whether some link is a NIC that is a port of a bridge.
    #[must_use]
    pub const fn has_nic_ports(&self) -> bool {
        self.nic_ports > 0
    }

    /// The link with this number, and its name.
    #[must_use]
    pub fn numbered(&self, id: LinkId) -> Option<(&str, &Link)> {
        let name = self.names.get(&id)?;
        Some((name, self.open.get(name)?))
    }

    /// Notes whether a link's device took an MTU; true for a refusal that is new.
    pub fn note_mtu(&mut self, name: &str, refused: Option<(u32, String)>) -> bool {
        let Some(link) = self.open.get_mut(name) else { return false };
        let is_new = refused.is_some() && link.mtu_refused != refused;
        link.mtu_refused = refused;
        is_new
    }

    /// Takes over the MTU of a link's device.
    pub fn set_mtu(&mut self, name: &str, mtu: u32) {
        if let Some(link) = self.open.get_mut(name)
            && link.mtu != mtu
        {
            link.mtu = mtu;
            self.changed.insert(link.id);
        }
    }

    /// The links that came, went or have another MTU since this was asked last.
    pub fn take_changed(&mut self) -> BTreeSet<LinkId> {
        std::mem::take(&mut self.changed)
    }

    fn pick_worker(&mut self, workers: &Workers) -> usize {
        let worker = self.next_worker % workers.count().max(1);
        self.next_worker = worker + 1;
        worker
    }

    /// Attaches the XDP program of a NIC, opens a socket for each of its RX queues and gives them
    /// to workers.
    ///
    /// # Errors
    /// See [`LinkError`]; everything is undone then.
    pub fn open_nic(&mut self, nic: &Nic<'_>, workers: &mut Workers) -> Result<(), LinkError> {
        let id = self.free_id()?;
        descriptors::check()?;
        if nic.is_guest() {
            return self.open_guest(nic, id, workers);
        }
        let role = if nic.held == Held::Underlay { Role::Underlay } else { Role::Port };
        let pin = self.pins.as_ref().map(|folder| folder.join(nic.name));
        let config = AttachConfig {
            ifindex: nic.ifindex,
            ifname: nic.name,
            role,
            pin: pin.as_deref(),
            // Nobody here reads what the program would log, and every frame would pay for it.
            debug: false,
            // Without frags the kernel would not let the MTU of a veth, or of its peer, be raised; with
            // them a veth costs the same.
            frags_first: nic.kind == "veth"
                || workers.region(0).is_some_and(|region| nic.mtu > region.mtu_max()),
        };
        let mut attached = Attached::attach(&config)?;
        match self.open_queues(nic, id, workers, &mut attached) {
            Ok(link) => {
                let link = Link { attached: Some(attached), ..link };
                self.insert(nic.name, link);
                Ok(())
            }
            Err(error) => {
                let undone = workers.remove_queues(id).map_err(|error| error.to_string());
                let undone = undone.and(attached.detach().map_err(|error| error.to_string()));
                if let Err(error) = undone {
                    tracing::warn!("{}: undoing: {error}", nic.name);
                }
                Err(error)
            }
        }
    }

    /// Serves the TAP of a guest by a packet socket.  It says which checksums are missing and how a
    /// super-frame is to be cut, and takes super-frames for the guest; XDP on a TAP knows neither, and
    /// `AF_XDP` there copies twice.
    fn open_guest(
        &mut self,
        nic: &Nic<'_>,
        id: LinkId,
        workers: &Workers,
    ) -> Result<(), LinkError> {
        let worker = self.pick_worker(workers);
        let region = workers.region(worker).ok_or(LinkError::TooMany)?;
        let is_large = nic.mtu > region.mtu_max();
        if is_large {
            region.allow_large()?;
        }
        // First: no frame is for the host.
        let shield = Shield::raise(nic.name)?;
        let queue = packet_queue(nic.ifindex, nic.name, true)?;
        let link = Link {
            id,
            held: nic.held,
            ifindex: nic.ifindex,
            mtu: nic.mtu,
            mtu_max: if is_large { LARGE_MTU_MAX } else { region.mtu_max() },
            mtu_refused: None,
            driver: driver(nic.name, nic.kind),
            has_partial_checksums: false,
            medium: medium(nic.name),
            is_running: None,
            resets: 0,
            attached: None,
            shield: Some(shield),
            af_xdp_mode: None,
            watches: vec![queue.watch()],
            workers: vec![WorkerId(u16::try_from(worker).unwrap_or_default())],
            tap_device: None,
            tap: LinkTap::default(),
        };
        workers.add_queue(worker, id, queue.into())?;
        self.insert(nic.name, link);
        Ok(())
    }

    fn open_queues(
        &mut self,
        nic: &Nic<'_>,
        id: LinkId,
        workers: &Workers,
        attached: &mut Attached,
    ) -> Result<Link, LinkError> {
        let mut link = Link {
            id,
            held: nic.held,
            ifindex: nic.ifindex,
            mtu: nic.mtu,
            mtu_max: LARGE_MTU_MAX,
            mtu_refused: None,
            driver: driver(nic.name, nic.kind),
            has_partial_checksums: !nic.kind.is_empty(),
            medium: medium(nic.name),
            is_running: None,
            resets: 0,
            attached: None,
            shield: None,
            af_xdp_mode: None,
            watches: Vec::new(),
            workers: Vec::new(),
            tap_device: None,
            tap: LinkTap::default(),
        };
        for queue_id in 0..rx_queues(nic.name).min(QUEUES_MAX) {
            let worker = self.pick_worker(workers);
            let region = workers.region(worker).ok_or(LinkError::TooMany)?;
            let mut config = XskConfig::new(nic.ifindex, nic.name, queue_id, nic.mtu, region);
            config.has_superframes = attached.mode() == Mode::Generic;
            let queue = XskQueue::open(&config)?;
            link.af_xdp_mode = Some(queue.mode().name());
            link.mtu_max = queue.mtu_max();
            link.watches.push(queue.watch());
            link.workers.push(WorkerId(u16::try_from(worker).unwrap_or_default()));
            attached.set_socket(queue_id, queue.fd())?;
            workers.add_queue(worker, id, queue.into())?;
        }
        Ok(link)
    }

    /// Makes or adopts a TAP and gives its queue to a worker; returns the device's number.
    ///
    /// # Errors
    /// See [`LinkError`]; everything is undone then.
    pub fn open_tap(
        &mut self,
        name: &str,
        mac: Option<MacAddr>,
        workers: &Workers,
    ) -> Result<u32, LinkError> {
        let id = self.free_id()?;
        descriptors::check()?;
        let tap = Tap::open(name, mac.map(MacAddr::octets))?;
        let worker = self.pick_worker(workers);
        if let Err(error) = workers.add_queue(worker, id, tap.queue().into()) {
            if !tap.adopted()
                && let Err(error) = tap.remove()
            {
                tracing::warn!("{name}: undoing: {error}");
            }
            return Err(error.into());
        }
        let ifindex = tap.ifindex();
        let link = Link {
            id,
            held: Held::Tap,
            ifindex,
            mtu: crate::plan::MTU_DEFAULT,
            mtu_max: LARGE_MTU_MAX,
            mtu_refused: None,
            driver: driver(name, "tun"),
            has_partial_checksums: false,
            medium: medium(name),
            is_running: None,
            resets: 0,
            attached: None,
            shield: None,
            af_xdp_mode: None,
            watches: Vec::new(),
            workers: vec![WorkerId(u16::try_from(worker).unwrap_or_default())],
            tap_device: Some(tap),
            tap: LinkTap::default(),
        };
        self.insert(name, link);
        Ok(ifindex)
    }

    /// Closes a link that carries nothing any more: its queues, then its XDP program, and with
    /// `removes_device` the TAP itself, wherever it is.
    pub fn close(&mut self, name: &str, removes_device: bool, workers: &mut Workers) {
        let Some(mut link) = self.open.remove(name) else { return };
        self.nic_ports -= usize::from(link.held == Held::Port);
        self.free_ids.insert(link.id);
        self.changed.insert(link.id);
        self.names.remove(&link.id);
        if let Some(attached) = &mut link.attached {
            for queue in (0u32..).take(link.watches.len()) {
                if let Err(error) = attached.clear_socket(queue) {
                    tracing::debug!("{name}: queue {queue}: {error}");
                }
            }
        }
        if let Err(error) = workers.remove_queues(link.id) {
            tracing::error!("{name}: {error}");
        }
        if let Some(attached) = link.attached
            && let Err(error) = attached.detach()
        {
            tracing::warn!("{name}: {error}");
        }
        if removes_device
            && let Some(tap) = link.tap_device
            && let Err(error) = tap.remove()
        {
            tracing::debug!("{name}: the device is gone already: {error}");
        }
    }

    /// Lets go of everything without detaching what is pinned: a successor adopts it.
    pub fn abandon(&mut self) {
        *self = Self::new(self.pins.take());
    }
}

/// How many RX queues a device has; at least 1.
fn rx_queues(name: &str) -> u32 {
    let folder = Path::new("/sys/class/net").join(name).join("queues");
    let count = std::fs::read_dir(folder).map(|entries| {
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-"))
            .count()
    });
    u32::try_from(count.unwrap_or(0)).unwrap_or(1).max(1)
}

/// The driver of a device; the kind that the kernel says it is, where no driver speaks.
fn driver(name: &str, kind: &str) -> Driver {
    ethtool::driver(name).unwrap_or_else(|_| Driver { name: kind.to_owned(), ..Driver::default() })
}

/// The folder for pins of this network namespace, when `/sys/fs/bpf` is a bpffs we may write to.
#[must_use]
pub fn pin_folder() -> Option<PathBuf> {
    const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
    let root = Path::new("/sys/fs/bpf");
    let kind = rustix::fs::statfs(root).ok()?.f_type;
    if kind & 0xffff_ffff != BPF_FS_MAGIC {
        return None;
    }
    let namespace = std::fs::read_link("/proc/self/ns/net").ok()?;
    let inode: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    let folder = root.join("weft").join(inode);
    match std::fs::create_dir_all(&folder) {
        Ok(()) => Some(folder),
        Err(error) => {
            tracing::info!("{}: {error}: XDP links are not pinned", folder.display());
            None
        }
    }
}
