//! The links that we hold open: XDP programs, `AF_XDP` queues, TAPs.  Opened whole or not at all.

use crate::host::descriptors::{self, NoDescriptors};
use crate::host::nic::{NicOrder, OpenNic, driver, rx_queues};
use crate::host::parallel;
use crate::host::pins::Pins;
use crate::host::taps::LinkTap;
use crate::netlink::kernel::{self, Kernel};
use crate::plan::Held;
use crate::workers::{NoWorker, Workers};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use weft_ebpf::{AttachError, Attached, MapError, Object, Shield};
use weft_io::ethtool::{Driver, Medium, medium};
use weft_io::{LARGE_MTU_MAX, OpenError, Queue, QueueWatch, Tap, TapError};
use weft_switch::{LinkId, WorkerId};
use weft_wire::mac::MacAddr;

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
    Worker(#[from] NoWorker),
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
    /// It takes frames for all stations already.
    pub is_promiscuous: bool,
}

/// A link that was taken out of service, to be closed on whatever thread.
pub struct Leaving {
    name: String,
    /// What it was.
    pub link: Link,
    /// What workers have given back of it.
    pub queues: Vec<Queue>,
    removes_device: bool,
    /// Its device is to be promiscuous no more.
    pub ends_promiscuity: bool,
}

impl Leaving {
    /// Nothing but the link.
    #[must_use]
    pub fn of(name: &str, link: Link) -> Self {
        Self {
            name: name.to_owned(),
            link,
            queues: Vec::new(),
            removes_device: false,
            ends_promiscuity: false,
        }
    }

    /// Closes its queues, then its XDP program; the TAP itself goes, wherever it is, when that was meant.
    pub fn close(self) {
        let Self { name, link, queues, removes_device, ends_promiscuity } = self;
        drop(queues);
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
        if ends_promiscuity {
            // The device may be on its way out.
            let _ = Kernel::connected()
                .and_then(|mut kernel| kernel.set_promiscuous(link.ifindex, false));
        }
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
    pins: Option<Pins>,
    /// Programs and maps of all NICs, since the first one.
    object: Option<Arc<Object>>,
}

impl Links {
    /// No links; XDP links will be pinned under `pins`.
    #[must_use]
    pub fn new(pins: Option<Pins>) -> Self {
        Self { pins, ..Self::default() }
    }

    /// Where XDP links are pinned, if anywhere.
    #[must_use]
    pub fn pins(&self) -> Option<&Path> {
        self.pins.as_ref().map(Pins::folder)
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

    /// The device of an open link, unless it is out of sight.
    #[must_use]
    pub fn device<'a>(&self, name: &str, kernel: &'a Kernel) -> Option<&'a kernel::Link> {
        let link = self.get(name)?;
        kernel.link(link.ifindex).filter(|device| device.name == name)
    }

    /// One link, to change.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Link> {
        self.open.get_mut(name)
    }

    /// The lowest number that no link has: somebody has it now.
    fn take_id(&mut self) -> Result<LinkId, LinkError> {
        if let Some(id) = self.free_ids.pop_first() {
            return Ok(id);
        }
        if self.next_id == u16::MAX {
            return Err(LinkError::TooMany);
        }
        self.next_id += 1;
        Ok(LinkId(self.next_id - 1))
    }

    fn insert(&mut self, name: &str, link: Link) {
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

    /// A link of one queue goes to another worker.
    pub fn set_worker(&mut self, id: LinkId, worker: WorkerId) {
        let name = self.names.get(&id);
        if let Some(link) = name.and_then(|name| self.open.get_mut(name)) {
            link.workers = vec![worker];
            self.changed.insert(id);
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

    /// Who is to have a queue: the same for the queue of this number of each NIC that has several, so that frames
    /// which leave by the queue of the same number stay where they are.
    fn worker_of(&mut self, queue_id: u32, queues: u32, workers: &Workers) -> usize {
        if queues == 1 {
            return self.pick_worker(workers);
        }
        queue_id as usize % workers.count().max(1)
    }

    /// What it takes to open a NIC.  Its number is taken from now on: [`Links::refuse`] gives it back.
    ///
    /// # Errors
    /// [`LinkError::TooMany`], or why there are no programs and maps.
    pub fn order(&mut self, nic: &Nic<'_>, workers: &Workers) -> Result<NicOrder, LinkError> {
        let queues = rx_queues(nic.name);
        let mut holders = Vec::new();
        for queue_id in 0..queues {
            let worker = self.worker_of(queue_id, queues, workers);
            holders.push((worker, workers.region(worker).ok_or(LinkError::TooMany)?));
        }
        let object = self.object()?;
        Ok(NicOrder {
            id: self.take_id()?,
            name: nic.name.to_owned(),
            ifindex: nic.ifindex,
            mtu: nic.mtu,
            kind: nic.kind.to_owned(),
            held: nic.held,
            is_promiscuous: nic.is_promiscuous,
            object,
            pin: self.pins.as_ref().and_then(|_| weft_ebpf::pin_path(nic.ifindex).ok()),
            workers: holders,
        })
    }

    /// Programs and maps; opened when the first NIC wants them.
    fn object(&mut self) -> Result<Arc<Object>, AttachError> {
        if let Some(object) = &self.object {
            return Ok(Arc::clone(object));
        }
        // Nobody here reads what the programs would log, and every frame would pay for it.
        let opened = self.pins.as_ref().map_or_else(|| Object::load(false), Pins::object);
        let object = Arc::new(opened?);
        self.object = Some(Arc::clone(&object));
        Ok(object)
    }

    /// An order could not be carried out.
    pub fn refuse(&mut self, order: &NicOrder) {
        self.free([order.id]);
    }

    /// These numbers are nobody's any more.
    pub fn free(&mut self, ids: impl IntoIterator<Item = LinkId>) {
        self.free_ids.extend(ids);
    }

    /// Takes an open NIC into service: its queues go to workers.
    pub fn adopt(&mut self, name: &str, nic: OpenNic, workers: &Workers) {
        let id = nic.link.id;
        for (worker, queue) in nic.queues {
            if let Err(error) = workers.add_queue(worker, id, queue) {
                tracing::error!("{name}: {error}");
            }
        }
        self.insert(name, nic.link);
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
        descriptors::check(1)?;
        let id = self.take_id()?;
        let tap = Tap::open(name, mac.map(MacAddr::octets)).inspect_err(|_| {
            self.free_ids.insert(id);
        })?;
        let worker = self.pick_worker(workers);
        if let Err(error) = workers.add_queue(worker, id, tap.queue().into()) {
            if !tap.adopted()
                && let Err(error) = tap.remove()
            {
                tracing::warn!("{name}: undoing: {error}");
            }
            self.free_ids.insert(id);
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

    /// Takes a link out of service that carries nothing any more.  With `removes_device` the TAP itself goes, too.
    /// Workers have its queues still, and its number is its own until [`Links::free`].
    pub fn leave(&mut self, name: &str, removes_device: bool) -> Option<Leaving> {
        let mut link = self.open.remove(name)?;
        self.nic_ports -= usize::from(link.held == Held::Port);
        self.changed.insert(link.id);
        self.names.remove(&link.id);
        if let Some(attached) = &mut link.attached {
            for queue in (0u32..).take(link.watches.len()) {
                if let Err(error) = attached.clear_socket(queue) {
                    tracing::debug!("{name}: queue {queue}: {error}");
                }
            }
        }
        Some(Leaving { removes_device, ..Leaving::of(name, link) })
    }

    /// Lets go of everything without detaching what is pinned: a successor adopts it.
    pub fn abandon(&mut self, workers: &mut Workers) {
        let asked = self.open.values().map(|link| workers.ask_for_queues(link.id));
        let asked: Vec<_> = asked.collect();
        let queues = asked.into_iter().map(|question| workers.take_queues(question));
        parallel::each(queues.collect(), |queues, _| drop(queues));
        self.open.clear();
    }

    /// Lets go, the first time, of what earlier runs left pinned but on links that are open and on these devices.
    pub fn release_pins(&mut self, keep: impl Iterator<Item = u32>) {
        if let Some(pins) = &mut self.pins {
            let open = self.open.values().map(|link| link.ifindex);
            pins.release_others(&open.chain(keep).collect::<Vec<_>>(), self.object.as_deref());
        }
    }

    /// Lets go of all that is pinned, once all links are closed.
    pub fn remove_pins(&self) {
        if let Some(pins) = &self.pins {
            pins.remove(self.object.as_deref());
        }
    }
}
