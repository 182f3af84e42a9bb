//! The way along the extension headers of IPv6, RFC 8200 section 4.

use weft_wire::IpProtocol;

/// Extension headers that are walked: a packet with more reads as one that is cut off.
const EXTENSIONS_MAX: usize = 16;

/// Authentication header, RFC 4302: its length counts words of 4 bytes, from its third; that of the others
/// words of 8 bytes, from their second.
const AH: IpProtocol = IpProtocol(51);

/// What extension headers say.
pub(crate) struct Extensions {
    /// What is behind them; of a later fragment that of fragments.
    pub(crate) protocol: IpProtocol,
    /// How many bytes they have.
    pub(crate) at: usize,
    /// It is a fragment, or has reserved bits set, which count as well, as they do in Open vSwitch.
    pub(crate) is_fragment: bool,
    /// It is not the first fragment.
    pub(crate) is_later: bool,
    /// A routing header has segments left.
    pub(crate) is_routed: bool,
}

/// Walks the extension headers; `None` when they are cut off or too many.
pub(crate) fn walk(protocol: IpProtocol, payload: &[u8]) -> Option<Extensions> {
    let mut walk =
        Extensions { protocol, at: 0, is_fragment: false, is_later: false, is_routed: false };
    for _ in 0..EXTENSIONS_MAX {
        let unit = match walk.protocol {
            IpProtocol::HOP_BY_HOP | IpProtocol::ROUTING | IpProtocol::DESTINATION_OPTIONS => 8,
            AH => 4,
            IpProtocol::FRAGMENT if !walk.is_later => 0,
            _ => return Some(walk),
        };
        let &[next, len, high, low, ..] = payload.get(walk.at..)?.first_chunk::<8>()?;
        let word = u16::from_be_bytes([high, low]);
        if walk.protocol == IpProtocol::FRAGMENT {
            walk.is_fragment |= word != 0;
            walk.is_later = word & 0xfff8 != 0;
        }
        walk.is_routed |= walk.protocol == IpProtocol::ROUTING && low != 0;
        walk.protocol = if walk.is_later { IpProtocol::FRAGMENT } else { IpProtocol(next) };
        walk.at += unit * usize::from(len) + 8;
        payload.get(walk.at..)?;
    }
    None
}
