//! A loaded object: its maps are there, and programs of it can be loaded, run and attached.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Mutex, PoisonError},
};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::Map,
    programs::{ProgramError, TestRun, TestRunOptions, Xdp},
};
use weft_ebpf_abi::{VtepKey, map, program};

use crate::{DebugLog, Role};

/// The object: the committed one, or the one that `WEFT_BPF_OBJ` named when this crate was built.
static OBJECT: &[u8] = aya::include_bytes_aligned!(env!("WEFT_BPF_OBJ_PATH"));

/// The map of aya-log, 128 KiB in the object.
pub(crate) const LOG_MAP: &str = "AYA_LOGS";
/// What it is cut to when nothing is ever logged: a page.
pub(crate) const LOG_BYTES_OFF: u32 = 4096;

/// Loaders by (underlay, debug). Making one parses all types of the running kernel (5 MB, 15 ms), wanted or
/// not: so each is made once, for all threads. Loading takes a millisecond.
static LOADERS: Mutex<BTreeMap<(bool, bool), EbpfLoader<'static>>> = Mutex::new(BTreeMap::new());

/// A loader that takes what is not needed out of the object.
fn new_loader((underlay, debug): (bool, bool)) -> EbpfLoader<'static> {
    // Each a u8, as in the object: aya refuses another width.
    static LEVEL_OFF: u8 = 0;
    static LEVEL_DEBUG: u8 = aya_log::Level::Debug as u8;
    let mut loader = EbpfLoader::new();
    // Nothing in the object is relocated against the kernel's types: their memory is given back.
    loader.btf(None);
    if debug {
        loader.override_global(aya_log::LEVEL, &LEVEL_DEBUG, true);
    } else {
        loader.override_global(aya_log::LEVEL, &LEVEL_OFF, true);
        loader.map_max_entries(LOG_MAP, LOG_BYTES_OFF);
    }
    if !underlay {
        loader.map_max_entries(map::VTEPS, 1);
    }
    loader
}

/// Where in the kernel the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// In the driver, before an skb is made.
    Native,
    /// In the network stack, on skbs: any device, slower.
    Generic,
}

impl Mode {
    /// The stable name, as users see it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Generic => "generic",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One of the programs in the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    /// What it is for.
    pub role: Role,
    /// Whether it takes packets in several buffers.
    pub frags: bool,
}

impl Program {
    /// Its name, in the object and in the kernel.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match (self.role, self.frags) {
            (Role::Port, false) => program::PORT,
            (Role::Port, true) => program::PORT_SG,
            (Role::Underlay, false) => program::STEER,
            (Role::Underlay, true) => program::STEER_SG,
            (Role::Pass, _) => program::PASS,
        }
    }
}

/// Where maps and programs come from.
pub(crate) struct Object {
    /// None while a program that runs already serves, with its maps.
    ebpf: Option<Ebpf>,
    /// The maps of that one.
    taken_over: BTreeMap<&'static str, Map>,
}

impl Object {
    pub(crate) fn map(&self, name: &str) -> Option<&Map> {
        self.taken_over.get(name).or_else(|| self.ebpf.as_ref()?.map(name))
    }

    pub(crate) fn map_mut(&mut self, name: &str) -> Option<&mut Map> {
        self.taken_over.get_mut(name).or_else(|| self.ebpf.as_mut()?.map_mut(name))
    }

    /// A program, which is loaded now if that was not necessary so far.
    pub(crate) fn program_mut(&mut self, name: &str) -> Option<&mut aya::programs::Program> {
        if self.ebpf.is_none() {
            self.ebpf = Programs::load(Role::Port, false).ok()?.object.ebpf;
        }
        self.ebpf.as_mut()?.program_mut(name)
    }
}

/// A loaded object with its own maps; [`Attached`](crate::Attached) is one that also is on an interface.
pub struct Programs {
    pub(crate) object: Object,
    pub(crate) log: Option<DebugLog>,
    pub(crate) vteps: BTreeSet<VtepKey>,
    pub(crate) ports: BTreeSet<u16>,
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object: _, log: _, vteps, ports } = self;
        f.debug_struct("Programs").field("vteps", vteps).field("ports", ports).finish()
    }
}

impl Programs {
    /// Makes the maps. Without `debug` the log statements are not in the programs that the kernel runs;
    /// with it each frame costs a record, readable through the log.
    ///
    /// # Errors
    /// What the kernel says of the maps.
    pub fn load(role: Role, debug: bool) -> Result<Self, EbpfError> {
        let kind = (role == Role::Underlay, debug);
        let mut ebpf = {
            let mut loaders = LOADERS.lock().unwrap_or_else(PoisonError::into_inner);
            loaders.entry(kind).or_insert_with(|| new_loader(kind)).load(OBJECT)?
        };
        let log = if debug { DebugLog::new(&mut ebpf) } else { None };
        let object = Object { ebpf: Some(ebpf), taken_over: BTreeMap::new() };
        Ok(Self { object, log, vteps: BTreeSet::new(), ports: BTreeSet::new() })
    }

    /// Serves with the maps of a program that runs already.
    pub(crate) const fn taken_over(maps: BTreeMap<&'static str, Map>) -> Self {
        let object = Object { ebpf: None, taken_over: maps };
        Self { object, log: None, vteps: BTreeSet::new(), ports: BTreeSet::new() }
    }

    /// Has the verifier look at the program and the kernel take it. A second time is no error.
    ///
    /// # Errors
    /// What the verifier says.
    pub fn verify(&mut self, program: Program) -> Result<(), ProgramError> {
        match self.program_mut(program)?.load() {
            Ok(()) | Err(ProgramError::AlreadyLoaded) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Runs the program on one frame (at least 14 bytes) with `BPF_PROG_TEST_RUN`, and gives its action
    /// back (1 drop, 2 pass, 4 redirect). `context` is a `struct xdp_md` in bytes, for another queue.
    ///
    /// # Errors
    /// What the kernel says of the frame, the context or the program (which must be verified before).
    pub fn test_run(
        &mut self,
        program: Program,
        frame: &[u8],
        context: Option<&[u8]>,
    ) -> Result<u32, ProgramError> {
        let xdp = self.program_mut(program)?;
        let options =
            TestRunOptions { data_in: Some(frame), ctx_in: context, ..TestRunOptions::default() };
        Ok(xdp.test_run(options)?.return_value)
    }

    pub(crate) fn program_mut(&mut self, program: Program) -> Result<&mut Xdp, ProgramError> {
        // The object is ours: a missing program means that it was built from other sources.
        let found = self.object.program_mut(program.name()).ok_or(ProgramError::NotLoaded)?;
        found.try_into()
    }
}
