//! The two things that only rtnetlink knows: which XDP programs an interface runs, and how to end one
//! that was attached without a bpf link.

use std::{io, os::fd::AsFd, os::fd::AsRawFd};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

use crate::Mode;

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_SETLINK: u16 = 19;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLA_F_NESTED: u16 = 0x8000;
const NLA_TYPE_MASK: u16 = 0x3fff;

const IFLA_MTU: u16 = 4;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_FD: u16 = 1;
const IFLA_XDP_FLAGS: u16 = 3;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
const IFLA_XDP_HW_PROG_ID: u16 = 7;
const IFLA_XDP_EXPECTED_FD: u16 = 8;

const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
const XDP_FLAGS_REPLACE: u32 = 1 << 4;

/// Bytes of the headers in front of the attributes: nlmsghdr and ifinfomsg.
const NLMSG_BYTES: usize = 16;
const IFINFO_BYTES: usize = 16;
/// One link's description with everything the kernel adds (virtual functions are not asked for).
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// What an interface runs, by the ids of the programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XdpState {
    /// MTU of the interface, in bytes; 0 when the kernel did not say.
    pub mtu: u32,
    /// The program in the driver.
    pub native: Option<u32>,
    /// The program in the network stack.
    pub generic: Option<u32>,
    /// The program in the NIC itself.
    pub hardware: Option<u32>,
}

impl XdpState {
    /// The programs with their modes. A program in the NIC counts as native.
    pub fn programs(&self) -> impl Iterator<Item = (u32, Mode)> {
        let native = self.native.or(self.hardware).map(|id| (id, Mode::Native));
        native.into_iter().chain(self.generic.map(|id| (id, Mode::Generic)))
    }
}

/// Which XDP programs the interface runs.
///
/// # Errors
/// `ENODEV` when there is no such interface in this network namespace, and whatever else the kernel says.
pub fn xdp_state(ifindex: u32) -> io::Result<XdpState> {
    let answer = ask(&request(RTM_GETLINK, NLM_F_REQUEST, ifindex, &[]))?;
    let mut state = XdpState::default();
    for (kind, value) in attributes(answer.get(IFINFO_BYTES..).unwrap_or_default()) {
        match kind {
            IFLA_MTU => state.mtu = number(value).unwrap_or(0),
            IFLA_XDP => {
                for (kind, value) in attributes(value) {
                    match kind {
                        IFLA_XDP_DRV_PROG_ID => state.native = number(value),
                        IFLA_XDP_SKB_PROG_ID => state.generic = number(value),
                        IFLA_XDP_HW_PROG_ID => state.hardware = number(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    Ok(state)
}

/// Detaches exactly this program, if it still is what the interface runs in this mode.
pub(crate) fn detach(ifindex: u32, mode: Mode, program: impl AsFd) -> io::Result<()> {
    let flags = match mode {
        Mode::Native => XDP_FLAGS_DRV_MODE,
        Mode::Generic => XDP_FLAGS_SKB_MODE,
    };
    let mut xdp = Vec::new();
    put(&mut xdp, IFLA_XDP_FD, &(-1_i32).to_ne_bytes());
    put(&mut xdp, IFLA_XDP_FLAGS, &(flags | XDP_FLAGS_REPLACE).to_ne_bytes());
    put(&mut xdp, IFLA_XDP_EXPECTED_FD, &program.as_fd().as_raw_fd().to_ne_bytes());
    let mut attributes = Vec::new();
    put(&mut attributes, IFLA_XDP | NLA_F_NESTED, &xdp);
    ask(&request(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK, ifindex, &attributes)).map(drop)
}

/// One message about one interface.
fn request(kind: u16, flags: u16, ifindex: u32, attributes: &[u8]) -> Vec<u8> {
    let length = NLMSG_BYTES + IFINFO_BYTES + attributes.len();
    let mut message = Vec::with_capacity(length);
    message.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&[0; 8]); // sequence number and port: one question, one answer
    message.extend_from_slice(&[0; 4]); // family, padding, device type
    message.extend_from_slice(&ifindex.to_ne_bytes());
    message.extend_from_slice(&[0; 8]); // flags and their mask
    message.extend_from_slice(attributes);
    message
}

/// Asks, and gives the body of the answer back (empty for an acknowledgement).
fn ask(message: &[u8]) -> io::Result<Vec<u8>> {
    // Protocol none is number 0, NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, message, SendFlags::empty())?;
    let mut buffer = vec![0; ANSWER_BYTES_MAX];
    let (length, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
    buffer.truncate(length);
    let broken = || io::Error::new(io::ErrorKind::InvalidData, "netlink answer cut short");
    let (header, body) = buffer.split_at_checked(NLMSG_BYTES).ok_or_else(broken)?;
    match header {
        [_, _, _, _, low, high, ..] => match u16::from_ne_bytes([*low, *high]) {
            RTM_NEWLINK => Ok(body.to_vec()),
            NLMSG_ERROR => match body.first_chunk::<4>().map(|code| i32::from_ne_bytes(*code)) {
                Some(0) => Ok(Vec::new()),
                Some(code) => Err(io::Error::from_raw_os_error(code.saturating_neg())),
                None => Err(broken()),
            },
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "netlink answer of another kind")),
        },
        _ => Err(broken()),
    }
}

/// Appends an attribute, padded to four bytes.
fn put(target: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(value.len() + 4).unwrap_or(u16::MAX);
    target.extend_from_slice(&length.to_ne_bytes());
    target.extend_from_slice(&kind.to_ne_bytes());
    target.extend_from_slice(value);
    target.resize(target.len().next_multiple_of(4), 0);
}

/// The attributes in `rest`; ends at the first one whose length is nonsense.
fn attributes(mut rest: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (&[length_low, length_high, kind_low, kind_high], _) = rest.split_first_chunk::<4>()?;
        let length = usize::from(u16::from_ne_bytes([length_low, length_high]));
        let kind = u16::from_ne_bytes([kind_low, kind_high]) & NLA_TYPE_MASK;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A 32-bit number in host order.
fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_back_as_they_went_in() {
        let mut bytes = Vec::new();
        put(&mut bytes, IFLA_MTU, &1500_u32.to_ne_bytes());
        put(&mut bytes, IFLA_XDP | NLA_F_NESTED, &[1, 2, 3]);
        put(&mut bytes, 7, &[]);
        let found: Vec<_> =
            attributes(&bytes).map(|(kind, value)| (kind, value.to_vec())).collect();
        let mtu = 1500_u32.to_ne_bytes().to_vec();
        assert_eq!(found, [(IFLA_MTU, mtu), (IFLA_XDP, vec![1, 2, 3]), (7, vec![])]);
    }

    #[test]
    fn nonsense_lengths_end_the_walk() {
        for bytes in [&[0, 0, 4, 0][..], &[3, 0, 4, 0], &[200, 0, 4, 0, 1, 2], &[4, 0, 4], &[]] {
            assert_eq!(attributes(bytes).count(), 0, "{bytes:?}");
        }
    }

    #[test]
    fn the_loopback_interface_answers_and_index_0_does_not() {
        let state = xdp_state(1).unwrap();
        assert!(state.mtu >= 1280, "{state:?}");
        assert!(xdp_state(0x7fff_fff0).unwrap_err().raw_os_error().is_some());
    }
}
