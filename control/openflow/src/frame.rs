//! Messages out of a stream of bytes.

/// How long a header is: version, type, length, transaction id.
pub const HEADER_BYTES: usize = 8;

/// The longest message: its length has 16 bits.
pub const MESSAGE_MAX_BYTES: usize = 65535;

/// What every message begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The version, as on the wire.
    pub version: u8,
    /// The type, as on the wire.
    pub kind: u8,
    /// Bytes of the message, with these.
    pub length: u16,
    /// The transaction id: a reply has that of its request.
    pub xid: u32,
}

impl Header {
    /// The header that bytes begin with; nothing when there are too few.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [version, kind, high, low, a, b, c, d] = *bytes.first_chunk()?;
        Some(Self {
            version,
            kind,
            length: u16::from_be_bytes([high, low]),
            xid: u32::from_be_bytes([a, b, c, d]),
        })
    }

    /// Its bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [high, low] = self.length.to_be_bytes();
        let [a, b, c, d] = self.xid.to_be_bytes();
        [self.version, self.kind, high, low, a, b, c, d]
    }
}

/// The stream has a message whose length is less than that of a header: nobody can tell where the
/// next one begins, and the connection has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LengthTooShort;

impl std::fmt::Display for LengthTooShort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a message says that it is shorter than its header")
    }
}

impl std::error::Error for LengthTooShort {}

/// Cuts a stream into messages.  It keeps what was pushed and not yet taken: whoever takes all
/// messages before the next push has at most one message and one push in it.
#[derive(Debug, Default)]
pub struct Framer {
    bytes: Vec<u8>,
    /// How many bytes of it were taken.
    taken: usize,
}

impl Framer {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes that came in.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.taken.min(self.bytes.len()));
        self.taken = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// How many bytes came in and were not yet taken.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.bytes.len().saturating_sub(self.taken)
    }

    /// The next message, once all of it came in: as many bytes as its header says.
    ///
    /// # Errors
    /// Its header says less than the header has.  So do all later calls.
    pub fn next_message(&mut self) -> Result<Option<&[u8]>, LengthTooShort> {
        let waiting = self.bytes.get(self.taken..).unwrap_or_default();
        let Some(header) = Header::parse(waiting) else { return Ok(None) };
        let length = usize::from(header.length);
        if length < HEADER_BYTES {
            return Err(LengthTooShort);
        }
        let message = waiting.get(..length);
        if message.is_some() {
            self.taken = self.taken.saturating_add(length);
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::{Framer, Header, LengthTooShort};
    use proptest::prelude::*;

    fn message(xid: u32, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(8 + body.len()).unwrap();
        let mut bytes = Header { version: 6, kind: 2, length, xid }.to_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    proptest! {
        #[test]
        fn messages_come_whole_however_they_are_cut(
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            pieces in prop::collection::vec(1usize..50, 1..20),
        ) {
            let messages: Vec<_> = (0u32..).zip(&bodies).map(|(xid, b)| message(xid, b)).collect();
            let stream = messages.concat();
            let mut framer = Framer::new();
            let mut seen = Vec::new();
            let mut rest = stream.as_slice();
            for piece in pieces.iter().cycle() {
                let (now, later) = rest.split_at((*piece).min(rest.len()));
                rest = later;
                framer.push(now);
                while let Some(message) = framer.next_message().unwrap() {
                    seen.push(message.to_vec());
                }
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(framer.waiting_bytes(), 0);
            prop_assert_eq!(seen, messages);
        }
    }

    #[test]
    fn a_length_below_that_of_the_header_is_the_end() {
        let mut framer = Framer::new();
        framer.push(&[6, 2, 0, 8, 0, 0, 0, 1, 6, 2, 0, 7, 0, 0, 0, 1]);
        assert_eq!(framer.next_message().unwrap().unwrap().len(), 8);
        assert_eq!(framer.next_message(), Err(LengthTooShort));
        assert_eq!(framer.next_message(), Err(LengthTooShort));
    }

    #[test]
    fn the_longest_message_is_taken() {
        let mut framer = Framer::new();
        let long = message(7, &vec![0; 65527]);
        framer.push(&long);
        assert_eq!(framer.next_message().unwrap().unwrap().len(), 65535);
        assert_eq!(framer.next_message(), Ok(None));
    }
}
