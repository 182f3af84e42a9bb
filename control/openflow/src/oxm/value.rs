//! Values of fields: bytes in network order, numbers, and options wider than numbers.

use crate::bytes::Writer;

/// A value of up to 128 bytes: words of 128 bits, the last bytes first.
pub type Wide = [u128; 8];

/// The number that at most 16 bytes are; of more bytes, the last 16.
#[must_use]
pub fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Writes the last `width` bytes of a number; in front of more than 16, zeros.
pub fn number_bytes(out: &mut Vec<u8>, value: u128, width: usize) {
    let bytes = value.to_be_bytes();
    out.zeros(width.saturating_sub(bytes.len()));
    let skipped = bytes.len().saturating_sub(width);
    out.bytes(bytes.get(skipped..).unwrap_or_default());
}

/// The words that at most 128 bytes are.
#[must_use]
pub fn words(bytes: &[u8]) -> Wide {
    let mut words = Wide::default();
    for (word, chunk) in words.iter_mut().zip(bytes.rchunks(16)) {
        *word = number(chunk);
    }
    words
}

/// Writes the last `width` bytes of words, at most 128.
pub fn from_words(out: &mut Vec<u8>, words: &Wide, width: usize) {
    let mut bytes = Vec::with_capacity(128);
    for word in words.iter().rev() {
        bytes.u64(u64::try_from(word >> 64).unwrap_or_default());
        bytes.u64(u64::try_from(word & u128::from(u64::MAX)).unwrap_or_default());
    }
    out.bytes(bytes.get(bytes.len().saturating_sub(width)..).unwrap_or_default());
}

/// How many bytes a value needs: at least 1.
pub(super) fn width(words: &Wide) -> usize {
    let mut bytes = Vec::with_capacity(128);
    from_words(&mut bytes, words, 128);
    bytes.iter().position(|byte| *byte != 0).map_or(1, |at| 128 - at)
}

/// True when a value has bits where its mask has none.
pub(super) fn is_inconsistent(value: &[u8], mask: &[u8]) -> bool {
    value.iter().zip(mask).any(|(value, mask)| value & !mask != 0)
}
