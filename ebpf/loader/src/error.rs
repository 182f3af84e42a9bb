//! What can go wrong: each error says the cause, and what to do about it.

use std::{error::Error as StdError, io, path::PathBuf};

use thiserror::Error;

use crate::Mode;

/// Why a program could not be attached to an interface.
#[derive(Debug, Error)]
pub enum AttachError {
    /// The interface does not exist (in this network namespace).
    #[error("interface {ifname} (index {ifindex}) does not exist in this network namespace")]
    NoDevice {
        /// Its name as the caller knows it.
        ifname: String,
        /// Its index as the caller knows it.
        ifindex: u32,
    },
    /// The kernel forbids it.
    #[error(
        "not allowed to {action}: XDP needs CAP_NET_ADMIN and CAP_BPF (before Linux 5.8 CAP_SYS_ADMIN; \
         before 5.11 also an unlimited RLIMIT_MEMLOCK): run as root, or grant them in the unit"
    )]
    NotPermitted {
        /// What was tried.
        action: &'static str,
        /// The kernel's word.
        source: io::Error,
    },
    /// Somebody else's XDP program is there. Weft never replaces it.
    #[error(
        "interface {ifname} already runs the {mode} XDP program '{program}' (id {id}), which is not \
         ours: stop what attached it, or `ip link set dev {ifname} {off} off`"
    )]
    ForeignProgram {
        /// The interface.
        ifname: String,
        /// Name of the program, or "?" when the kernel does not tell.
        program: String,
        /// Id of the program, as `bpftool prog` shows it.
        id: u32,
        /// How it is attached.
        mode: Mode,
        /// The word that `ip link` wants for this mode.
        off: &'static str,
    },
    /// A program of ours is there, kept by a link that another process (or a pin elsewhere) holds.
    #[error(
        "interface {ifname} runs '{program}' (program id {id}, link id {link}) of another weftd, or of \
         a pin elsewhere under /sys/fs/bpf: stop that weftd, or remove that pin"
    )]
    Held {
        /// The interface.
        ifname: String,
        /// Name of the program.
        program: String,
        /// Id of the program.
        id: u32,
        /// Id of the link, as `bpftool link` shows it.
        link: u32,
    },
    /// Somebody attached or detached at the same time, again and again.
    #[error(
        "another process is changing the XDP program of interface {ifname}: stop it and try again"
    )]
    Busy {
        /// The interface.
        ifname: String,
    },
    /// Neither native nor generic XDP could be attached.
    #[error("interface {ifname} (MTU {mtu}) takes no XDP program: {attempts}; {advice}")]
    Refused {
        /// The interface.
        ifname: String,
        /// Its MTU; 0 when unknown.
        mtu: u32,
        /// Each mode tried and what the kernel said.
        attempts: String,
        /// What to do.
        advice: &'static str,
        /// The kernel's last word.
        source: io::Error,
    },
    /// The object could not be read, or its maps not be made.
    #[error(
        "the kernel does not take the eBPF object: {source} (Linux 6.6 or later is recommended)"
    )]
    Object {
        /// Why.
        source: Box<aya::EbpfError>,
    },
    /// The maps of the object are not what they should be.
    #[error("{0}")]
    Maps(MapError),
    /// The maps that all interfaces share do not take this one.
    #[error("interface {ifname}: {source}")]
    Entry {
        /// The interface.
        ifname: String,
        /// Why, with the limit that is reached.
        source: MapError,
    },
    /// A program could not be loaded.
    #[error(
        "the kernel does not load program '{program}': {source} (Linux 6.6 or later is recommended)"
    )]
    Load {
        /// The program.
        program: &'static str,
        /// The verifier's words.
        source: Box<aya::EbpfError>,
    },
    /// The pin can neither be used nor removed.
    #[error("pinned XDP link {}: {}: remove the file", path.display(), whole(source))]
    Pin {
        /// The pin.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The link cannot be pinned.
    #[error("the XDP link cannot be pinned at {}: {}", path.display(), whole(source))]
    Unpinnable {
        /// Where.
        path: PathBuf,
        /// Why.
        source: Box<aya::pin::PinError>,
    },
    /// A port's frames cannot be kept from the host's stack.
    #[error(
        "interface {ifname}: its frames cannot be kept from the host's stack: {}",
        whole(source)
    )]
    Shield {
        /// The interface.
        ifname: String,
        /// Why.
        source: Box<aya::EbpfError>,
    },
    /// The kernel did not answer a question about the interface.
    #[error("cannot ask the kernel about interface {ifname}: {source}")]
    Query {
        /// The interface.
        ifname: String,
        /// Why.
        source: io::Error,
    },
}

/// Why a map could not be read or changed.
#[derive(Debug, Error)]
pub enum MapError {
    /// The object has no such map, or one of another kind: object and loader do not belong together.
    #[error("the eBPF object has no proper map {map}: build it anew (ebpf/build.sh)")]
    Missing {
        /// Name of the map.
        map: &'static str,
    },
    /// A queue that has no slot.
    #[error(
        "RX queue {queue} is beyond the {queues} that XDP serves: reduce them with `ethtool -L`"
    )]
    QueueOutOfRange {
        /// The queue.
        queue: u32,
        /// How many have a slot.
        queues: u32,
    },
    /// A map that all interfaces of the network namespace share is full.
    #[error(
        "map {map} is full: all interfaces together have room for {limit} entries, {free} are free, and not in a \
         row: reduce RX queues with `ethtool -L`, or take interfaces out"
    )]
    Full {
        /// Name of the map.
        map: &'static str,
        /// Entries that it can have.
        limit: u32,
        /// How many are free.
        free: u32,
    },
    /// More addresses than the map has room for.
    #[error("{count} VTEP addresses, and at most {} fit", weft_ebpf_abi::VTEPS_MAX)]
    TooManyVteps {
        /// How many there were.
        count: usize,
    },
    /// It is not known how many CPUs there may be.
    #[error("{path}: {source}")]
    Cpus {
        /// Where it says so.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("map {map}: {}", whole(source))]
    Kernel {
        /// Name of the map.
        map: &'static str,
        /// Why.
        source: Box<aya::maps::MapError>,
    },
}

/// An error with all that is behind it: aya's own words often end at the name of a system call.
fn whole(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // Transparent wrappers say the same again.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
