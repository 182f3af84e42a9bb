//! Packet sockets: how a NIC's frames are exchanged while somebody taps it.
//!
//! `AF_XDP` passes by the kernel's packet taps in both directions.  What is sent through a packet
//! socket is seen by all other taps, and what the XDP program passes to the stack is seen by taps
//! and by this socket.

use super::StackQueue;
use crate::open;
use std::io;

// Of `linux/if_packet.h`, which `libc` has in part.
pub(crate) const SOL_PACKET: libc::c_int = 263;
pub(crate) const PACKET_AUXDATA: libc::c_int = 8;
const TP_STATUS_VLAN_VALID: u32 = 1 << 4;
const TP_STATUS_VLAN_TPID_VALID: u32 = 1 << 6;

/// Bytes of a control message's header: its length as a word, level and kind.
const CONTROL_HEADER_BYTES: usize = size_of::<usize>() + 8;

/// The Ethernet type of a tag whose own the kernel does not tell.
const TPID_DEFAULT: u16 = 0x8100;

/// Opens a queue over a packet socket on an interface of the calling thread's namespace.  It sends;
/// with `receives` it also hands over what comes in, but not what others send there.
///
/// # Errors
///
/// What the kernel says: no permission, no such interface.
pub fn packet_queue(ifindex: u32, ifname: &str, receives: bool) -> io::Result<StackQueue> {
    Ok(StackQueue::of_packet_socket(open::packet_socket(ifindex, receives)?, ifname))
}

/// The VLAN tag that the kernel took off a frame, as it was on the wire, by what came with the frame
/// (`struct tpacket_auxdata` in a control message).
pub(super) fn stripped_tag(control: &[u8]) -> Option<[u8; 4]> {
    let (header, body) = control.split_at_checked(CONTROL_HEADER_BYTES)?;
    let (level, kind) = header.get(size_of::<usize>()..)?.split_first_chunk::<4>()?;
    let is_auxdata = i32::from_ne_bytes(*level) == SOL_PACKET
        && i32::from_ne_bytes(*kind.first_chunk()?) == PACKET_AUXDATA;
    if !is_auxdata {
        return None;
    }
    // Status, length, captured length; offsets of MAC and network header; TCI, TPID.
    let status = u32::from_ne_bytes(*body.first_chunk()?);
    let tci = u16::from_ne_bytes(*body.get(16..)?.first_chunk()?);
    let tpid = u16::from_ne_bytes(*body.get(18..)?.first_chunk()?);
    if status & TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let tpid = if status & TP_STATUS_VLAN_TPID_VALID == 0 { TPID_DEFAULT } else { tpid };
    let ([t0, t1], [c0, c1]) = (tpid.to_be_bytes(), tci.to_be_bytes());
    Some([t0, t1, c0, c1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control(level: i32, kind: i32, status: u32, tci: u16, tpid: u16) -> Vec<u8> {
        let mut bytes = 36usize.to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(status.to_ne_bytes());
        bytes.extend([0xee; 12]);
        bytes.extend(tci.to_ne_bytes());
        bytes.extend(tpid.to_ne_bytes());
        bytes
    }

    #[test]
    fn tags_come_back_as_they_were() {
        let valid = TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID;
        let tag = |status, tci, tpid| stripped_tag(&control(263, 8, status, tci, tpid));
        assert_eq!(tag(valid, 0x6064, 0x88a8), Some([0x88, 0xa8, 0x60, 0x64]));
        assert_eq!(tag(TP_STATUS_VLAN_VALID, 7, 0), Some([0x81, 0, 0, 7]));
        assert_eq!(tag(valid, 0, 0x8100), Some([0x81, 0, 0, 0]), "a priority tag");
        assert_eq!(tag(TP_STATUS_VLAN_TPID_VALID, 7, 0x8100), None);
        assert_eq!(stripped_tag(&control(263, 9, valid, 7, 0x8100)), None);
        assert_eq!(stripped_tag(&control(1, 8, valid, 7, 0x8100)), None);
    }

    #[test]
    fn what_is_cut_short_is_no_tag() {
        let whole = control(263, 8, TP_STATUS_VLAN_VALID, 7, 0x8100);
        for length in 0..whole.len() {
            assert_eq!(stripped_tag(&whole[..length]), None, "{length} bytes");
        }
    }
}
