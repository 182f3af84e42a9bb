//! The eBPF object of a network namespace: its programs, each loaded once, and the maps that all interfaces share.

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    programs::{
        ProgramError, ProgramFd, SchedClassifier, TestRun as _, TestRunOptions, Xdp, XdpMode,
        xdp::XdpLink,
    },
};
use aya_obj::programs::XdpAttachType;
use rustix::io::Errno;
use weft_ebpf_abi::{map, program};

use crate::{
    AttachError, DebugLog, Mode, Program,
    home::Home,
    maps::Maps,
    refusal::{aya_errno, load_error, not_permitted},
};

/// The object: the committed one, or the one that `WEFT_BPF_OBJ` named when this crate was built.
pub(crate) static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WEFT_BPF_OBJ_PATH"));

/// The map of aya-log, 128 KiB in the object.
const LOG_MAP: &str = "AYA_LOGS";
/// What it is cut to when nothing is ever logged: a page.
const LOG_BYTES_OFF: u32 = 4096;

/// Programs and maps for all interfaces of this network namespace.
pub struct Object {
    maps: Mutex<Maps>,
    programs: Mutex<Programs>,
    log: Mutex<Option<DebugLog>>,
    home: Option<Home>,
    unpinned: Option<String>,
}

/// The programs, which are opened or loaded when they are needed first.
#[derive(Default)]
struct Programs {
    /// None while all that was needed was pinned.
    ebpf: Option<Ebpf>,
    /// Those that an earlier process of ours pinned.
    pinned: BTreeMap<&'static str, Xdp>,
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { maps: _, programs: _, log: _, home, unpinned } = self;
        f.debug_struct("Object").field("home", home).field("unpinned", unpinned).finish()
    }
}

impl Object {
    /// Programs and maps that end with the process. With `debug` the programs log each frame, see
    /// [`Object::take_debug_log`]; without it the log statements are not in what the kernel runs.
    ///
    /// # Errors
    /// [`AttachError::NotPermitted`] or [`AttachError::Object`].
    pub fn load(debug: bool) -> Result<Self, AttachError> {
        let mut ebpf = load(None, debug).map_err(refused)?;
        let log = if debug { DebugLog::new(&mut ebpf) } else { None };
        let maps = Maps::of(maps_of(&mut ebpf)).map_err(AttachError::Maps)?;
        Ok(Self {
            maps: Mutex::new(maps),
            programs: Mutex::new(Programs { ebpf: Some(ebpf), ..Programs::default() }),
            log: Mutex::new(log),
            home: None,
            unpinned: None,
        })
    }

    /// Programs and maps that are pinned below `folder` (see [`pin_directory`](crate::pin_directory)), for
    /// `owner`: those that an earlier process of this owner left, or new ones. Where nothing can be pinned they end
    /// with the process, and [`Object::unpinned_reason`] says why.
    ///
    /// # Errors
    /// As [`Object::load`].
    pub fn open(folder: &Path, owner: &str) -> Result<Self, AttachError> {
        let opened = Home::open(folder, owner).and_then(|home| match home.maps().map(Maps::of) {
            Some(Ok(maps)) => Ok(Self::at(home, maps, Programs::default())),
            Some(Err(_)) | None => Self::anew(home),
        });
        opened.or_else(|reason| {
            tracing::warn!(reason, "XDP programs and maps are not pinned");
            Ok(Self { unpinned: Some(reason), ..Self::load(false)? })
        })
    }

    /// New programs and maps, pinned in an empty home.
    fn anew(home: Home) -> Result<Self, String> {
        home.clear(|_| false).map_err(|error| error.to_string())?;
        let mut ebpf = load(Some(&home), false).map_err(|error| error.to_string())?;
        let maps = Maps::of(maps_of(&mut ebpf)).map_err(|error| error.to_string())?;
        Ok(Self::at(home, maps, Programs { ebpf: Some(ebpf), ..Programs::default() }))
    }

    fn at(home: Home, maps: Maps, programs: Programs) -> Self {
        let ours = [program::PORT, program::PORT_SG, program::STEER, program::STEER_SG];
        let keeps = |path: &Path| {
            map::ALL.iter().any(|name| home.map(name) == path)
                || ours.iter().any(|name| home.program(name) == path)
        };
        // Those of an earlier version run until they are replaced, pinned or not.
        if let Err(error) = home.clear(keeps) {
            tracing::warn!(home = %home.folder().display(), %error, "old programs stay pinned");
        }
        Self {
            maps: Mutex::new(maps),
            programs: Mutex::new(programs),
            log: Mutex::new(None),
            home: Some(home),
            unpinned: None,
        }
    }

    /// Where it is pinned, if it is.
    #[must_use]
    pub fn home(&self) -> Option<&Path> {
        self.home.as_ref().map(Home::folder)
    }

    /// Why it is not pinned although that was asked for: it works, and ends with the process.
    #[must_use]
    pub fn unpinned_reason(&self) -> Option<&str> {
        self.unpinned.as_deref()
    }

    /// Takes away the pins: programs and maps end with this value, and with the links that run them.
    pub fn unpin(&self) {
        if let Some(home) = &self.home
            && let Err(error) =
                home.clear(|_| false).and_then(|()| std::fs::remove_dir(home.folder()))
        {
            tracing::warn!(home = %home.folder().display(), %error, "pins stay");
        }
    }

    /// Forgets the interfaces that are not to be kept: their slots are free.
    pub fn release(&self, keep: &[u32]) {
        let mut maps = self.maps();
        for ifindex in maps.ifindexes() {
            if !keep.contains(&ifindex) {
                maps.remove(ifindex);
            }
        }
    }

    /// What the programs log, if this was loaded with `debug`; once.
    pub fn take_debug_log(&self) -> Option<DebugLog> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Has the verifier look at the program and the kernel take it. A second time is no error.
    ///
    /// # Errors
    /// [`AttachError::NotPermitted`] or [`AttachError::Load`]: what the verifier says.
    pub fn verify(&self, program: Program) -> Result<(), AttachError> {
        let loaded = self.with(program, |_| Ok(()));
        loaded.map_err(|error| load_error(program, error))
    }

    /// Runs the program on one frame (at least 14 bytes) with `BPF_PROG_TEST_RUN`, and gives its action
    /// back (1 drop, 2 pass, 4 redirect). `context` is a `struct xdp_md` in bytes, for another interface
    /// than the loopback one, or another queue.
    ///
    /// # Errors
    /// What the kernel says of the frame, the context or the program.
    pub fn test_run(
        &self,
        program: Program,
        frame: &[u8],
        context: Option<&[u8]>,
    ) -> Result<u32, ProgramError> {
        let options =
            TestRunOptions { data_in: Some(frame), ctx_in: context, ..TestRunOptions::default() };
        self.with(program, |xdp| Ok(xdp.test_run(options)?.return_value))
    }

    pub(crate) fn maps(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn attach(
        &self,
        program: Program,
        ifindex: u32,
        mode: Mode,
    ) -> Result<XdpLink, ProgramError> {
        let mode = match mode {
            Mode::Native => XdpMode::Driver,
            Mode::Generic => XdpMode::Skb,
        };
        self.with(program, |xdp| {
            let id = xdp.attach_to_if_index(ifindex, mode)?;
            xdp.take_link(id)
        })
    }

    /// Has the link run this program; one that does already is not disturbed.
    pub(crate) fn replace(&self, program: Program, link: XdpLink) -> Result<(), ProgramError> {
        self.with(program, |xdp| {
            let id = xdp.attach_to_link(link)?;
            xdp.take_link(id).map(drop)
        })
    }

    pub(crate) fn descriptor(&self, program: Program) -> Result<ProgramFd, ProgramError> {
        self.with(program, |xdp| xdp.fd()?.try_clone().map_err(ProgramError::IOError))
    }

    /// Does something with the program, which is opened or loaded first if need be.
    fn with<T>(
        &self,
        program: Program,
        work: impl FnOnce(&mut Xdp) -> Result<T, ProgramError>,
    ) -> Result<T, ProgramError> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        work(programs.xdp(program.name(), self.home.as_ref())?)
    }

    /// The program that drops, to be attached.
    pub(crate) fn with_drop<T>(
        &self,
        work: impl FnOnce(&mut SchedClassifier) -> Result<T, ProgramError>,
    ) -> Result<T, ProgramError> {
        let mut programs = self.programs.lock().unwrap_or_else(PoisonError::into_inner);
        let classifier: &mut SchedClassifier =
            programs.loaded(program::DROP, self.home.as_ref())?.try_into()?;
        match classifier.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => work(classifier),
            Err(error) => Err(error),
        }
    }
}

impl Programs {
    fn xdp(&mut self, name: &'static str, home: Option<&Home>) -> Result<&mut Xdp, ProgramError> {
        if let Some(home) = home
            && !self.pinned.contains_key(name)
        {
            let pin = home.program(name);
            if !pin.exists() {
                self.load_and_pin(name, home)?;
            }
            if let Ok(xdp) = Xdp::from_pin(pin, XdpAttachType::Interface) {
                self.pinned.insert(name, xdp);
            }
        }
        if self.pinned.contains_key(name) {
            return self.pinned.get_mut(name).ok_or(ProgramError::NotLoaded);
        }
        let xdp: &mut Xdp = self.loaded(name, home)?.try_into()?;
        match xdp.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(xdp),
            Err(error) => Err(error),
        }
    }

    /// A program that cannot be pinned works all the same.
    fn load_and_pin(&mut self, name: &'static str, home: &Home) -> Result<(), ProgramError> {
        let xdp: &mut Xdp = self.loaded(name, Some(home))?.try_into()?;
        match xdp.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => {}
            Err(error) => return Err(error),
        }
        if let Err(error) = xdp.pin(home.program(name)) {
            tracing::warn!(program = name, %error, "not pinned");
        }
        Ok(())
    }

    /// A program of the object, which is read if that was not necessary so far.
    fn loaded(
        &mut self,
        name: &str,
        home: Option<&Home>,
    ) -> Result<&mut aya::programs::Program, ProgramError> {
        if self.ebpf.is_none() {
            self.ebpf = Some(load(home, false).map_err(|error| match error {
                EbpfError::ProgramError(error) => error,
                EbpfError::MapError(error) => ProgramError::MapError(error),
                error => ProgramError::IOError(std::io::Error::other(error)),
            })?);
        }
        let found = self.ebpf.as_mut().and_then(|ebpf| ebpf.program_mut(name));
        // The object is ours: a missing program means that it was built from other sources.
        found.ok_or(ProgramError::NotLoaded)
    }
}

/// Makes the maps, or opens those that are pinned in the home.
fn load(home: Option<&Home>, debug: bool) -> Result<Ebpf, EbpfError> {
    // Each a u8, as in the object: aya refuses another width.
    static LEVEL_OFF: u8 = 0;
    static LEVEL_DEBUG: u8 = aya_log::Level::Debug as u8;
    // It parses all types of the running kernel (5 MB, 15 ms), wanted or not.
    let mut loader = EbpfLoader::new();
    // Nothing in the object is relocated against the kernel's types.
    loader.btf(None);
    if debug {
        loader.override_global(aya_log::LEVEL, &LEVEL_DEBUG, true);
    } else {
        loader.override_global(aya_log::LEVEL, &LEVEL_OFF, true);
        loader.map_max_entries(LOG_MAP, LOG_BYTES_OFF);
    }
    for name in map::ALL {
        if let Some(home) = home {
            loader.map_pin_path(name, home.map(name));
        }
    }
    loader.load(OBJECT)
}

/// The maps of a loaded object that interfaces share.
fn maps_of(ebpf: &mut Ebpf) -> BTreeMap<&'static str, aya::maps::Map> {
    map::ALL.into_iter().filter_map(|name| Some((name, ebpf.take_map(name)?))).collect()
}

fn refused(error: EbpfError) -> AttachError {
    match aya_errno(&error) {
        Some(Errno::PERM | Errno::ACCESS) => not_permitted("make eBPF maps", Errno::PERM),
        _ => AttachError::Object { source: Box::new(error) },
    }
}
