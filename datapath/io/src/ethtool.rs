//! What a driver says of its device: its own name, and the medium (`linux/ethtool.h`).
//!
//! By `ioctl`, which needs no capability and answers for devices that are down, too.

use crate::sys;
use std::io;
use std::os::fd::AsFd;

/// A driver of a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Driver {
    /// As `ethtool -i` prints it: `veth`, `ixgbe`.
    pub name: String,
    /// The driver's version; that of the kernel when it has none of its own.
    pub version: String,
    /// The firmware's version, often empty.
    pub firmware: String,
}

/// What a device can carry now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Medium {
    /// Megabits per second; `None` when nobody knows, as for a NIC without a link.
    pub speed_mbps: Option<u64>,
    /// Whether both ends may send at a time; `None` when nobody knows.
    pub is_full_duplex: Option<bool>,
}

/// `ETHTOOL_GDRVINFO` of an interface.
///
/// # Errors
///
/// What the kernel says: no such device, or nobody answers for it.
pub fn driver(name: &str) -> io::Result<Driver> {
    let answer = sys::ethtool_driver(socket()?.as_fd(), name)?;
    let text = |at: usize| {
        let field = answer.get(at..at + 32).unwrap_or_default();
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(field.get(..end).unwrap_or_default()).into_owned()
    };
    Ok(Driver { name: text(4), version: text(36), firmware: text(68) })
}

/// `ETHTOOL_GSET` of an interface; nothing is known of one that does not answer.
#[must_use]
pub fn medium(name: &str) -> Medium {
    let answer = socket().and_then(|socket| sys::ethtool_settings(socket.as_fd(), name));
    answer.map_or_else(|_| Medium::default(), |answer| read(&answer))
}

/// The medium in a `struct ethtool_cmd`.
fn read(answer: &[u8; 44]) -> Medium {
    let half = |at: usize| match answer.get(at..at + 2) {
        Some(&[first, second]) => u64::from(u16::from_ne_bytes([first, second])),
        _ => 0,
    };
    let speed = half(28) << 16 | half(12);
    let is_full_duplex = match answer.get(14) {
        Some(0) => Some(false),
        Some(1) => Some(true),
        _ => None,
    };
    // SPEED_UNKNOWN is all ones; some drivers of 16 bits set the lower half of it.
    let speed_mbps = Some(speed).filter(|speed| !matches!(speed, 0 | 0xffff | 0xffff_ffff));
    Medium { speed_mbps, is_full_duplex }
}

fn socket() -> io::Result<std::os::fd::OwnedFd> {
    sys::socket(libc::AF_UNIX, libc::SOCK_DGRAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(speed: u32, duplex: u8) -> [u8; 44] {
        let mut answer = [0; 44];
        let bytes = speed.to_ne_bytes();
        let (low, high) = if cfg!(target_endian = "little") { (0, 2) } else { (2, 0) };
        answer[12..14].copy_from_slice(&bytes[low..low + 2]);
        answer[28..30].copy_from_slice(&bytes[high..high + 2]);
        answer[14] = duplex;
        answer
    }

    #[test]
    fn speeds_and_duplex_are_read() {
        let medium = |speed_mbps, is_full_duplex| Medium { speed_mbps, is_full_duplex };
        for (speed, duplex, expected) in [
            (100, 0, medium(Some(100), Some(false))),
            (10_000, 1, medium(Some(10_000), Some(true))),
            (400_000, 1, medium(Some(400_000), Some(true))),
            (0, 1, medium(None, Some(true))),
            (u32::MAX, 0xff, medium(None, None)),
            (0xffff, 0xff, medium(None, None)),
        ] {
            assert_eq!(read(&answer(speed, duplex)), expected, "{speed} {duplex}");
        }
    }

    #[test]
    fn nobody_answers_for_a_device_that_is_not_there() {
        assert_eq!(medium("nosuchdevice"), Medium::default());
        assert_eq!(medium(""), Medium::default());
        assert_eq!(medium("a name that is far too long"), Medium::default());
        assert!(driver("nosuchdevice").is_err());
    }
}
