//! The learning bridge: VLANs, learning, forwarding, mirrors, and frames that it keeps for itself.

mod fdb;
mod forward;
mod ingress;
mod learn;
mod mirror;
mod mirror_conf;
mod probe;
mod snoop;
mod vlan;

pub use fdb::{Announcement, Fdb, FdbRecord, FdbStats, Learned, Move, Sighting, Station};
pub(crate) use fdb::{Announcer, Moves};
pub(crate) use forward::{forward, same_group};
pub(crate) use ingress::ingress;
pub(crate) use learn::learn;
pub(crate) use mirror::mirror;
pub(crate) use mirror_conf::PortMirrors;
pub use mirror_conf::{MIRRORS_MAX, MirrorConf, MirrorOutput, MirroredPorts};
pub(crate) use probe::probe;
pub(crate) use snoop::snoop;
pub use vlan::{PriorityTags, RawTag, VidSet, VlanConf, VlanMode};
