//! Mirrors: which frames of a bridge are copied, and to where.

use crate::{MirrorId, PortId, VidSet};
use weft_wire::vid::Vid;

/// Mirrors of one bridge, at most; as many as Open vSwitch allows.
pub const MIRRORS_MAX: usize = 32;

/// One mirror of a bridge.  A frame is selected when it comes in by one of `sources` or leaves by
/// one of `targets`, and is in one of `vlans`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorConf {
    /// Whose counters its copies are.
    pub id: MirrorId,
    /// `select_src_port`, or all with `select_all`.
    pub sources: MirroredPorts,
    /// `select_dst_port`, or all with `select_all`.
    pub targets: MirroredPorts,
    /// `select_vlan`; `None` is all.
    pub vlans: Option<Box<VidSet>>,
    /// Where copies go.
    pub output: MirrorOutput,
    /// `snaplen`, bytes: a copy is not longer than this, with its tag.
    pub snaplen: Option<u16>,
}

/// Ports that a mirror watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MirroredPorts {
    /// All of the bridge.
    All,
    /// These.
    Only(Vec<PortId>),
}

/// Where the copies of a mirror go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorOutput {
    /// Out of this port, which carries nothing else then.
    Port(PortId),
    /// Out of every port that carries this VLAN, in this VLAN.
    Vlan(Vid),
}

impl MirroredPorts {
    /// True when `port` is watched.
    #[must_use]
    pub fn contains(&self, port: PortId) -> bool {
        match self {
            Self::All => true,
            Self::Only(ports) => ports.contains(&port),
        }
    }
}

impl MirrorConf {
    /// True when frames of VLAN `vid` are selected.
    #[must_use]
    pub fn selects(&self, vid: Vid) -> bool {
        self.vlans.as_ref().is_none_or(|vlans| vlans.contains(vid))
    }
}

/// What mirrors have to do with one port: sets of mirrors by their place in the bridge's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PortMirrors {
    /// Those that watch what comes in.
    pub(crate) arriving: u32,
    /// Those that watch what leaves.
    pub(crate) departing: u32,
    /// The port is the output of a mirror: it takes copies and nothing else.
    pub(crate) is_output: bool,
}

impl PortMirrors {
    /// Of `port`, on a bridge with these mirrors.
    pub(crate) fn of(port: PortId, mirrors: &[MirrorConf]) -> Self {
        let mut all = Self::default();
        for (place, mirror) in mirrors.iter().enumerate().take(MIRRORS_MAX) {
            all.arriving |= u32::from(mirror.sources.contains(port)) << place;
            all.departing |= u32::from(mirror.targets.contains(port)) << place;
            all.is_output |= mirror.output == MirrorOutput::Port(port);
        }
        all
    }
}
