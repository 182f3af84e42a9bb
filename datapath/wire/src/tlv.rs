//! The one walker of type-length-value lists.
//!
//! Walking option lists by hand is where other switches over-read; here it is done once.  A
//! [`Shape`] says how one kind of list is laid out, and [`Tlvs`] walks it: every step moves forward
//! by at least the head, so the work is bounded by the bytes, and what a length claims is only
//! used to ask for bytes that may not be there.

use crate::{Layer, ParseError};
use core::marker::PhantomData;

/// How one kind of list is laid out.
pub trait Shape {
    /// What names an entry.
    type Kind: Copy;
    /// Header that holds the list, for errors.
    const LAYER: Layer;
    /// Bytes in front of a value; at least 1.
    const HEAD_BYTES: usize;

    /// Reads a head of `HEAD_BYTES`: what it is, and how long its value is in bytes.  `None` when
    /// the length cannot be.
    fn head(head: &[u8]) -> Option<(Self::Kind, usize)>;

    /// The kind of an entry that is this one byte, without length and value.
    #[must_use]
    fn lone(_first: u8) -> Option<Self::Kind> {
        None
    }

    /// True when an entry of this kind ends the list, whatever follows.
    fn is_end(_kind: Self::Kind) -> bool {
        false
    }
}

/// One entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a, K> {
    /// What it is.
    pub kind: K,
    /// Its value, without the head.
    pub value: &'a [u8],
}

/// Walks a list.  After an error it ends.
#[derive(Clone, Copy, Debug)]
pub struct Tlvs<'a, S> {
    rest: &'a [u8],
    shape: PhantomData<S>,
}

impl<'a, S: Shape> Tlvs<'a, S> {
    /// Walks the list that fills `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, shape: PhantomData }
    }

    /// What was not walked yet: it starts where the value of the last entry ends.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Splits the first entry off.
    fn step(&mut self) -> Result<Tlv<'a, S::Kind>, ParseError> {
        let bytes = self.rest;
        if let Some(kind) = bytes.first().and_then(|first| S::lone(*first)) {
            self.rest = bytes.get(1..).filter(|_| !S::is_end(kind)).unwrap_or_default();
            return Ok(Tlv { kind, value: &[] });
        }
        let truncated = |need| ParseError::truncated(S::LAYER, need, bytes.len());
        let head = bytes.get(..S::HEAD_BYTES).ok_or(truncated(S::HEAD_BYTES))?;
        let (kind, len) = S::head(head).ok_or(ParseError::OptionLength { layer: S::LAYER })?;
        let end = S::HEAD_BYTES + len;
        let value = bytes.get(S::HEAD_BYTES..end).ok_or(truncated(end))?;
        self.rest = bytes.get(end..).unwrap_or_default();
        if S::is_end(kind) {
            self.rest = &[];
        }
        Ok(Tlv { kind, value })
    }
}

impl<'a, S: Shape> Iterator for Tlvs<'a, S> {
    type Item = Result<Tlv<'a, S::Kind>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let step = self.step();
        if step.is_err() {
            self.rest = &[];
        }
        Some(step)
    }
}

impl<S: Shape> core::iter::FusedIterator for Tlvs<'_, S> {}

/// Geneve options, RFC 8926 section 3.5.
///
/// ```text
/// |          Option Class         |      Type     |R|R|R| Length  |
/// ```
#[derive(Clone, Copy, Debug)]
pub struct GeneveOptions;

/// What names a Geneve option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GeneveKind {
    /// Who defined it.
    pub class: u16,
    /// Type within the class.
    pub kind: u8,
}

impl GeneveKind {
    /// The highest bit of the type: drop the packet unless you understand this option.
    #[must_use]
    pub const fn is_critical(self) -> bool {
        self.kind & 0x80 != 0
    }
}

impl Shape for GeneveOptions {
    type Kind = GeneveKind;
    const LAYER: Layer = Layer::Geneve;
    const HEAD_BYTES: usize = 4;

    fn head(head: &[u8]) -> Option<(GeneveKind, usize)> {
        let &[high, low, kind, len] = head else { return None };
        let class = u16::from_be_bytes([high, low]);
        Some((GeneveKind { class, kind }, usize::from(len & 0x1f) * 4))
    }
}

/// Options of IPv6 neighbour discovery, RFC 4861 section 4.6.  The length counts 8 bytes, head
/// included; 0 "must be silently discarded", the whole packet with it.
#[derive(Clone, Copy, Debug)]
pub struct NdOptions;

impl Shape for NdOptions {
    type Kind = u8;
    const LAYER: Layer = Layer::Icmpv6;
    const HEAD_BYTES: usize = 2;

    fn head(head: &[u8]) -> Option<(u8, usize)> {
        let &[kind, len] = head else { return None };
        (usize::from(len) * 8).checked_sub(2).map(|len| (kind, len))
    }
}

/// TCP options, RFC 9293 section 3.1: the length counts the head; 0 ends and 1 is padding, both alone.
#[derive(Clone, Copy, Debug)]
pub struct TcpOptions;

impl Shape for TcpOptions {
    type Kind = u8;
    const LAYER: Layer = Layer::Tcp;
    const HEAD_BYTES: usize = 2;

    fn head(head: &[u8]) -> Option<(u8, usize)> {
        let &[kind, len] = head else { return None };
        usize::from(len).checked_sub(2).map(|len| (kind, len))
    }

    fn lone(first: u8) -> Option<u8> {
        (first < 2).then_some(first)
    }

    fn is_end(kind: u8) -> bool {
        kind == 0
    }
}

/// LLDP TLVs, IEEE 802.1AB section 8.4: seven bits of type and nine of length; type 0 ends.
#[derive(Clone, Copy, Debug)]
pub struct LldpTlvs;

impl Shape for LldpTlvs {
    type Kind = u8;
    const LAYER: Layer = Layer::Tlv;
    const HEAD_BYTES: usize = 2;

    fn head(head: &[u8]) -> Option<(u8, usize)> {
        let &[high, low] = head else { return None };
        Some((high >> 1, usize::from(u16::from_be_bytes([high & 1, low]))))
    }

    fn is_end(kind: u8) -> bool {
        kind == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The values of a list lie in order inside it and, with their heads, fill it up to an error or
    /// an end.
    fn check_walk<S: Shape>(bytes: &[u8]) {
        let mut at = 0;
        let mut steps = 0;
        for step in Tlvs::<S>::new(bytes) {
            steps += 1;
            let Ok(tlv) = step else { break };
            at += S::HEAD_BYTES;
            assert_eq!(tlv.value, &bytes[at..at + tlv.value.len()]);
            at += tlv.value.len();
        }
        assert!(at <= bytes.len() && steps <= bytes.len() / S::HEAD_BYTES + 1);
    }

    proptest! {
        #[test]
        fn survives_noise(noise in prop::collection::vec(any::<u8>(), 0..600)) {
            check_walk::<GeneveOptions>(&noise);
            check_walk::<NdOptions>(&noise);
            check_walk::<LldpTlvs>(&noise);
            let mut walk = Tlvs::<TcpOptions>::new(&noise);
            let mut before = noise.len();
            while let Some(Ok(option)) = walk.next() {
                let after = walk.rest().len();
                prop_assert!(after < before && option.value.len() < before);
                before = after;
            }
        }

        /// A list that was built is read back, and cut at any length fails but at entry bounds.
        #[test]
        fn reads_what_was_built(entries in prop::collection::vec((any::<u16>(), any::<u8>(), 0usize..32), 0..8)) {
            let (mut bytes, mut bounds) = (Vec::new(), vec![0]);
            for &(class, kind, words) in &entries {
                bytes.extend(class.to_be_bytes());
                bytes.extend([kind, 0xe0 | u8::try_from(words).unwrap()]);
                bytes.resize(bytes.len() + words * 4, kind);
                bounds.push(bytes.len());
            }
            let read: Result<Vec<_>, _> = Tlvs::<GeneveOptions>::new(&bytes).collect();
            let read: Vec<_> = read.unwrap().iter().map(|t| (t.kind.class, t.kind.kind, t.value.len() / 4)).collect();
            prop_assert_eq!(read, entries);
            for len in 0..bytes.len() {
                let is_whole = Tlvs::<GeneveOptions>::new(&bytes[..len]).all(|step| step.is_ok());
                prop_assert_eq!(is_whole, bounds.contains(&len), "at {}", len);
            }
        }
    }

    #[test]
    fn tcp_options_are_walked_past_padding_to_their_end() {
        // Padding, an MSS of 1460, end, and what is behind it.
        let mut walk = Tlvs::<TcpOptions>::new(&[1, 1, 2, 4, 5, 0xb4, 0, 2, 4]);
        let found: Vec<_> = walk.by_ref().map(|option| option.unwrap()).collect();
        let kinds: Vec<_> = found.iter().map(|option| option.kind).collect();
        assert_eq!(
            (kinds, found[2].value, walk.rest()),
            (vec![1, 1, 2, 0], &[5, 0xb4][..], &[][..])
        );
        for bad in [&[2, 0, 5][..], &[2, 1], &[2], &[3, 4, 0]] {
            assert!(Tlvs::<TcpOptions>::new(bad).next().unwrap().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_zero_nd_length_is_refused_and_ends_the_walk() {
        let mut walk = Tlvs::<NdOptions>::new(&[1, 0, 1, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(walk.next(), Some(Err(ParseError::OptionLength { layer: Layer::Icmpv6 })));
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn lldp_ends_at_its_end_and_keeps_unknown_types() {
        let bytes = [0xfe, 2, 9, 9, 0x02, 1, 7, 0, 0, 0xff, 0xff];
        let kinds: Vec<_> = Tlvs::<LldpTlvs>::new(&bytes).map(|t| t.unwrap().kind).collect();
        assert_eq!(kinds, [127, 1, 0]);
        // Nine bits of length.
        let mut long = vec![0x03, 0xff];
        long.resize(2 + 511, 0);
        assert_eq!(Tlvs::<LldpTlvs>::new(&long).next().unwrap().unwrap().value.len(), 511);
    }
}
