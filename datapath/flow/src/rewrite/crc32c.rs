//! How a `CRC32c` changes when some of the bytes that it covers do.
//!
//! A CRC is linear: that of what was flipped, alone among zeros, is what is flipped in the CRC.

/// Castagnoli's polynomial, its bits reversed: the highest bit stands for 1.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// The polynomial 1.
const ONE: u32 = 1 << 31;
/// The polynomial that a byte more multiplies by.
const BYTE: u32 = ONE >> 8;

/// What flips in a `CRC32c` when the bits of `flipped` do: a number of `len` bytes, 0 to 16, with
/// `behind` bytes behind it.
pub(super) fn difference(flipped: u128, len: usize, behind: usize) -> u32 {
    let bytes = flipped.to_be_bytes();
    let own = bytes.iter().skip(16 - len.min(16)).fold(0, |crc, byte| step(crc ^ u32::from(*byte)));
    multiply(own, power(behind))
}

/// A byte further.
fn step(crc: u32) -> u32 {
    (0..8).fold(crc, |crc, _| shift(crc))
}

/// A bit further: times x.
const fn shift(crc: u32) -> u32 {
    if crc & 1 == 1 { crc >> 1 ^ POLYNOMIAL } else { crc >> 1 }
}

/// The product of two polynomials.
fn multiply(one: u32, mut other: u32) -> u32 {
    let mut product = 0;
    for bit in (0..32).rev() {
        if one >> bit & 1 == 1 {
            product ^= other;
        }
        other = shift(other);
    }
    product
}

/// What so many bytes multiply by.
fn power(bytes: usize) -> u32 {
    let (mut left, mut square, mut product) = (bytes, BYTE, ONE);
    while left > 0 {
        if left & 1 == 1 {
            product = multiply(square, product);
        }
        square = multiply(square, square);
        left >>= 1;
    }
    product
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A `CRC32c` from the definition, bit by bit.
    pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| step(crc ^ u32::from(*byte)))
    }

    #[test]
    fn the_check_value_is_right() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    proptest! {
        #[test]
        fn a_flip_is_what_two_crcs_differ_by(
            mut bytes in prop::collection::vec(any::<u8>(), 2..300), at: prop::sample::Index, flip: u16,
        ) {
            let before = crc32c(&bytes);
            let at = at.index(bytes.len() - 1);
            for (byte, flip) in bytes[at..].iter_mut().zip(flip.to_be_bytes()) {
                *byte ^= flip;
            }
            let want = before ^ crc32c(&bytes);
            prop_assert_eq!(difference(flip.into(), 2, bytes.len() - at - 2), want);
        }
    }
}
