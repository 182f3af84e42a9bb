//! The internet checksum, RFC 1071, and its incremental update, RFC 1624.
//!
//! A *partial sum* is a `u64` that is congruent, modulo 0xffff, to the one's complement sum of
//! 16-bit big-endian words.  Partial sums of pieces that start at even offsets may be added with
//! `+`; [`fold`] makes 16 bits of one and [`finish`] the checksum.

pub mod local;
pub mod partial;

/// Partial sum of `bytes`; a missing last byte counts as zero.
///
/// Adds 32-bit words in the machine's byte order into 64-bit lanes, which the compiler turns into
/// vector instructions, and swaps at the end: the one's complement sum does not mind the byte
/// order (RFC 1071 section 2).
#[must_use]
#[inline]
pub fn sum(bytes: &[u8]) -> u64 {
    let (blocks, rest) = bytes.as_chunks::<32>();
    // Lanes cannot overflow: each addition adds less than 2^33, and no slice has 2^31 blocks.
    let mut lanes = [0u64; 4];
    for block in blocks {
        let (words, _) = block.as_chunks::<8>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            let word = u64::from_ne_bytes(*word);
            *lane += (word & 0xffff_ffff) + (word >> 32);
        }
    }
    let mut total: u64 = lanes.iter().sum();
    let (words, rest) = rest.as_chunks::<4>();
    for word in words {
        total += u64::from(u32::from_ne_bytes(*word));
    }
    total += match *rest {
        [a] => u64::from(u16::from_ne_bytes([a, 0])),
        [a, b] => u64::from(u16::from_ne_bytes([a, b])),
        [a, b, c] => u64::from(u32::from_ne_bytes([a, b, c, 0])),
        _ => 0,
    };
    // To swap the bytes of a word is to multiply it by 256, modulo 0xffff; there is room for that.
    let total = (total & 0xffff_ffff) + (total >> 32);
    if cfg!(target_endian = "little") { total << 8 } else { total }
}

/// Folds a partial sum to 16 bits, uncomplemented.  Zero only for a sum of nothing but zeros.
#[must_use]
#[inline]
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    let [.., high, low] = sum.to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The checksum for a partial sum: folded and complemented.
#[must_use]
#[inline]
pub const fn finish(sum: u64) -> u16 {
    !fold(sum)
}

/// The checksum for a partial sum as UDP sends it: 0 means "none", so 0xffff stands for it
/// (RFC 768).
#[must_use]
#[inline]
pub const fn finish_udp(sum: u64) -> u16 {
    match finish(sum) {
        0 => 0xffff,
        checksum => checksum,
    }
}

/// The internet checksum of `bytes`.  Over bytes that hold their own right checksum it is 0.
#[must_use]
#[inline]
pub fn internet_checksum(bytes: &[u8]) -> u16 {
    finish(sum(bytes))
}

/// Partial sum of the IPv4 pseudo-header (RFC 9293 section 3.1, RFC 768): `len_bytes` is that of
/// the TCP or UDP segment, header included.
#[must_use]
#[inline]
pub fn pseudo_v4(source: [u8; 4], target: [u8; 4], protocol: u8, len_bytes: u16) -> u64 {
    u64::from(u32::from_be_bytes(source))
        + u64::from(u32::from_be_bytes(target))
        + u64::from(protocol)
        + u64::from(len_bytes)
}

/// Partial sum of the IPv6 pseudo-header (RFC 8200 section 8.1): `len_bytes` is that of the
/// upper-layer packet, header included, and `protocol` names that layer.
#[must_use]
#[inline]
pub fn pseudo_v6(source: &[u8; 16], target: &[u8; 16], protocol: u8, len_bytes: u32) -> u64 {
    sum(source) + sum(target) + u64::from(protocol) + u64::from(len_bytes)
}

/// The checksum after one 16-bit word that it covers changed, RFC 1624 equation 3.
#[must_use]
#[inline]
pub const fn update_u16(checksum: u16, old: u16, new: u16) -> u16 {
    finish(!checksum as u64 + !old as u64 + new as u64)
}

/// The checksum after two words that it covers, at an even offset, changed: an address, a
/// sequence number.
#[must_use]
#[inline]
pub const fn update_u32(checksum: u16, old: u32, new: u32) -> u16 {
    finish(!checksum as u64 + !old as u64 + new as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 1071 as it is written, word by word.
    fn plain(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            let word = u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u32::from(b));
            sum += word;
            sum = (sum & 0xffff) + (sum >> 16);
        }
        u16::try_from(sum).unwrap()
    }

    proptest! {
        #[test]
        fn equals_the_plain_sum(bytes in prop::collection::vec(any::<u8>(), 0..700), skip in 0usize..9) {
            let bytes = &bytes[skip.min(bytes.len())..];
            prop_assert_eq!(fold(sum(bytes)), plain(bytes));
            prop_assert_eq!(internet_checksum(bytes), !plain(bytes));
        }

        /// Mostly 0xff bytes, where carries pile up.
        #[test]
        fn carries_are_kept(len in 0usize..70_000, holes in prop::collection::vec(any::<(u16, u8)>(), 0..4)) {
            let mut bytes = vec![0xff; len];
            for (at, value) in holes {
                if let Some(byte) = bytes.get_mut(usize::from(at)) {
                    *byte = value;
                }
            }
            prop_assert_eq!(fold(sum(&bytes)), plain(&bytes));
        }

        #[test]
        fn pieces_add_up(bytes: Vec<u8>, at in 0usize..50) {
            let at = (at * 2).min(bytes.len() & !1);
            prop_assert_eq!(fold(sum(&bytes[..at]) + sum(&bytes[at..])), plain(&bytes));
        }

        #[test]
        fn folds_any_sum(raw: u64) {
            prop_assert_eq!(u64::from(fold(raw)) % 0xffff, raw % 0xffff);
            prop_assert_eq!(fold(raw) == 0, raw == 0);
        }

        /// An update gives what a new computation gives.
        #[test]
        fn updates_like_a_new_sum(mut bytes in prop::collection::vec(any::<u8>(), 8..60), new: u16, wide: u32) {
            bytes[7] |= 1; // all zeros have two checksums
            let old_sum = internet_checksum(&bytes);
            let old = u16::from_be_bytes([bytes[0], bytes[1]]);
            bytes[..2].copy_from_slice(&new.to_be_bytes());
            let mid_sum = internet_checksum(&bytes);
            prop_assert_eq!(update_u16(old_sum, old, new), mid_sum);
            let old = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
            bytes[2..6].copy_from_slice(&wide.to_be_bytes());
            prop_assert_eq!(update_u32(mid_sum, old, wide), internet_checksum(&bytes));
        }

        #[test]
        fn pseudo_headers_are_what_the_rfcs_draw(
            v4: [[u8; 4]; 2], v6: [[u8; 16]; 2], protocol: u8, len: u16, long: u32,
        ) {
            let mut drawn = [v4[0], v4[1]].concat();
            drawn.extend([0, protocol]);
            drawn.extend(len.to_be_bytes());
            prop_assert_eq!(fold(pseudo_v4(v4[0], v4[1], protocol, len)), plain(&drawn));
            let mut drawn = [v6[0], v6[1]].concat();
            drawn.extend(long.to_be_bytes());
            drawn.extend([0, 0, 0, protocol]);
            prop_assert_eq!(fold(pseudo_v6(&v6[0], &v6[1], protocol, long)), plain(&drawn));
        }
    }

    /// RFC 1071 section 3 and RFC 1624 section 4 work these examples.
    #[test]
    fn gives_the_examples_of_the_rfcs() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&bytes)), 0xddf2);
        assert_eq!(update_u16(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    #[test]
    fn udp_never_sends_zero() {
        assert_eq!(finish(0xffff), 0);
        assert_eq!(finish_udp(0xffff), 0xffff);
        assert_eq!(finish_udp(0x1234), !0x1234);
    }
}
