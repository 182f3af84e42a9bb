//! The VLANs of a port: which frames it takes, and which tags they get on the way out.
//!
//! Semantics are those of Open vSwitch 3.1, as observed; datapath/README.md names the few
//! differences.  A frame's VLAN is that of its outer tag; an inner tag is looked at only when
//! `vlan-limit` allows it, or when a dot1q-tunnel port has put the outer one on.

use weft_wire::EtherType;
use weft_wire::vid::{Tci, Vid};

/// The VLAN number in a TCI.
const VID_BITS: u16 = 0x0fff;
/// The priority in a TCI, without the drop-eligible bit.
const PCP_BITS: u16 = 0xe000;

/// `Port.vlan_mode`, as Open vSwitch names the modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VlanMode {
    /// One VLAN, untagged on the wire.
    Access,
    /// Tagged on the wire; untagged frames are VLAN 0.
    #[default]
    Trunk,
    /// As trunk, but untagged frames belong to the native VLAN, which is sent tagged.
    NativeTagged,
    /// As trunk, but untagged frames belong to the native VLAN, which is sent untagged.
    NativeUntagged,
    /// One service VLAN, whose tag is not on this port's wire; frames keep their customer tags.
    Dot1qTunnel,
}

/// `other_config:priority-tags`: does a frame without a VLAN on the wire carry its priority in a
/// tag with VLAN number 0?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PriorityTags {
    /// The priority goes with the tag that is taken off.
    #[default]
    Never,
    /// A priority other than 0 is kept.
    IfNonzero,
    /// Every priority is kept, 0 too.
    Always,
}

/// A VLAN tag as it stands in a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawTag {
    /// Its TPID; 0 when there is no tag.
    pub tpid: u16,
    /// Its TCI: priority, drop-eligible bit and VLAN number.
    pub tci: u16,
}

impl RawTag {
    /// No tag.
    pub const NONE: Self = Self { tpid: 0, tci: 0 };

    /// True when there is a tag.
    #[must_use]
    pub const fn is_some(self) -> bool {
        self.tpid != 0
    }

    /// A tag that says nothing: VLAN 0, priority 0.
    const fn is_null(self) -> bool {
        self.tci & (VID_BITS | PCP_BITS) == 0
    }

    const fn with_pcp(self, tci: u16) -> Self {
        Self { tpid: self.tpid, tci: self.tci & !PCP_BITS | tci & PCP_BITS }
    }
}

/// The VLANs of one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VlanConf {
    /// How tags are used.
    pub mode: VlanMode,
    /// The access, native or service VLAN; [`Vid::UNTAGGED`] for a plain trunk.
    pub tag: Vid,
    /// The VLANs that a trunk carries besides the native one; `None` is all.
    pub trunks: Option<Box<VidSet>>,
    /// The customer VLANs that a dot1q-tunnel port takes; `None` is all.
    pub cvlans: Option<Box<VidSet>>,
    /// `other_config:qinq-ethtype`: the TPID of the tag for the service VLAN of a dot1q-tunnel
    /// port.
    pub service_tpid: u16,
    /// `other_config:priority-tags`.
    pub priority_tags: PriorityTags,
}

impl Default for VlanConf {
    fn default() -> Self {
        Self {
            mode: VlanMode::default(),
            tag: Vid::UNTAGGED,
            trunks: None,
            cvlans: None,
            service_tpid: EtherType::S_TAG.0,
            priority_tags: PriorityTags::default(),
        }
    }
}

impl VlanConf {
    /// An access port of VLAN `tag`.
    #[must_use]
    pub fn access(tag: Vid) -> Self {
        Self { mode: VlanMode::Access, tag, ..Self::default() }
    }

    /// True when the port is a member of `vid`.
    ///
    /// A native port with a native VLAN is no member of VLAN 0: none of its frames is in it.
    #[must_use]
    pub fn carries(&self, vid: Vid) -> bool {
        match self.mode {
            VlanMode::Access | VlanMode::Dot1qTunnel => vid == self.tag,
            VlanMode::Trunk => self.trunks_carry(vid),
            VlanMode::NativeTagged | VlanMode::NativeUntagged => {
                vid == self.tag || (vid != Vid::UNTAGGED && self.trunks_carry(vid))
            }
        }
    }

    /// True when a frame of one of the port's VLANs may leave with this inner tag.
    #[must_use]
    pub fn takes_inner(&self, inner: RawTag) -> bool {
        match self.mode {
            VlanMode::Access => inner.tci & VID_BITS == 0,
            VlanMode::Dot1qTunnel => self.takes_customer(inner.tci),
            VlanMode::Trunk | VlanMode::NativeTagged | VlanMode::NativeUntagged => true,
        }
    }

    /// True when `cvlans` lets the VLAN number of a TCI through; no tag is VLAN 0.
    pub(crate) fn takes_customer(&self, tci: u16) -> bool {
        self.cvlans.as_ref().is_none_or(|cvlans| cvlans.contains(Tci::from_wire(tci).vid()))
    }

    /// The VLANs that need flood lists of their own for this port.
    pub(crate) fn named(&self) -> impl Iterator<Item = Vid> + '_ {
        let tag = (self.mode != VlanMode::Trunk).then_some(self.tag);
        let is_native = matches!(self.mode, VlanMode::NativeTagged | VlanMode::NativeUntagged);
        let zero = is_native.then_some(Vid::UNTAGGED);
        tag.into_iter().chain(zero).chain(self.trunks.iter().flat_map(|set| set.iter()))
    }

    /// True when the port is a member of every VLAN that no port names.
    pub(crate) const fn carries_rest(&self) -> bool {
        !matches!(self.mode, VlanMode::Access | VlanMode::Dot1qTunnel) && self.trunks.is_none()
    }

    fn trunks_carry(&self, vid: Vid) -> bool {
        self.trunks.as_ref().is_none_or(|set| set.contains(vid))
    }

    /// True when the tag of VLAN `vid` does not show on the port's wire.
    pub(crate) fn hides(&self, vid: Vid) -> bool {
        match self.mode {
            VlanMode::Access | VlanMode::Dot1qTunnel => true,
            VlanMode::NativeUntagged => vid == self.tag,
            VlanMode::Trunk | VlanMode::NativeTagged => false,
        }
    }

    /// What becomes of the outermost tag of a frame on its way out: the tag to write there, if
    /// any.  `first_tci` is that of the outermost tag that the frame came in with.
    pub(crate) fn outermost(&self, tag: RawTag, first_tci: u16) -> Option<RawTag> {
        let tag = match self.priority_tags {
            PriorityTags::Never => tag,
            PriorityTags::IfNonzero | PriorityTags::Always => tag.with_pcp(first_tci),
        };
        if tag.is_null() && !(self.priority_tags == PriorityTags::Always && tag.is_some()) {
            return None;
        }
        let tpid = if tag.is_some() { tag.tpid } else { EtherType::C_TAG.0 };
        Some(RawTag { tpid, ..tag })
    }
}

/// A set of VLANs, as 4096 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VidSet([u64; 64]);

impl Default for VidSet {
    fn default() -> Self {
        Self([0; 64])
    }
}

impl FromIterator<Vid> for VidSet {
    fn from_iter<I: IntoIterator<Item = Vid>>(vids: I) -> Self {
        let mut set = Self::default();
        for vid in vids {
            if let Some(word) = set.0.get_mut(usize::from(vid.get() / 64)) {
                *word |= 1 << (vid.get() % 64);
            }
        }
        set
    }
}

impl VidSet {
    /// True when `vid` is in the set.
    #[must_use]
    pub fn contains(&self, vid: Vid) -> bool {
        self.0
            .get(usize::from(vid.get() / 64))
            .is_some_and(|word| word >> (vid.get() % 64) & 1 == 1)
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = Vid> + '_ {
        (0..=Vid::MAX.get()).filter_map(Vid::new).filter(|vid| self.contains(*vid))
    }
}
