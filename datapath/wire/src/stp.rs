//! Bridge protocol data units: the spanning tree protocols' frames, IEEE 802.1D-1998 and
//! 802.1D-2004 section 9, behind an IEEE 802.2 LLC header.
//!
//! ```text
//!  target 01:80:c2:00:00:00 | source | length | LLC 42 42 03 |
//!  protocol 0 (2) | version (1) | type (1) |                        a TCN BPDU ends here
//!  flags (1) | root (8) | root path cost (4) | bridge (8) | port (2) |
//!  message age (2) | max age (2) | hello time (2) | forward delay (2) |   a Config BPDU ends here
//!  version 1 length (1)                                             an RST BPDU ends here
//! ```

mod identifiers;

use crate::error::room;
use crate::{MacAddr, WriteError};
pub use identifiers::{BridgeIdentifier, PortIdentifier, WireTime};

/// 01:80:c2:00:00:00, to which every bridge sends its BPDUs; 802.1D table 7-10.
pub const BRIDGE_GROUP_ADDRESS: MacAddr = MacAddr([0x01, 0x80, 0xc2, 0, 0, 0]);

/// Length of the longest frame that [`Bpdu::write_frame`] makes, in bytes: Ethernet, LLC, RST BPDU.
pub const FRAME_LEN_MAX: usize = FRAME_HEADER_LEN + RST_LEN;

/// Ethernet header with a length field, and LLC.
const FRAME_HEADER_LEN: usize = 17;
/// Source and destination service access point of spanning tree, and unnumbered information.
const LLC: [u8; 3] = [0x42, 0x42, 0x03];
/// The largest value of an IEEE 802.3 length field.
const LENGTH_FIELD_MAX: usize = 1500;

const HEADER_LEN: usize = 4;
const CONFIG_LEN: usize = 35;
const RST_LEN: usize = 36;

const KIND_CONFIG: u8 = 0x00;
const KIND_RST: u8 = 0x02;
const KIND_TCN: u8 = 0x80;

const VERSION_STP: u8 = 0;
const VERSION_RSTP: u8 = 2;

const FLAG_TOPOLOGY_CHANGE: u8 = 0x01;
const FLAG_PROPOSAL: u8 = 0x02;
const FLAG_LEARNING: u8 = 0x10;
const FLAG_FORWARDING: u8 = 0x20;
const FLAG_AGREEMENT: u8 = 0x40;
const FLAG_TOPOLOGY_CHANGE_ACK: u8 = 0x80;
const ROLE_SHIFT: u32 = 2;

/// What a Config BPDU and an RST BPDU say in common: the sender's view of the tree, and the
/// timer values of the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BpduInfo {
    /// The bridge that the sender believes to be the root.
    pub root: BridgeIdentifier,
    /// Cost of the sender's path to the root.
    pub root_path_cost: u32,
    /// The sender.
    pub bridge: BridgeIdentifier,
    /// The port of the sender that this BPDU left by.
    pub port: PortIdentifier,
    /// Time since the root said so.  Less than `max_age` in a BPDU that was accepted.
    pub message_age: WireTime,
    /// Age from which on the information is void.
    pub max_age: WireTime,
    /// Time between BPDUs of the root.
    pub hello_time: WireTime,
    /// Time that a port listens, and learns, before it forwards.
    pub forward_delay: WireTime,
}

/// The role that the sender's port plays, 802.1D-2004 section 9.2.9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SenderRole {
    /// 0: the receiver takes the BPDU for a Config BPDU.
    Unknown,
    /// 1.
    AlternateOrBackup,
    /// 2.
    Root,
    /// 3.
    Designated,
}

impl SenderRole {
    const fn from_flags(flags: u8) -> Self {
        match (flags >> ROLE_SHIFT) & 3 {
            0 => Self::Unknown,
            1 => Self::AlternateOrBackup,
            2 => Self::Root,
            _ => Self::Designated,
        }
    }

    const fn to_flags(self) -> u8 {
        let role = match self {
            Self::Unknown => 0,
            Self::AlternateOrBackup => 1,
            Self::Root => 2,
            Self::Designated => 3,
        };
        role << ROLE_SHIFT
    }
}

/// The flags of an RST BPDU, 802.1D-2004 section 9.3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a bit of its own on the wire")]
pub struct RstFlags {
    /// Stations may have moved.
    pub topology_change: bool,
    /// The sender would forward if the receiver agreed.
    pub proposal: bool,
    /// What the sender's port is.
    pub role: SenderRole,
    /// The sender's port learns.
    pub learning: bool,
    /// The sender's port forwards.
    pub forwarding: bool,
    /// The sender agrees to an earlier proposal.
    pub agreement: bool,
}

/// One bridge protocol data unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bpdu {
    /// A Configuration BPDU, 802.1D-1998 section 9.3.1.
    Config {
        /// The tree as the sender sees it.
        info: BpduInfo,
        /// The root says that stations may have moved.
        topology_change: bool,
        /// The sender has seen the receiver's notification.
        topology_change_ack: bool,
    },
    /// A Topology Change Notification BPDU, 802.1D-1998 section 9.3.2.
    TopologyChange,
    /// A Rapid Spanning Tree BPDU, 802.1D-2004 section 9.3.3; the part of an MST BPDU that looks
    /// like one is taken for one, as that section wants.
    Rst {
        /// The tree as the sender sees it.
        info: BpduInfo,
        /// The handshake.
        flags: RstFlags,
    },
}

/// Why bytes are no BPDU that may be acted upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum BpduError {
    /// The bytes end before the header that they must hold.
    #[error("BPDU: need {need_bytes} bytes, have {have_bytes}")]
    Truncated {
        /// Bytes needed.
        need_bytes: usize,
        /// Bytes there are.
        have_bytes: usize,
    },
    /// The frame is not for the bridge group address.
    #[error("BPDU: sent to {0}, which is not the bridge group address")]
    Target(MacAddr),
    /// The field behind the source address is a protocol, or a length that cannot be.
    #[error("BPDU: {0:#06x} is no length of an LLC frame")]
    LengthField(u16),
    /// The LLC header is of another protocol.
    #[error("BPDU: LLC header of another protocol")]
    Llc,
    /// The protocol identifier is not 0.
    #[error("BPDU: protocol identifier {0:#06x}")]
    Protocol(u16),
    /// The type is none of Config, TCN and RST.
    #[error("BPDU: type {0:#04x}")]
    Kind(u8),
    /// The version is too low for the type.
    #[error("BPDU: version {version} with type {kind:#04x}")]
    Version {
        /// Version found.
        version: u8,
        /// Type found.
        kind: u8,
    },
    /// The information is as old as the sender says it may get.
    #[error("BPDU: message age {:?} is not below max age {:?}", .message_age, .max_age)]
    Expired {
        /// Age found.
        message_age: WireTime,
        /// Limit found.
        max_age: WireTime,
    },
}

impl Bpdu {
    /// Reads an untagged Ethernet frame: who sent it and what it says.  Padding behind the length
    /// that the frame claims is not looked at.
    ///
    /// # Errors
    ///
    /// [`BpduError`]: what [`Bpdu::parse`] refuses, and frames that hold no BPDU.
    pub fn parse_frame(frame: &[u8]) -> Result<(MacAddr, Self), BpduError> {
        let have_bytes = frame.len();
        let Some((header, rest)) = frame.split_first_chunk::<FRAME_HEADER_LEN>() else {
            return Err(BpduError::Truncated { need_bytes: FRAME_HEADER_LEN, have_bytes });
        };
        let &[d1, d2, d3, d4, d5, d6, s1, s2, s3, s4, s5, s6, l1, l2, dsap, ssap, control] = header;
        let target = MacAddr([d1, d2, d3, d4, d5, d6]);
        if target != BRIDGE_GROUP_ADDRESS {
            return Err(BpduError::Target(target));
        }
        let length_field = u16::from_be_bytes([l1, l2]);
        let length = usize::from(length_field);
        if !(LLC.len()..=LENGTH_FIELD_MAX).contains(&length) {
            return Err(BpduError::LengthField(length_field));
        }
        if [dsap, ssap, control] != LLC {
            return Err(BpduError::Llc);
        }
        let bpdu_bytes = length - LLC.len();
        let need_bytes = FRAME_HEADER_LEN + bpdu_bytes;
        let bytes =
            rest.get(..bpdu_bytes).ok_or(BpduError::Truncated { need_bytes, have_bytes })?;
        Ok((MacAddr([s1, s2, s3, s4, s5, s6]), Self::parse(bytes)?))
    }

    /// Reads a BPDU, which starts at its protocol identifier.  As 802.1D section 9.3.4 wants,
    /// what follows the part that we know is ignored, and so is the version of a Config or TCN
    /// BPDU.
    ///
    /// # Errors
    ///
    /// [`BpduError`]
    pub fn parse(bytes: &[u8]) -> Result<Self, BpduError> {
        let have_bytes = bytes.len();
        let short = |need_bytes| BpduError::Truncated { need_bytes, have_bytes };
        let &[p1, p2, version, kind] =
            bytes.first_chunk::<HEADER_LEN>().ok_or(short(HEADER_LEN))?;
        let protocol = u16::from_be_bytes([p1, p2]);
        if protocol != 0 {
            return Err(BpduError::Protocol(protocol));
        }
        match kind {
            KIND_TCN => Ok(Self::TopologyChange),
            KIND_CONFIG => {
                let body = bytes.first_chunk::<CONFIG_LEN>().ok_or(short(CONFIG_LEN))?;
                let (flags, info) = parse_body(body)?;
                Ok(Self::config(flags, info))
            }
            KIND_RST if version < VERSION_RSTP => Err(BpduError::Version { version, kind }),
            KIND_RST => {
                let body = bytes.first_chunk::<CONFIG_LEN>().ok_or(short(RST_LEN))?;
                if have_bytes < RST_LEN {
                    return Err(short(RST_LEN));
                }
                let (flags, info) = parse_body(body)?;
                Ok(Self::rst(flags, info))
            }
            kind => Err(BpduError::Kind(kind)),
        }
    }

    const fn config(flags: u8, info: BpduInfo) -> Self {
        Self::Config {
            info,
            topology_change: flags & FLAG_TOPOLOGY_CHANGE != 0,
            topology_change_ack: flags & FLAG_TOPOLOGY_CHANGE_ACK != 0,
        }
    }

    const fn rst(flags: u8, info: BpduInfo) -> Self {
        let flags = RstFlags {
            topology_change: flags & FLAG_TOPOLOGY_CHANGE != 0,
            proposal: flags & FLAG_PROPOSAL != 0,
            role: SenderRole::from_flags(flags),
            learning: flags & FLAG_LEARNING != 0,
            forwarding: flags & FLAG_FORWARDING != 0,
            agreement: flags & FLAG_AGREEMENT != 0,
        };
        Self::Rst { info, flags }
    }

    /// Length of the BPDU alone, in bytes: 4, 35 or 36.
    #[must_use]
    pub const fn len_bytes(&self) -> usize {
        match self {
            Self::TopologyChange => HEADER_LEN,
            Self::Config { .. } => CONFIG_LEN,
            Self::Rst { .. } => RST_LEN,
        }
    }

    /// Writes the BPDU to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`].
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        match self {
            Self::TopologyChange => {
                *room::<HEADER_LEN>(out)? = [0, 0, VERSION_STP, KIND_TCN];
            }
            Self::Config { info, topology_change, topology_change_ack } => {
                let flags = bit(*topology_change, FLAG_TOPOLOGY_CHANGE)
                    | bit(*topology_change_ack, FLAG_TOPOLOGY_CHANGE_ACK);
                *room::<CONFIG_LEN>(out)? = body([0, 0, VERSION_STP, KIND_CONFIG, flags], info);
            }
            Self::Rst { info, flags } => {
                let whole = room::<RST_LEN>(out)?;
                let bits = bit(flags.topology_change, FLAG_TOPOLOGY_CHANGE)
                    | bit(flags.proposal, FLAG_PROPOSAL)
                    | flags.role.to_flags()
                    | bit(flags.learning, FLAG_LEARNING)
                    | bit(flags.forwarding, FLAG_FORWARDING)
                    | bit(flags.agreement, FLAG_AGREEMENT);
                // The last byte is the version 1 length.
                *whole = [0; RST_LEN];
                *room::<CONFIG_LEN>(whole)? = body([0, 0, VERSION_RSTP, KIND_RST, bits], info);
            }
        }
        Ok(self.len_bytes())
    }

    /// Writes a whole Ethernet frame from `source`, without padding, to the front of `out`;
    /// returns its length, at most [`FRAME_LEN_MAX`].
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`].
    pub fn write_frame(&self, source: MacAddr, out: &mut [u8]) -> Result<usize, WriteError> {
        let have_bytes = out.len();
        let bpdu_bytes = self.len_bytes();
        let need_bytes = FRAME_HEADER_LEN + bpdu_bytes;
        let short = WriteError::ShortBuffer { need_bytes, have_bytes };
        let (header, rest) = out.split_first_chunk_mut::<FRAME_HEADER_LEN>().ok_or(short)?;
        self.write(rest).map_err(|_| short)?;
        // At most 39.
        let length = u8::try_from(LLC.len() + bpdu_bytes).unwrap_or(u8::MAX);
        let [d1, d2, d3, d4, d5, d6] = BRIDGE_GROUP_ADDRESS.octets();
        let [s1, s2, s3, s4, s5, s6] = source.octets();
        let [dsap, ssap, control] = LLC;
        *header = [d1, d2, d3, d4, d5, d6, s1, s2, s3, s4, s5, s6, 0, length, dsap, ssap, control];
        Ok(need_bytes)
    }
}

const fn bit(is_set: bool, flag: u8) -> u8 {
    if is_set { flag } else { 0 }
}

/// Flags and fields of a Config or RST BPDU.
fn parse_body(bytes: &[u8; CONFIG_LEN]) -> Result<(u8, BpduInfo), BpduError> {
    #[rustfmt::skip]
    let &[
        _, _, _, _, flags,
        r1, r2, r3, r4, r5, r6, r7, r8,
        c1, c2, c3, c4,
        b1, b2, b3, b4, b5, b6, b7, b8,
        p1, p2, a1, a2, m1, m2, h1, h2, f1, f2,
    ] = bytes;
    let info = BpduInfo {
        root: BridgeIdentifier(u64::from_be_bytes([r1, r2, r3, r4, r5, r6, r7, r8])),
        root_path_cost: u32::from_be_bytes([c1, c2, c3, c4]),
        bridge: BridgeIdentifier(u64::from_be_bytes([b1, b2, b3, b4, b5, b6, b7, b8])),
        port: PortIdentifier(u16::from_be_bytes([p1, p2])),
        message_age: WireTime(u16::from_be_bytes([a1, a2])),
        max_age: WireTime(u16::from_be_bytes([m1, m2])),
        hello_time: WireTime(u16::from_be_bytes([h1, h2])),
        forward_delay: WireTime(u16::from_be_bytes([f1, f2])),
    };
    if info.message_age >= info.max_age {
        return Err(BpduError::Expired { message_age: info.message_age, max_age: info.max_age });
    }
    Ok((flags, info))
}

/// The bytes of a Config BPDU, or of an RST BPDU but for its last byte.
fn body(head: [u8; 5], info: &BpduInfo) -> [u8; CONFIG_LEN] {
    let [h1, h2, h3, h4, flags] = head;
    let [r1, r2, r3, r4, r5, r6, r7, r8] = info.root.0.to_be_bytes();
    let [c1, c2, c3, c4] = info.root_path_cost.to_be_bytes();
    let [b1, b2, b3, b4, b5, b6, b7, b8] = info.bridge.0.to_be_bytes();
    let [p1, p2] = info.port.0.to_be_bytes();
    let [a1, a2] = info.message_age.0.to_be_bytes();
    let [m1, m2] = info.max_age.0.to_be_bytes();
    let [t1, t2] = info.hello_time.0.to_be_bytes();
    let [f1, f2] = info.forward_delay.0.to_be_bytes();
    #[rustfmt::skip]
    let bytes = [
        h1, h2, h3, h4, flags,
        r1, r2, r3, r4, r5, r6, r7, r8,
        c1, c2, c3, c4,
        b1, b2, b3, b4, b5, b6, b7, b8,
        p1, p2, a1, a2, m1, m2, t1, t2, f1, f2,
    ];
    bytes
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use super::{Bpdu, BpduInfo, BridgeIdentifier, PortIdentifier, RstFlags, SenderRole, WireTime};
    use proptest::prelude::*;

    fn any_info() -> impl Strategy<Value = BpduInfo> {
        let ages = (1..=u16::MAX).prop_flat_map(|max| (0..max, Just(max)));
        (any::<[u64; 2]>(), any::<u32>(), any::<u16>(), ages, any::<[u16; 2]>()).prop_map(
            |([root, bridge], root_path_cost, port, (age, max), [hello, delay])| BpduInfo {
                root: BridgeIdentifier(root),
                root_path_cost,
                bridge: BridgeIdentifier(bridge),
                port: PortIdentifier(port),
                message_age: WireTime(age),
                max_age: WireTime(max),
                hello_time: WireTime(hello),
                forward_delay: WireTime(delay),
            },
        )
    }

    fn any_flags() -> impl Strategy<Value = RstFlags> {
        (any::<[bool; 5]>(), 0..4).prop_map(
            |([tc, proposal, learning, forwarding, agreement], r)| RstFlags {
                topology_change: tc,
                proposal,
                role: match r {
                    0 => SenderRole::Unknown,
                    1 => SenderRole::AlternateOrBackup,
                    2 => SenderRole::Root,
                    _ => SenderRole::Designated,
                },
                learning,
                forwarding,
                agreement,
            },
        )
    }

    /// Any BPDU whose message age is below its max age.
    pub fn any_bpdu() -> impl Strategy<Value = Bpdu> {
        prop_oneof![
            1 => Just(Bpdu::TopologyChange),
            4 => (any_info(), any::<[bool; 2]>()).prop_map(|(info, [change, ack])| Bpdu::Config {
                info, topology_change: change, topology_change_ack: ack,
            }),
            4 => (any_info(), any_flags()).prop_map(|(info, flags)| Bpdu::Rst { info, flags }),
        ]
    }
}

#[cfg(test)]
mod tests;
