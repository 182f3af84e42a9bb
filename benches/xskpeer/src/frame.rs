//! The test frame: Ethernet, IPv4, UDP (port 9, discard), zeros.

use std::{net::Ipv4Addr, str::FromStr};

use anyhow::{Context, ensure};

/// Ethernet, IPv4 and UDP headers.
const HEADERS_BYTES: usize = 14 + 20 + 8;

/// A MAC address as six bytes.
#[derive(Clone, Copy, Debug)]
pub struct Mac([u8; 6]);

impl FromStr for Mac {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let bytes = text
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).with_context(|| format!("MAC {text}")))
            .collect::<anyhow::Result<Vec<u8>>>()?;
        let bytes = <[u8; 6]>::try_from(bytes);
        Ok(Self(bytes.map_err(|_| anyhow::anyhow!("MAC {text}: six bytes are needed"))?))
    }
}

/// What to send.
#[derive(clap::Args, Clone, Debug)]
pub struct Shape {
    /// Length of the frame in bytes, with the Ethernet header, without FCS (60 is the shortest on a wire).
    #[arg(long, default_value_t = 64)]
    pub size: u16,
    /// Source MAC.
    #[arg(long, default_value = "02:00:00:00:00:01")]
    pub source: Mac,
    /// Destination MAC.
    #[arg(long, default_value = "02:00:00:00:00:02")]
    pub target: Mac,
}

impl Shape {
    /// The bytes of the frame, from 10.9.0.1 to 10.9.0.2, with right lengths and checksums.
    ///
    /// # Errors
    /// When the size has no room for the headers.
    pub fn frame(&self) -> anyhow::Result<Vec<u8>> {
        let size = self.size;
        ensure!(usize::from(size) >= HEADERS_BYTES, "a frame of {size} bytes has no room for UDP");
        let mut frame = Vec::with_capacity(usize::from(size));
        frame.extend(self.target.0);
        frame.extend(self.source.0);
        frame.extend(0x0800_u16.to_be_bytes());
        let ends = [Ipv4Addr::new(10, 9, 0, 1), Ipv4Addr::new(10, 9, 0, 2)];
        let mut header = vec![0x45, 0];
        header.extend((size - 14).to_be_bytes());
        // Id 1, no fragment, ttl 64, UDP.
        header.extend([0, 1, 0x40, 0, 64, 17]);
        let mut rest = Vec::new();
        rest.extend(ends.iter().flat_map(Ipv4Addr::octets));
        let sum = checksum(header.iter().chain(&rest));
        frame.extend(header);
        frame.extend(sum.to_be_bytes());
        frame.extend(rest);
        // UDP from and to port 9, checksum not used.
        frame.extend([0, 9, 0, 9]);
        frame.extend((size - 34).to_be_bytes());
        frame.resize(usize::from(size), 0);
        Ok(frame)
    }
}

/// The internet checksum (RFC 1071) of an even number of bytes.
fn checksum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u16 {
    let mut sum = 0_u32;
    for (index, byte) in bytes.enumerate() {
        sum += u32::from(*byte) << if index % 2 == 0 { 8 } else { 0 };
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_has_the_size_and_a_right_ipv4_checksum() {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        for size in [42, 64, 1400] {
            let frame = Shape { size, source: mac, target: mac }.frame().unwrap();
            assert_eq!(frame.len(), usize::from(size));
            assert_eq!(checksum(frame[14..34].iter()), 0);
        }
        assert!(Shape { size: 41, source: mac, target: mac }.frame().is_err());
    }
}
