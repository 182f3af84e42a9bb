//! Numbers in network order: read from a slice, written behind a vector.

use weft_flow::request::Refusal;

/// Reads numbers and runs of bytes from the front of a slice.  Whoever reads past its end gets
/// [`Refusal::BadLen`], or the refusal of [`Reader::refusing`].
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    short: Refusal,
}

impl<'a> Reader<'a> {
    /// Reads these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self::refusing(bytes, Refusal::BadLen)
    }

    /// Reads these bytes; `short` is what reading past their end is refused with.
    #[must_use]
    pub const fn refusing(bytes: &'a [u8], short: Refusal) -> Self {
        Self { bytes, short }
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.bytes.len()
    }

    /// True when no bytes are left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes that are left, which stay.
    #[must_use]
    pub const fn peek(&self) -> &'a [u8] {
        self.bytes
    }

    /// All bytes that are left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes;
        self.bytes = &[];
        rest
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// Fewer are left; then nothing is read.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(self.short)?;
        self.bytes = rest;
        Ok(taken)
    }

    /// A reader of the next `count` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn part(&mut self, count: usize) -> Result<Self, Refusal> {
        Ok(Self { bytes: self.take(count)?, short: self.short })
    }

    /// Leaves out `count` bytes, whatever they are.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn skip(&mut self, count: usize) -> Result<(), Refusal> {
        self.take(count).map(drop)
    }

    /// Leaves out `count` bytes, which must be zero.
    ///
    /// # Errors
    /// Fewer are left, or one is not zero: `refusal`.
    pub fn zeros(&mut self, count: usize, refusal: Refusal) -> Result<(), Refusal> {
        if is_zero(self.take(count)?) { Ok(()) } else { Err(refusal) }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// Fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(self.short)?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// A byte.
    ///
    /// # Errors
    /// None is left.
    pub fn u8(&mut self) -> Result<u8, Refusal> {
        self.array().map(u8::from_be_bytes)
    }

    /// A number of 16 bits.
    ///
    /// # Errors
    /// Fewer than 2 bytes are left.
    pub fn u16(&mut self) -> Result<u16, Refusal> {
        self.array().map(u16::from_be_bytes)
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// Fewer than 4 bytes are left.
    pub fn u32(&mut self) -> Result<u32, Refusal> {
        self.array().map(u32::from_be_bytes)
    }

    /// A number of 64 bits.
    ///
    /// # Errors
    /// Fewer than 8 bytes are left.
    pub fn u64(&mut self) -> Result<u64, Refusal> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Writes numbers and runs of bytes behind what is there.
pub trait Writer {
    /// A byte.
    fn u8(&mut self, value: u8);
    /// A number of 16 bits.
    fn u16(&mut self, value: u16);
    /// A number of 32 bits.
    fn u32(&mut self, value: u32);
    /// A number of 64 bits.
    fn u64(&mut self, value: u64);
    /// These bytes.
    fn bytes(&mut self, bytes: &[u8]);
    /// `count` zeros.
    fn zeros(&mut self, count: usize);
    /// Zeros, until what begins at `start` has a multiple of `unit` bytes.
    fn pad_to(&mut self, unit: usize, start: usize);
    /// Writes a number of 16 bits over the two bytes at `at`, if both are there.
    fn patch_u16(&mut self, at: usize, value: u16);
    /// Writes how many bytes there are from `start` over the two bytes at `at`: at most 65535.
    fn patch_len(&mut self, at: usize, start: usize);
}

impl Writer for Vec<u8> {
    fn u8(&mut self, value: u8) {
        self.push(value);
    }

    fn u16(&mut self, value: u16) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn zeros(&mut self, count: usize) {
        self.resize(self.len().saturating_add(count), 0);
    }

    fn pad_to(&mut self, unit: usize, start: usize) {
        let len = self.len().saturating_sub(start);
        self.zeros(len.next_multiple_of(unit.max(1)).saturating_sub(len));
    }

    fn patch_u16(&mut self, at: usize, value: u16) {
        if let Some(place) = self.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            *place = value.to_be_bytes();
        }
    }

    fn patch_len(&mut self, at: usize, start: usize) {
        let len = self.len().saturating_sub(start);
        self.patch_u16(at, u16::try_from(len).unwrap_or(u16::MAX));
    }
}

/// True when all these bytes are zero.
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::{Reader, Writer};
    use weft_flow::request::Refusal;

    #[test]
    fn numbers_come_back() {
        let mut out = Vec::new();
        out.u8(1);
        out.u16(0x0203);
        out.u32(0x0405_0607);
        out.u64(0x0809_0a0b_0c0d_0e0f);
        out.pad_to(8, 0);
        out.patch_u16(1, 0xfffe);
        assert_eq!(out.len(), 16);
        let mut reader = Reader::new(&out);
        assert_eq!((reader.u8(), reader.u16()), (Ok(1), Ok(0xfffe)));
        assert_eq!((reader.u32(), reader.u64()), (Ok(0x0405_0607), Ok(0x0809_0a0b_0c0d_0e0f)));
        assert_eq!(reader.zeros(1, Refusal::BadType), Ok(()));
        assert!(reader.is_empty());
    }

    #[test]
    fn reading_past_the_end_is_refused_and_reads_nothing() {
        let mut reader = Reader::refusing(&[1, 2, 3], Refusal::ActionBadLen);
        assert_eq!(reader.u32(), Err(Refusal::ActionBadLen));
        assert_eq!(reader.take(4), Err(Refusal::ActionBadLen));
        assert_eq!((reader.u16(), reader.remaining()), (Ok(0x0102), 1));
        assert_eq!(reader.zeros(1, Refusal::BadType), Err(Refusal::BadType));
    }

    #[test]
    fn patches_stay_inside() {
        let mut out = vec![0; 4];
        out.patch_u16(3, 1);
        out.patch_u16(usize::MAX, 1);
        assert_eq!(out, [0; 4]);
        out.patch_len(0, 1);
        out.pad_to(8, 1);
        assert_eq!(out, [0, 3, 0, 0, 0, 0, 0, 0, 0]);
    }
}
