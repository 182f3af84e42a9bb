//! One NIC: its XDP program and its `AF_XDP` sockets.
//!
//! The kernel makes whoever attaches, binds or closes wait until all its processors have moved on (RCU), some
//! milliseconds each time.  So a NIC is opened and closed apart from the control loop's data: an order, carried out
//! on whatever thread, gives an open NIC.  Many at a time wait together ([`crate::host::parallel`]).

use crate::host::descriptors;
use crate::host::links::{Link, LinkError};
use crate::host::taps::LinkTap;
use crate::netlink::kernel::Kernel;
use crate::plan::Held;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use weft_ebpf::{AttachConfig, Attached, Mode, Object, Role, Shield};
use weft_io::ethtool::{self, Driver, medium};
use weft_io::{LARGE_MTU_MAX, Queue, RegionHandle, XskConfig, XskQueue, ZeroCopy, packet_queue};
use weft_switch::{LinkId, WorkerId};

/// RX queues of one NIC that are served.
const QUEUES_MAX: u32 = weft_ebpf::QUEUES_MAX;

/// A NIC to open.
#[derive(Clone, Debug)]
pub struct NicOrder {
    /// Its number in the datapath.
    pub id: LinkId,
    /// Its name.
    pub name: String,
    /// Its number.
    pub ifindex: u32,
    /// Its MTU.
    pub mtu: u32,
    /// Its kind, as the kernel says (`veth`); empty for hardware.
    pub kind: String,
    /// Bridge port or underlay.
    pub held: Held,
    /// It takes frames for all stations already.
    pub is_promiscuous: bool,
    /// Programs and maps of all NICs.
    pub object: Arc<Object>,
    /// Where its XDP link is pinned, if anywhere.
    pub pin: Option<PathBuf>,
    /// For each of its queues which worker gets it, and that worker's memory.
    pub workers: Vec<(usize, RegionHandle)>,
}

/// A NIC that is open, and not yet in service.
pub struct OpenNic {
    /// What it is.
    pub link: Link,
    /// Which worker gets each queue.
    pub queues: Vec<(usize, Queue)>,
    /// It was we who made it promiscuous.
    pub is_made_promiscuous: bool,
}

impl NicOrder {
    /// Attaches the XDP program, and opens a socket for each RX queue.  `at_once` links are opened at a time.
    ///
    /// # Errors
    /// See [`LinkError`]; everything is undone then.
    pub fn open(&self, at_once: usize) -> Result<OpenNic, LinkError> {
        descriptors::check(at_once)?;
        let mut nic = if self.is_guest() { self.open_guest() } else { self.open_xdp() }?;
        let is_adopted = nic.link.attached.as_ref().is_some_and(Attached::adopted);
        nic.is_made_promiscuous = self.held == Held::Port && self.make_promiscuous(is_adopted);
        Ok(nic)
    }

    /// As a port of a bridge a NIC must take frames for all stations behind it.  True when it was we who made
    /// it do so.
    fn make_promiscuous(&self, is_adopted: bool) -> bool {
        if self.is_promiscuous {
            // An adopted link was a port of ours already.
            return is_adopted;
        }
        let made = Kernel::connected()
            .and_then(|mut kernel| kernel.set_promiscuous(self.ifindex, true))
            .inspect_err(|error| tracing::warn!("{}: cannot be promiscuous: {error}", self.name));
        made.is_ok()
    }

    fn open_xdp(&self) -> Result<OpenNic, LinkError> {
        let role = if self.held == Held::Underlay { Role::Underlay } else { Role::Port };
        let is_large = self.workers.first().is_some_and(|(_, it)| self.mtu > it.mtu_max());
        let config = AttachConfig {
            object: &self.object,
            ifindex: self.ifindex,
            ifname: &self.name,
            queues: u32::try_from(self.workers.len()).unwrap_or(QUEUES_MAX),
            role,
            pin: self.pin.as_deref(),
            // Without frags the kernel would not let the MTU of a veth, or of its peer, be raised; with
            // them a veth costs the same.
            frags_first: self.kind == "veth" || is_large,
        };
        let mut attached = Attached::attach(&config)?;
        match self.open_queues(&mut attached) {
            Ok(queues) => {
                let link = Link { attached: Some(attached), ..self.link(&queues) };
                let workers = self.workers.iter().map(|(worker, _)| *worker);
                let queues = workers.zip(queues.into_iter().map(Queue::from)).collect();
                Ok(OpenNic { link, queues, is_made_promiscuous: false })
            }
            Err(error) => {
                if let Err(error) = attached.detach() {
                    tracing::warn!("{}: undoing: {error}", self.name);
                }
                Err(error)
            }
        }
    }

    /// Whether it is the TAP of a guest, or of some other program that is no switch.
    fn is_guest(&self) -> bool {
        self.held == Held::Port && self.kind == "tun"
    }

    /// Serves the TAP of a guest by a packet socket.  It says which checksums are missing and how a
    /// super-frame is to be cut, and takes super-frames for the guest; XDP on a TAP knows neither, and
    /// `AF_XDP` there copies twice.
    fn open_guest(&self) -> Result<OpenNic, LinkError> {
        let (worker, region) = *self.workers.first().ok_or(LinkError::TooMany)?;
        let is_large = self.mtu > region.mtu_max();
        if is_large {
            region.allow_large()?;
        }
        // First: no frame is for the host.
        let shield = Shield::raise(&self.object, &self.name)?;
        let queue = packet_queue(self.ifindex, &self.name, true)?;
        let link = Link {
            mtu_max: if is_large { LARGE_MTU_MAX } else { region.mtu_max() },
            has_partial_checksums: false,
            shield: Some(shield),
            watches: vec![queue.watch()],
            workers: vec![WorkerId(u16::try_from(worker).unwrap_or_default())],
            ..self.link(&[])
        };
        let queues = vec![(worker, queue.into())];
        Ok(OpenNic { link, queues, is_made_promiscuous: false })
    }

    fn open_queues(&self, attached: &mut Attached) -> Result<Vec<XskQueue>, LinkError> {
        let mut queues = Vec::new();
        for (queue_id, (_, region)) in (0u32..).zip(&self.workers) {
            let mut config = XskConfig::new(self.ifindex, &self.name, queue_id, self.mtu, *region);
            config.has_superframes = attached.mode() == Mode::Generic;
            if !self.kind.is_empty() {
                // No device of software can.  Trying would take the kernel 5 ms, under the lock that all wait for.
                config.zero_copy = ZeroCopy::Never;
            }
            let queue = XskQueue::open(&config)?;
            attached.set_socket(queue_id, queue.fd())?;
            queues.push(queue);
        }
        Ok(queues)
    }

    /// The link, but for its XDP program.
    fn link(&self, queues: &[XskQueue]) -> Link {
        let number = |worker: usize| WorkerId(u16::try_from(worker).unwrap_or_default());
        Link {
            id: self.id,
            held: self.held,
            ifindex: self.ifindex,
            mtu: self.mtu,
            mtu_max: queues.last().map_or(LARGE_MTU_MAX, XskQueue::mtu_max),
            mtu_refused: None,
            driver: driver(&self.name, &self.kind),
            has_partial_checksums: !self.kind.is_empty(),
            medium: medium(&self.name),
            is_running: None,
            resets: 0,
            attached: None,
            shield: None,
            af_xdp_mode: queues.last().map(|queue| queue.mode().name()),
            watches: queues.iter().map(XskQueue::watch).collect(),
            workers: self.workers.iter().map(|(worker, _)| number(*worker)).collect(),
            tap_device: None,
            tap: LinkTap::default(),
        }
    }
}

/// How many RX queues of a device are served; at least 1.
pub fn rx_queues(name: &str) -> u32 {
    let folder = Path::new("/sys/class/net").join(name).join("queues");
    let count = std::fs::read_dir(folder).map(|entries| {
        entries
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with("rx-"))
            .count()
    });
    u32::try_from(count.unwrap_or(0)).unwrap_or(1).clamp(1, QUEUES_MAX)
}

/// The driver of a device; the kind that the kernel says it is, where no driver speaks.
pub fn driver(name: &str, kind: &str) -> Driver {
    ethtool::driver(name).unwrap_or_else(|_| Driver { name: kind.to_owned(), ..Driver::default() })
}
