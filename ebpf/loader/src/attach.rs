//! Attaching a program to an interface, keeping it over the end of the process by a pinned link, and
//! letting it go.
//!
//! # Rules
//! 1. A program is replaced *through its link* (`bpf_link_update`), never detached and attached: some NICs
//!    reset their queues for that. One that runs already is not disturbed: the kernel sees that it is the same.
//! 2. A pin is adopted when its link's program is what this very interface runs now, and its link has a device.
//!    Any other pin at that path is stale and removed.
//! 3. A left-over of ours never stands in the way; a foreign program always does, and so does that of another
//!    switch which lives.

use std::{
    fs, io,
    net::IpAddr,
    os::fd::AsFd,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use aya::programs::{
    ProgramInfo,
    links::{FdLink, PinnedLink},
    loaded_links, loaded_programs,
    xdp::XdpLink,
};
use rustix::io::Errno;
use weft_ebpf_abi::program::PREFIX;

use crate::{
    AttachError, MapError, Mode, NicEntry, Object, Program, Reason, Role, Shield, XdpState,
    held::Held,
    home::is_anothers,
    netlink,
    pins::usable_pin,
    refusal::{Failures, no_device, program_errno},
    running, xdp_state,
};

/// How long a program of ours may still hang on a link of a process that is just ending.
const HELD_WAIT: Duration = Duration::from_secs(1);
/// How often that is looked at.
const HELD_POLL: Duration = Duration::from_millis(20);

/// What to attach, and where.
#[derive(Clone, Copy, Debug)]
pub struct AttachConfig<'a> {
    /// Programs and maps of the network namespace of the calling thread.
    pub object: &'a Arc<Object>,
    /// Index of the interface, in that namespace.
    pub ifindex: u32,
    /// Its name, for messages.
    pub ifname: &'a str,
    /// RX queues that get sockets, 1 to [`QUEUES_MAX`](crate::QUEUES_MAX).
    pub queues: u32,
    /// Which program.
    pub role: Role,
    /// Path on a bpffs where the link is pinned, so that it outlives the process; the directories are made.
    pub pin: Option<&'a Path>,
    /// Frames may need several buffers: the variant that takes such is tried first. Without it a veth would
    /// keep its peer's MTU small.
    pub frags_first: bool,
}

/// A program on an interface, with its entries in the shared maps. Dropping it detaches the program, unless it is
/// pinned.
#[derive(Debug)]
pub struct Attached {
    // Before the entries: these go first.
    held: Held,
    pub(crate) shield: Option<Shield>,
    pub(crate) nic: NicEntry,
    program: Program,
    mode: Mode,
    adopted: bool,
    fallback: Option<String>,
    unpinned: Option<String>,
}

/// How a program came onto an interface.
struct Outcome {
    held: Held,
    program: Program,
    mode: Mode,
    fallback: Option<String>,
    unpinned: Option<String>,
}

impl Attached {
    /// Attaches the program of the role: native without frags, native with frags (or
    /// the other way round), then generic. A pinned link
    /// of this interface is adopted: its program is replaced atomically and its mode stays. May wait up to a
    /// second for an ending process of ours to let go.
    ///
    /// # Errors
    /// See [`AttachError`]: each names its cause and what to do.
    pub fn attach(config: &AttachConfig<'_>) -> Result<Self, AttachError> {
        let refused = |source| AttachError::Entry { ifname: config.ifname.to_owned(), source };
        let state = query(config)?;
        if let Some(pin) = config.pin
            && let Some(mode) = usable_pin(pin, config.ifindex, &state)?
        {
            refuse_anothers(config, pin)?;
            let nic = NicEntry::open(config.object, config.ifindex, config.queues);
            let nic = nic.map_err(refused)?;
            if let Some(outcome) = adopt(config, pin, mode)? {
                return Ok(Self::new(outcome, nic, true));
            }
        }
        let mut nic =
            NicEntry::open(config.object, config.ifindex, config.queues).map_err(refused)?;
        nic.reset().map_err(refused)?;
        Ok(Self::new(attach_anew(config)?, nic, false))
    }

    fn new(outcome: Outcome, mut nic: NicEntry, adopted: bool) -> Self {
        let Outcome { held, program, mode, fallback, unpinned } = outcome;
        if held.is_pinned() {
            nic.stays();
        }
        Self { held, shield: None, nic, program, mode, adopted, fallback, unpinned }
    }

    /// Where it runs.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// Whether it takes packets in several buffers: then the sockets must be bound with `XDP_USE_SG`, or
    /// the kernel silently drops large packets.
    #[must_use]
    pub const fn has_frags(&self) -> bool {
        self.program.frags
    }

    /// Name of the program.
    #[must_use]
    pub const fn program_name(&self) -> &'static str {
        self.program.name()
    }

    /// Whether the link was there before, pinned by an earlier process.
    #[must_use]
    pub const fn adopted(&self) -> bool {
        self.adopted
    }

    /// Why it is not native without frags: what the kernel said to the better ways.
    #[must_use]
    pub fn fallback_reason(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// Why it is not pinned although that was asked for: the program works, and ends with the process.
    #[must_use]
    pub fn unpinned_reason(&self) -> Option<&str> {
        self.unpinned.as_deref()
    }

    /// See [`NicEntry::set_socket`].
    ///
    /// # Errors
    /// As there.
    pub fn set_socket(&mut self, queue: u32, socket: impl AsFd) -> Result<(), MapError> {
        self.nic.set_socket(queue, socket)
    }

    /// See [`NicEntry::clear_socket`].
    ///
    /// # Errors
    /// As there.
    pub fn clear_socket(&mut self, queue: u32) -> Result<(), MapError> {
        self.nic.clear_socket(queue)
    }

    /// See [`NicEntry::set_vteps`].
    ///
    /// # Errors
    /// As there.
    pub fn set_vteps(&mut self, addresses: &[IpAddr]) -> Result<(), MapError> {
        self.nic.set_vteps(addresses)
    }

    /// See [`NicEntry::set_tunnel_ports`].
    ///
    /// # Errors
    /// As there.
    pub fn set_tunnel_ports(&mut self, ports: &[u16]) -> Result<(), MapError> {
        self.nic.set_tunnel_ports(ports)
    }

    /// See [`NicEntry::counters`].
    ///
    /// # Errors
    /// As there.
    pub fn counters(&self) -> Result<Vec<(Reason, u64)>, MapError> {
        self.nic.counters()
    }

    /// Takes the program off the interface, its pin away, and its entries out of the maps.
    ///
    /// # Errors
    /// [`AttachError::Pin`] when the pin cannot be removed: the program then stays.
    pub fn detach(self) -> Result<(), AttachError> {
        let Self { held, shield, mut nic, .. } = self;
        let let_go = held.let_go();
        drop(shield);
        if let_go.is_ok() {
            nic.goes();
        }
        let_go
    }
}

/// Has a pinned link run the program, atomically. The mode belongs to the link and stays. `None` when the link has no
/// device any more.
fn adopt(
    config: &AttachConfig<'_>,
    pin: &Path,
    mode: Mode,
) -> Result<Option<Outcome>, AttachError> {
    let pin_error = |source| AttachError::Pin { path: pin.to_path_buf(), source };
    let link_error = |error| pin_error(io::Error::other(error));
    let mut failed = Failures::default();
    for &frags in frags_of(config) {
        let program = Program { role: config.role, frags };
        config.object.verify(program)?;
        let link = FdLink::from(PinnedLink::from_pin(pin).map_err(link_error)?);
        let link = XdpLink::try_from(link).map_err(link_error)?;
        match config.object.replace(program, link) {
            Ok(()) => {
                let link = PinnedLink::from_pin(pin).map_err(link_error)?;
                let generic = (mode == Mode::Generic)
                    .then(|| "generic since it was first attached".to_owned());
                let fallback = generic.or_else(|| failed.text());
                let held = Held::Pinned(pin.to_path_buf(), link);
                return Ok(Some(Outcome { held, program, mode, fallback, unpinned: None }));
            }
            Err(error) if program_errno(&error) == Some(Errno::NOLINK) => {
                fs::remove_file(pin).map_err(pin_error)?;
                return Ok(None);
            }
            Err(error) => failed.add(config, mode, frags, &error)?,
        }
    }
    Err(failed.refused(config))
}

/// An error when the link is that of another switch in this network namespace, which lives.
fn refuse_anothers(config: &AttachConfig<'_>, pin: &Path) -> Result<(), AttachError> {
    let (Some(folder), Some(info)) = (pin.parent(), running::pinned(pin)) else { return Ok(()) };
    let id = info.program_id();
    if !is_anothers(folder, config.object.home(), id) {
        return Ok(());
    }
    let program = running::name(id).unwrap_or_else(|| "?".to_owned());
    Err(AttachError::Held { ifname: config.ifname.to_owned(), program, id, link: info.id() })
}

/// Attaches where nothing of ours is kept. Who is in the way gets a second to go.
fn attach_anew(config: &AttachConfig<'_>) -> Result<Outcome, AttachError> {
    let deadline = Instant::now() + HELD_WAIT;
    loop {
        let blocked = match obstacle(config)? {
            None => match try_the_ways(config) {
                Err(AttachError::Busy { ifname }) => AttachError::Busy { ifname },
                done => return done,
            },
            Some(held) => held,
        };
        if Instant::now() >= deadline {
            return Err(blocked);
        }
        thread::sleep(HELD_POLL);
    }
}

/// Who is in the way and may yet go by itself; an error for who will not. Our programs that were attached
/// without a link are detached here.
fn obstacle(config: &AttachConfig<'_>) -> Result<Option<AttachError>, AttachError> {
    for (id, mode) in query(config)?.programs() {
        let ifname = config.ifname.to_owned();
        let off = match mode {
            Mode::Native => "xdpdrv",
            Mode::Generic => "xdpgeneric",
        };
        let is_it =
            |found: &Result<ProgramInfo, _>| found.as_ref().map_or(true, |it| it.id() == id);
        let found = match loaded_programs().find(is_it) {
            Some(Ok(found)) => found,
            // Gone in this moment: look again.
            None => return Ok(Some(AttachError::Busy { ifname })),
            // Without CAP_SYS_ADMIN: it may be that of a weftd which is on its way out.
            Some(Err(_)) => {
                let program = "?".to_owned();
                return Ok(Some(AttachError::ForeignProgram { ifname, program, id, mode, off }));
            }
        };
        let program = found.name_as_str().unwrap_or("?").to_owned();
        if !program.starts_with(PREFIX) {
            return Err(AttachError::ForeignProgram { ifname, program, id, mode, off });
        }
        if let Some(link) = loaded_links().flatten().find(|link| link.program_id() == id) {
            return Ok(Some(AttachError::Held { ifname, program, id, link: link.id() }));
        }
        let Ok(fd) = found.fd() else { return Ok(Some(AttachError::Busy { ifname })) };
        // A link that is being released has no number any more, but still its program: the kernel then
        // refuses this.
        if let Err(error) = netlink::detach(config.ifindex, mode, fd.as_fd()) {
            tracing::debug!(interface = config.ifname, program, %error, "not yet removed");
            return Ok(Some(AttachError::Busy { ifname }));
        }
        tracing::info!(interface = config.ifname, program, "removed an XDP program left behind");
    }
    Ok(None)
}

/// Tries the ways in their order.
fn try_the_ways(config: &AttachConfig<'_>) -> Result<Outcome, AttachError> {
    let mut failed = Failures::default();
    for mode in [Mode::Native, Mode::Generic] {
        for &frags in frags_of(config) {
            let program = Program { role: config.role, frags };
            config.object.verify(program)?;
            match config.object.attach(program, config.ifindex, mode) {
                Ok(link) => {
                    let fallback = failed.text();
                    let (held, unpinned) = Held::keep(config, link, mode, program)?;
                    return Ok(Outcome { held, program, mode, fallback, unpinned });
                }
                Err(error) => failed.add(config, mode, frags, &error)?,
            }
        }
    }
    Err(failed.refused(config))
}

/// The variants of a role's program in the order they are tried.
fn frags_of(config: &AttachConfig<'_>) -> &'static [bool] {
    match config.role {
        Role::Pass => &[true],
        Role::Port | Role::Underlay if config.frags_first => &[true, false],
        Role::Port | Role::Underlay => &[false, true],
    }
}

fn query(config: &AttachConfig<'_>) -> Result<XdpState, AttachError> {
    xdp_state(config.ifindex).map_err(|source| match Errno::from_io_error(&source) {
        Some(Errno::NODEV) => no_device(config),
        _ => AttachError::Query { ifname: config.ifname.to_owned(), source },
    })
}
