//! What IP carries: ports, types, flags, neighbour discovery.

use super::super::words::Words;
use super::{set_mac, take};
use crate::Slot;
use weft_wire::icmp::v6::{NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION};
use weft_wire::tlv::{NdOptions, Tlv, Tlvs};
use weft_wire::{IpProtocol, MacAddr, TcpHeader};

const SCTP: IpProtocol = IpProtocol(132);

/// Options of neighbour discovery: link-layer addresses of source and target.
const SOURCE_ADDRESS: u8 = 1;
const TARGET_ADDRESS: u8 = 2;

/// Reads what a protocol's packet says.  ICMP over IPv6 and `ICMPv6` over IPv4 are read as well.
pub(super) fn read(key: &mut Words, protocol: IpProtocol, bytes: &[u8]) -> Option<()> {
    match protocol {
        IpProtocol::ICMP | IpProtocol::IGMP => {
            let &[kind, code, ..] = bytes.first_chunk::<8>()?;
            key.set(Slot::TpSrc, kind.into());
            key.set(Slot::TpDst, code.into());
            Some(())
        }
        IpProtocol::ICMPV6 => icmpv6(key, bytes),
        _ => ports(key, protocol, bytes),
    }
}

fn ports(key: &mut Words, protocol: IpProtocol, bytes: &[u8]) -> Option<()> {
    let header_len = match protocol {
        IpProtocol::TCP => {
            // With options, if it says so.
            TcpHeader::parse(bytes).ok()?;
            20
        }
        IpProtocol::UDP => 8,
        SCTP => 12,
        _ => return Some(()),
    };
    let header = bytes.get(..header_len)?;
    let &[source_high, source_low, target_high, target_low] = header.first_chunk()?;
    key.set(Slot::TpSrc, u16::from_be_bytes([source_high, source_low]).into());
    key.set(Slot::TpDst, u16::from_be_bytes([target_high, target_low]).into());
    if let &[_, _, _, _, _, _, _, _, _, _, _, _, high, low, ..] = header
        && protocol == IpProtocol::TCP
    {
        key.set(Slot::TcpFlags, u16::from_be_bytes([high, low]).into());
    }
    Some(())
}

fn icmpv6(key: &mut Words, bytes: &[u8]) -> Option<()> {
    let mut rest = bytes;
    let [kind, code, _, _, reserved @ ..]: [u8; 8] = take(&mut rest)?;
    key.set(Slot::TpSrc, kind.into());
    key.set(Slot::TpDst, code.into());
    // Only these have a target: of others the bytes say something else.
    if code == 0 && [NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT].contains(&kind) {
        key.set(Slot::NdReserved, u32::from_be_bytes(reserved).into());
        key.set(Slot::NdTarget, u128::from_be_bytes(take(&mut rest)?));
        nd_options(key, rest);
    }
    Some(())
}

/// The addresses in the options; a second one of the same kind makes them and the target void.
fn nd_options(key: &mut Words, bytes: &[u8]) {
    let mut addresses = [None::<MacAddr>; 2];
    let mut first = 0;
    for option in Tlvs::<NdOptions>::new(bytes) {
        let Ok(Tlv { kind, value }) = option else { break };
        let [source, target] = &mut addresses;
        let address = match kind {
            SOURCE_ADDRESS => source,
            TARGET_ADDRESS => target,
            _ => continue,
        };
        let Ok(mac) = <[u8; 6]>::try_from(value) else { continue };
        // One of zeros is none.
        if address.is_some_and(|was| !was.is_zero()) {
            addresses = [None; 2];
            key.set(Slot::NdTarget, 0);
            break;
        }
        *address = Some(MacAddr(mac));
        first = if first == 0 { kind } else { first };
    }
    key.set(Slot::NdOptionsType, first.into());
    for (slot, address) in [Slot::ArpSha, Slot::ArpTha].into_iter().zip(addresses) {
        set_mac(key, slot, address.unwrap_or(MacAddr::ZERO));
    }
}
