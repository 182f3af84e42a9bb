//! Cuts a pcapng stream into its blocks, so that a file never ends inside one
//! (draft-ietf-opsawg-pcapng section 3.1).

use std::io::{self, Read};

/// Section header block: starts a section and fixes its byte order.
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
/// Enhanced packet block: one frame.
const ENHANCED_PACKET: u32 = 6;
/// The byte-order magic, as its writer sees it.
const MAGIC: u32 = 0x1A2B_3C4D;
/// The largest block taken, in bytes; frames are far smaller.
const BLOCK_BYTES_MAX: usize = 1 << 20;

/// One block as it stood in the stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// All its bytes, both lengths included.
    pub bytes: Vec<u8>,
    /// Whether it holds a frame.
    pub is_frame: bool,
}

/// Reads blocks.
#[derive(Debug)]
pub struct Blocks<R> {
    input: R,
    big_endian: bool,
}

impl<R: Read> Blocks<R> {
    /// Starts before the first section header.
    pub fn new(input: R) -> Self {
        Self { input, big_endian: false }
    }

    /// The next whole block; none at the end of the stream.
    ///
    /// # Errors
    /// Reading fails, the stream ends inside a block (`UnexpectedEof`), or it is no pcapng
    /// (`InvalidData`).
    pub fn next_block(&mut self) -> io::Result<Option<Block>> {
        let Some(head) = self.head()? else { return Ok(None) };
        let [kind @ .., _, _, _, _] = head;
        // The section header's type reads the same in both byte orders.
        let is_header = u32::from_le_bytes(kind) == SECTION_HEADER;
        let mut bytes = Vec::from(head);
        if is_header {
            let mut magic = [0; 4];
            self.input.read_exact(&mut magic)?;
            self.big_endian = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
                (MAGIC, _) => false,
                (_, MAGIC) => true,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            };
            bytes.extend(magic);
        }
        let [_, _, _, _, length @ ..] = head;
        let length = usize::try_from(self.number(length)).unwrap_or(usize::MAX);
        if !length.is_multiple_of(4) || length < bytes.len() + 4 || length > BLOCK_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let start = bytes.len();
        bytes.resize(length, 0);
        self.input.read_exact(bytes.get_mut(start..).unwrap_or_default())?;
        Ok(Some(Block { bytes, is_frame: !is_header && self.number(kind) == ENHANCED_PACKET }))
    }

    /// Type and length, or none when the stream ended between two blocks.
    fn head(&mut self) -> io::Result<Option<[u8; 8]>> {
        let mut head = [0; 8];
        let (first, rest) = head.split_at_mut(1);
        loop {
            match self.input.read(first) {
                Ok(0) => return Ok(None),
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.input.read_exact(rest)?;
        Ok(Some(head))
    }

    fn number(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A block in little-endian order.
    pub fn block(kind: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        [&kind.to_le_bytes()[..], &length, body, &length].concat()
    }

    /// A section header and `frames` frames.
    pub fn stream(frames: usize) -> Vec<u8> {
        let mut header = MAGIC.to_le_bytes().to_vec();
        header.extend([1, 0, 0, 0]);
        header.extend([0xff; 8]);
        let mut stream = block(SECTION_HEADER, &header);
        stream.extend(block(1, &[1, 0, 0, 0, 0, 0, 0, 0]));
        for _ in 0..frames {
            stream.extend(block(ENHANCED_PACKET, &[0; 24]));
        }
        stream
    }

    fn all(bytes: &[u8]) -> io::Result<Vec<Block>> {
        let mut blocks = Blocks::new(bytes);
        std::iter::from_fn(|| blocks.next_block().transpose()).collect()
    }

    #[test]
    fn blocks_put_together_again_are_the_stream() {
        let blocks = all(&stream(3)).unwrap();
        assert_eq!(blocks.iter().filter(|block| block.is_frame).count(), 3);
        assert_eq!(blocks.into_iter().flat_map(|block| block.bytes).collect::<Vec<_>>(), stream(3));
    }

    #[test]
    fn big_endian_streams_are_cut_too() {
        let swapped: Vec<u8> = stream(2)
            .chunks(4)
            .flat_map(|word| word.iter().rev().copied().collect::<Vec<_>>())
            .collect();
        assert_eq!(all(&swapped).unwrap().iter().filter(|block| block.is_frame).count(), 2);
    }

    #[test]
    fn every_truncation_is_an_error_or_ends_between_blocks() {
        let whole = stream(1);
        let ends: Vec<usize> = all(&whole)
            .unwrap()
            .iter()
            .scan(0, |end, block| {
                *end += block.bytes.len();
                Some(*end)
            })
            .collect();
        for cut in 1..whole.len() {
            assert_eq!(all(&whole[..cut]).is_ok(), ends.contains(&cut), "cut at {cut}");
        }
    }

    #[test]
    fn absurd_lengths_are_refused() {
        for length in [0_u32, 8, 13, u32::MAX] {
            let mut bytes = ENHANCED_PACKET.to_le_bytes().to_vec();
            bytes.extend(length.to_le_bytes());
            bytes.extend([0; 64]);
            assert_eq!(all(&bytes).unwrap_err().kind(), io::ErrorKind::InvalidData, "{length}");
        }
    }
}
