//! VXLAN, RFC 7348 section 5.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |R|R|R|R|I|R|R|R|            Reserved                           |
//! |                VXLAN Network Identifier (VNI) |   Reserved    |
//! ```

use crate::error::room;
use crate::{Layer, ParseError, Vni, WriteError};

/// Assigned UDP destination port.
pub const UDP_PORT: u16 = 4789;

/// Length of the header, in bytes.
pub const LEN_BYTES: usize = 8;

/// The I bit of the flags byte: there is a VNI.
pub const HAS_VNI: u8 = 0x08;

/// A VXLAN header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Vxlan {
    /// The overlay network.
    pub vni: Vni,
}

impl Vxlan {
    /// Splits `bytes`, a UDP datagram, into header and inner frame.  Reserved fields are ignored,
    /// as section 5 wants; that includes the G bit of the group policy extension.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`], or [`ParseError::VxlanFlags`] without the I bit.
    pub fn parse(bytes: &[u8]) -> Result<(Self, &[u8]), ParseError> {
        let (&[flags, _, _, _, v1, v2, v3, _], rest) = bytes
            .split_first_chunk::<LEN_BYTES>()
            .ok_or(ParseError::truncated(Layer::Vxlan, LEN_BYTES, bytes.len()))?;
        if flags & HAS_VNI == 0 {
            return Err(ParseError::VxlanFlags { flags });
        }
        Ok((Self { vni: Vni::from_wire([v1, v2, v3]) }, rest))
    }

    /// Writes this header to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError::ShortBuffer`].
    pub fn write(self, out: &mut [u8]) -> Result<usize, WriteError> {
        let [v1, v2, v3] = self.vni.to_wire();
        *room(out)? = [HAS_VNI, 0, 0, 0, v1, v2, v3, 0];
        Ok(LEN_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vni::generators::any_vni;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn round_trips_and_ignores_reserved_bits(vni in any_vni(), payload: Vec<u8>, noise: [u8; 8]) {
            let mut bytes = vec![0xee; LEN_BYTES];
            prop_assert_eq!(Vxlan { vni }.write(&mut bytes), Ok(LEN_BYTES));
            bytes.extend(&payload);
            prop_assert_eq!(Vxlan::parse(&bytes), Ok((Vxlan { vni }, &payload[..])));
            bytes[0] |= noise[0];
            bytes[1..4].copy_from_slice(&noise[1..4]);
            bytes[7] = noise[7];
            prop_assert_eq!(Vxlan::parse(&bytes), Ok((Vxlan { vni }, &payload[..])));
            bytes[0] &= !8;
            prop_assert_eq!(Vxlan::parse(&bytes), Err(ParseError::VxlanFlags { flags: bytes[0] }));
            for len in 0..LEN_BYTES {
                let error = ParseError::truncated(Layer::Vxlan, LEN_BYTES, len);
                prop_assert_eq!(Vxlan::parse(&bytes[..len]), Err(error));
                let header = Vxlan { vni };
                prop_assert!(header.write(&mut bytes[..len]).is_err());
            }
        }
    }
}
