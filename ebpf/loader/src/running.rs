//! Programs that the kernel runs, by their numbers; and taking one over as it is.
//!
//! A restart finds the programs of the former process on pinned links. One that is what this process would load stays
//! where it is, with its maps: to replace it, the kernel rebuilds the code that calls XDP programs, and waits until
//! all processors have left the old one. That is 10 ms for each interface, one after the other.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use aya::{
    maps::{Map, MapData, MapInfo},
    programs::loaded_programs,
};
use weft_ebpf_abi::{QUEUES_MAX, map};

use crate::{
    Program, Programs,
    programs::{LOG_BYTES_OFF, LOG_MAP},
};

/// What there is to know of a program.
#[derive(Clone)]
pub(crate) struct Running {
    /// Its name.
    pub(crate) name: String,
    /// A hash of its instructions.
    tag: u64,
    /// The numbers of its maps.
    maps: Vec<u32>,
}

/// Programs by number, as seen last. A number is not given again before two billion others.
static SEEN: Mutex<BTreeMap<u32, Running>> = Mutex::new(BTreeMap::new());

/// The tags of our programs.
static TAGS: Mutex<BTreeMap<&'static str, u64>> = Mutex::new(BTreeMap::new());

impl Running {
    /// The program with this number. The kernel tells of all programs one by one, or of none.
    pub(crate) fn find(id: u32) -> Option<Self> {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !seen.contains_key(&id) {
            let all = loaded_programs().flatten();
            *seen = all.filter_map(|it| Some((it.id(), Self::of(&it)?))).collect();
        }
        seen.get(&id).cloned()
    }

    fn of(info: &aya::programs::ProgramInfo) -> Option<Self> {
        let maps = info.map_ids().ok().flatten().unwrap_or_default();
        Some(Self { name: info.name_as_str()?.to_owned(), tag: info.tag(), maps })
    }

    /// Its maps, as those of a program of ours, if it is this one: the same code, made for as many queues, and without
    /// a log.
    pub(crate) fn take_over(&self, program: Program) -> Option<Programs> {
        if self.name != program.name() || self.tag != tag(program)? {
            return None;
        }
        let mut maps = BTreeMap::new();
        for id in &self.maps {
            let info = MapInfo::from_id(*id).ok()?;
            let data = || MapData::from_id(*id).ok();
            match info.name_as_str()? {
                map::XSKS if info.max_entries() == QUEUES_MAX => {
                    maps.insert(map::XSKS, Map::XskMap(data()?));
                }
                map::STATS => {
                    maps.insert(map::STATS, Map::PerCpuArray(data()?));
                }
                LOG_MAP if info.max_entries() != LOG_BYTES_OFF => return None,
                _ => {}
            }
        }
        let is_whole = maps.contains_key(map::XSKS) && maps.contains_key(map::STATS);
        is_whole.then(|| Programs::taken_over(maps))
    }
}

/// The tag that a program of ours has. It is loaded once for that.
fn tag(program: Program) -> Option<u64> {
    let mut tags = TAGS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tag) = tags.get(program.name()) {
        return Some(*tag);
    }
    let mut programs = Programs::load(program.role, false).ok()?;
    programs.verify(program).ok()?;
    let tag = programs.program_mut(program).ok()?.info().ok()?.tag();
    tags.insert(program.name(), tag);
    Some(tag)
}
