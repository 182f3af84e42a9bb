//! Attaching a program to an interface, keeping it over the end of the process by a pinned link, and
//! letting it go.
//!
//! # Rules
//! 1. A program is replaced *through its link* (`bpf_link_update`), never detached and attached: some NICs
//!    reset their queues for that.
//!    One that is what this process would load is not replaced at all.
//! 2. A pin is adopted when its link is what this very interface runs now; the program's id says so, since
//!    each interface has a program of its own. Any other pin at that path is stale and removed.
//! 3. A left-over of ours never stands in the way; a foreign program always does.

use std::{
    fmt::Write as _,
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use aya::programs::{
    ProgramError, ProgramInfo, Xdp, XdpError, XdpMode,
    links::{FdLink, PinnedLink},
    loaded_links, loaded_programs,
    xdp::XdpLink,
};
use rustix::io::Errno;
use weft_ebpf_abi::program::PREFIX;

use crate::{
    AttachError, DebugLog, MapError, Mode, Program, Programs, Reason, Role, Shield, XdpState,
    netlink, pins::pinned_program, running::Running, xdp_state,
};

/// How long a program of ours may still hang on a link of a process that is just ending.
const HELD_WAIT: Duration = Duration::from_secs(1);
/// How often that is looked at.
const HELD_POLL: Duration = Duration::from_millis(20);

/// What to attach, and where.
#[derive(Clone, Copy, Debug)]
pub struct AttachConfig<'a> {
    /// Index of the interface, in the network namespace of the calling thread.
    pub ifindex: u32,
    /// Its name, for messages.
    pub ifname: &'a str,
    /// Which program.
    pub role: Role,
    /// Path on a bpffs where the link is pinned, so that it outlives the process; the directories are made.
    pub pin: Option<&'a Path>,
    /// Whether the program logs each frame.
    pub debug: bool,
    /// Frames may need several buffers: the variant that takes such is tried first. Without it a veth would
    /// keep its peer's MTU small.
    pub frags_first: bool,
}

/// A program on an interface, with its own maps. Dropping it detaches the program, unless it is pinned.
#[derive(Debug)]
pub struct Attached {
    // Before the programs: these go first.
    held: Held,
    pub(crate) shield: Option<Shield>,
    pub(crate) programs: Programs,
    program: Program,
    mode: Mode,
    adopted: bool,
    fallback: Option<String>,
    unpinned: Option<String>,
}

/// What keeps the program on the interface.
#[derive(Debug)]
enum Held {
    Pinned(PathBuf, PinnedLink),
    #[expect(dead_code, reason = "it is held, not used: closing it detaches")]
    Link(FdLink),
    #[expect(dead_code, reason = "it is held, not used: dropping it detaches")]
    Netlink(NetlinkAttachment),
}

/// A program that a kernel without links for XDP (before 5.9) attached.
#[derive(Debug)]
struct NetlinkAttachment {
    ifindex: u32,
    mode: Mode,
    program: aya::programs::ProgramFd,
}

impl Drop for NetlinkAttachment {
    fn drop(&mut self) {
        if let Err(error) = netlink::detach(self.ifindex, self.mode, self.program.as_fd()) {
            tracing::warn!(ifindex = self.ifindex, %error, "XDP program stays attached");
        }
    }
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
        let state = query(config)?;
        let mut usable = None;
        if let Some(pin) = config.pin {
            usable = usable_pin(pin, &state)?.map(|mode| (pin, mode));
        }
        if let Some((pin, mode)) = usable
            && let Some(attached) = take_over(config, pin, mode)
        {
            return Ok(attached);
        }
        let mut programs = Programs::load(config.role, config.debug).map_err(|source| {
            let program = Program { role: config.role, frags: false }.name();
            match aya_errno(&source) {
                Some(Errno::PERM | Errno::ACCESS) => not_permitted("make eBPF maps", Errno::PERM),
                _ => AttachError::Load { program, source: Box::new(source) },
            }
        })?;
        if let Some((pin, mode)) = usable {
            return adopt(config, programs, pin, mode);
        }
        let (link, program, mode, fallback) = attach_anew(config, &mut programs)?;
        let (held, unpinned) = keep(config, &mut programs, link, mode, program)?;
        Ok(Self { held, shield: None, programs, program, mode, adopted: false, fallback, unpinned })
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

    /// See [`Programs::set_socket`].
    ///
    /// # Errors
    /// As there.
    pub fn set_socket(&mut self, queue: u32, socket: impl AsFd) -> Result<(), MapError> {
        self.programs.set_socket(queue, socket)
    }

    /// See [`Programs::clear_socket`].
    ///
    /// # Errors
    /// As there.
    pub fn clear_socket(&mut self, queue: u32) -> Result<(), MapError> {
        self.programs.clear_socket(queue)
    }

    /// See [`Programs::set_vteps`].
    ///
    /// # Errors
    /// As there.
    pub fn set_vteps(&mut self, addresses: &[std::net::IpAddr]) -> Result<(), MapError> {
        self.programs.set_vteps(addresses)
    }

    /// See [`Programs::set_tunnel_ports`].
    ///
    /// # Errors
    /// As there.
    pub fn set_tunnel_ports(&mut self, ports: &[u16]) -> Result<(), MapError> {
        self.programs.set_tunnel_ports(ports)
    }

    /// See [`Programs::counters`].
    ///
    /// # Errors
    /// As there.
    pub fn counters(&self) -> Result<Vec<(Reason, u64)>, MapError> {
        self.programs.counters()
    }

    /// What the program logs, when it was attached with `debug`.
    pub fn debug_log(&mut self) -> Option<&mut DebugLog> {
        self.programs.log.as_mut()
    }

    /// Takes the program off the interface, and its pin away.
    ///
    /// # Errors
    /// [`AttachError::Pin`] when the pin cannot be removed: the program then stays.
    pub fn detach(self) -> Result<(), AttachError> {
        let Self { held, .. } = self;
        match held {
            Held::Pinned(path, link) => unpin(path, link),
            Held::Link(_) | Held::Netlink(_) => Ok(()),
        }
    }
}

/// Removes the pin; closing the link then detaches.
fn unpin(path: PathBuf, link: PinnedLink) -> Result<(), AttachError> {
    match link.unpin() {
        Ok(_link) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(AttachError::Pin { path, source }),
    }
}

/// Whether the pin's link is on this interface: then the mode it is attached in. A stale pin is removed; a pin
/// of this interface under another name (it was renamed) in the same directory is moved to `pin`.
fn usable_pin(pin: &Path, state: &XdpState) -> Result<Option<Mode>, AttachError> {
    if fs::symlink_metadata(pin).is_ok() {
        if let Some(mode) = mode_of(pin, state) {
            return Ok(Some(mode));
        }
        tracing::info!(pin = %pin.display(), "removing a stale XDP link");
        fs::remove_file(pin)
            .map_err(|source| AttachError::Pin { path: pin.to_path_buf(), source })?;
    }
    if state.programs().next().is_none() {
        return Ok(None);
    }
    let siblings = pin.parent().and_then(|parent| fs::read_dir(parent).ok());
    for sibling in siblings.into_iter().flatten().flatten() {
        let Some(mode) = mode_of(&sibling.path(), state) else { continue };
        match fs::rename(sibling.path(), pin) {
            Ok(()) => return Ok(Some(mode)),
            // Whoever attaches to another interface took it for a stale one of his.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(AttachError::Pin { path: sibling.path(), source }),
        }
    }
    Ok(None)
}

/// The mode in which the interface runs the program of the link that is pinned here, if it does and the
/// program is ours.  Who may not ask for its name (that takes `CAP_SYS_ADMIN`) believes the place: nobody
/// else pins in this folder.
fn mode_of(pin: &Path, state: &XdpState) -> Option<Mode> {
    let id = pinned_program(pin)?;
    let (_, mode) = state.programs().find(|(running, _)| *running == id)?;
    Running::find(id).is_none_or(|running| running.name.starts_with(PREFIX)).then_some(mode)
}

/// Leaves the program of a pinned link where it is, if it is the one that would be put in its place. Not that of an
/// underlay: what its maps say would have to be read.
fn take_over(config: &AttachConfig<'_>, pin: &Path, mode: Mode) -> Option<Attached> {
    if config.debug || config.role != Role::Port {
        return None;
    }
    let program = Program { role: config.role, frags: *frags_of(config).first()? };
    let programs = Running::find(pinned_program(pin)?)?.take_over(program)?;
    let held = Held::Pinned(pin.to_path_buf(), PinnedLink::from_pin(pin).ok()?);
    let fallback = generic_since(mode);
    let (shield, adopted, unpinned) = (None, true, None);
    Some(Attached { held, shield, programs, program, mode, adopted, fallback, unpinned })
}

/// Why an adopted link is generic, if it is.
fn generic_since(mode: Mode) -> Option<String> {
    (mode == Mode::Generic).then(|| "generic since it was first attached".to_owned())
}

/// Replaces the program of a pinned link, atomically. The mode belongs to the link and stays.
fn adopt(
    config: &AttachConfig<'_>,
    mut programs: Programs,
    pin: &Path,
    mode: Mode,
) -> Result<Attached, AttachError> {
    let pin_error = |source| AttachError::Pin { path: pin.to_path_buf(), source };
    let mut failed = Failures::default();
    for &frags in frags_of(config) {
        let program = Program { role: config.role, frags };
        verify(&mut programs, program)?;
        let xdp = programs.program_mut(program).map_err(|error| load_error(program, error))?;
        let link = PinnedLink::from_pin(pin).map_err(|error| pin_error(io::Error::other(error)))?;
        let link = XdpLink::try_from(FdLink::from(link))
            .map_err(|error| pin_error(io::Error::other(error)))?;
        match xdp.attach_to_link(link).and_then(|id| xdp.take_link(id)) {
            Ok(link) => {
                drop(link);
                let link = PinnedLink::from_pin(pin)
                    .map_err(|error| pin_error(io::Error::other(error)))?;
                let fallback = generic_since(mode).or_else(|| failed.text());
                let held = Held::Pinned(pin.to_path_buf(), link);
                let (adopted, unpinned) = (true, None);
                return Ok(Attached {
                    held,
                    shield: None,
                    programs,
                    program,
                    mode,
                    adopted,
                    fallback,
                    unpinned,
                });
            }
            Err(error) => failed.add(config, mode, frags, &error)?,
        }
    }
    Err(failed.refused(config))
}

/// Attaches where nothing of ours is kept. Who is in the way gets a second to go.
fn attach_anew(
    config: &AttachConfig<'_>,
    programs: &mut Programs,
) -> Result<(XdpLink, Program, Mode, Option<String>), AttachError> {
    let deadline = Instant::now() + HELD_WAIT;
    loop {
        let blocked = match obstacle(config)? {
            None => match try_the_ways(config, programs) {
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

/// Tries the ways in their order. Gives the link, which program in which mode, and why no better one.
fn try_the_ways(
    config: &AttachConfig<'_>,
    programs: &mut Programs,
) -> Result<(XdpLink, Program, Mode, Option<String>), AttachError> {
    let mut failed = Failures::default();
    for (mode, xdp_mode) in [(Mode::Native, XdpMode::Driver), (Mode::Generic, XdpMode::Skb)] {
        for &frags in frags_of(config) {
            let program = Program { role: config.role, frags };
            verify(programs, program)?;
            let xdp: &mut Xdp =
                programs.program_mut(program).map_err(|error| load_error(program, error))?;
            let attached = xdp.attach_to_if_index(config.ifindex, xdp_mode);
            match attached.and_then(|id| xdp.take_link(id)) {
                Ok(link) => return Ok((link, program, mode, failed.text())),
                Err(error) => failed.add(config, mode, frags, &error)?,
            }
        }
    }
    Err(failed.refused(config))
}

/// Pins the link if that is wanted; a pin that cannot be made is no reason not to work.
fn keep(
    config: &AttachConfig<'_>,
    programs: &mut Programs,
    link: XdpLink,
    mode: Mode,
    program: Program,
) -> Result<(Held, Option<String>), AttachError> {
    let Ok(link) = FdLink::try_from(link) else {
        let fd = programs
            .object
            .program_mut(program.name())
            .and_then(|found| found.fd().ok()?.try_clone().ok())
            .ok_or_else(|| load_error(program, ProgramError::NotLoaded))?;
        let attachment = NetlinkAttachment { ifindex: config.ifindex, mode, program: fd };
        let unpinned = config.pin.map(|_| "this kernel has no bpf links for XDP".to_owned());
        return Ok((Held::Netlink(attachment), unpinned));
    };
    let Some(pin) = config.pin else { return Ok((Held::Link(link), None)) };
    let directories = pin.parent().map_or(Ok(()), fs::create_dir_all);
    let pinned = directories.map_err(|error| error.to_string()).and_then(|()| {
        is_bpffs(pin).then_some(()).ok_or_else(|| {
            "not on a bpffs: `mount -t bpf bpf /sys/fs/bpf` makes the program survive a restart"
                .to_owned()
        })
    });
    match pinned {
        Err(reason) => {
            tracing::warn!(interface = config.ifname, pin = %pin.display(), reason, "not pinned");
            Ok((Held::Link(link), Some(reason)))
        }
        Ok(()) => match link.pin(pin) {
            Ok(link) => Ok((Held::Pinned(pin.to_path_buf(), link), None)),
            Err(error) => {
                Err(AttachError::Unpinnable { path: pin.to_path_buf(), source: Box::new(error) })
            }
        },
    }
}

/// Whether the path's directory is on a bpffs.
fn is_bpffs(pin: &Path) -> bool {
    const BPF_FS_MAGIC: u64 = 0xcafe_4a11;
    let parent = pin.parent().unwrap_or(pin);
    rustix::fs::statfs(parent).is_ok_and(|found| u64::try_from(found.f_type) == Ok(BPF_FS_MAGIC))
}

/// The variants of a role's program in the order they are tried.
fn frags_of(config: &AttachConfig<'_>) -> &'static [bool] {
    match config.role {
        Role::Pass => &[true],
        Role::Port | Role::Underlay if config.frags_first => &[true, false],
        Role::Port | Role::Underlay => &[false, true],
    }
}

/// What the kernel said to each way, and the word that decides the advice.
#[derive(Default)]
struct Failures {
    text: String,
    last: Option<Errno>,
    range: bool,
}

impl Failures {
    /// Notes a refusal; an error when no other way can help.
    fn add(
        &mut self,
        config: &AttachConfig<'_>,
        mode: Mode,
        frags: bool,
        error: &ProgramError,
    ) -> Result<(), AttachError> {
        let errno = program_errno(error);
        match errno {
            Some(Errno::PERM | Errno::ACCESS) => {
                return Err(not_permitted("attach an XDP program", Errno::PERM));
            }
            Some(Errno::NODEV) => return Err(no_device(config)),
            Some(Errno::BUSY | Errno::EXIST) => {
                return Err(AttachError::Busy { ifname: config.ifname.to_owned() });
            }
            _ => {}
        }
        let said = match (error, errno) {
            // Its own text carries what the driver said.
            (ProgramError::XdpError(XdpError::NetlinkError(said)), _) => said.to_string(),
            (_, Some(errno)) => errno.to_string(),
            (other, None) => other.to_string(),
        };
        let separator = if self.text.is_empty() { "" } else { "; " };
        let with = if frags { "with" } else { "without" };
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{separator}{mode} {with} frags: {said}");
        self.range |= errno == Some(Errno::RANGE);
        self.last = errno;
        Ok(())
    }

    fn text(self) -> Option<String> {
        (!self.text.is_empty()).then_some(self.text)
    }

    fn refused(self, config: &AttachConfig<'_>) -> AttachError {
        let mtu = xdp_state(config.ifindex).map_or(0, |state| state.mtu);
        let advice = match self.last {
            _ if self.range => "the MTU is too large for XDP here: lower it",
            Some(Errno::INVAL) if mtu > 3000 => "the MTU may be too large for XDP: lower it",
            Some(Errno::OPNOTSUPP) => "this kind of device cannot carry XDP: use another one",
            Some(Errno::NOMEM | Errno::NOSPC) => "the kernel is short of memory or queues",
            _ => "`dmesg` may have the driver's reason",
        };
        AttachError::Refused {
            ifname: config.ifname.to_owned(),
            mtu,
            attempts: self.text,
            advice,
            source: self.last.unwrap_or(Errno::INVAL).into(),
        }
    }
}

fn query(config: &AttachConfig<'_>) -> Result<XdpState, AttachError> {
    xdp_state(config.ifindex).map_err(|source| match Errno::from_io_error(&source) {
        Some(Errno::NODEV) => no_device(config),
        _ => AttachError::Query { ifname: config.ifname.to_owned(), source },
    })
}

fn verify(programs: &mut Programs, program: Program) -> Result<(), AttachError> {
    programs.verify(program).map_err(|error| load_error(program, error))
}

fn load_error(program: Program, error: ProgramError) -> AttachError {
    match program_errno(&error) {
        Some(Errno::PERM) => not_permitted("load an XDP program", Errno::PERM),
        _ => AttachError::Load { program: program.name(), source: Box::new(error.into()) },
    }
}

fn no_device(config: &AttachConfig<'_>) -> AttachError {
    AttachError::NoDevice { ifname: config.ifname.to_owned(), ifindex: config.ifindex }
}

fn not_permitted(action: &'static str, errno: Errno) -> AttachError {
    AttachError::NotPermitted { action, source: errno.into() }
}

pub(crate) fn program_errno(error: &ProgramError) -> Option<Errno> {
    match error {
        ProgramError::SyscallError(error) => Errno::from_io_error(&error.io_error),
        ProgramError::LoadError { io_error, .. } => Errno::from_io_error(io_error),
        ProgramError::XdpError(XdpError::NetlinkError(error)) => {
            error.raw_os_error().map(Errno::from_raw_os_error)
        }
        _ => None,
    }
}

fn aya_errno(error: &aya::EbpfError) -> Option<Errno> {
    match error {
        aya::EbpfError::MapError(aya::maps::MapError::CreateError { io_error, .. }) => {
            Errno::from_io_error(io_error)
        }
        aya::EbpfError::ProgramError(error) => program_errno(error),
        _ => None,
    }
}
