//! Geneve, RFC 8926.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |Ver|  Opt Len  |O|C|    Rsvd.  |          Protocol Type        |
//! |        Virtual Network Identifier (VNI)       |    Reserved   |
//! ~                    Variable-Length Options                    ~
//! ```

use crate::error::WriteError;
use crate::tlv::{GeneveKind, GeneveOptions, Tlvs};
use crate::{EtherType, Layer, ParseError, Vni};

/// Assigned UDP destination port.
pub const UDP_PORT: u16 = 6081;

/// Length of a header without options, in bytes.
pub const LEN_BYTES: usize = 8;

/// Bytes of options that a header can announce at most.
pub const OPTIONS_MAX_BYTES: usize = 252;

const CONTROL: u8 = 0x80;
const CRITICAL: u8 = 0x40;

/// A Geneve header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geneve<'a> {
    /// The overlay network.
    pub vni: Vni,
    /// What the payload is; [`EtherType::TEB`] for an Ethernet frame.
    pub protocol: EtherType,
    /// The O bit: for the endpoint's control plane; the payload must not be forwarded.
    pub is_control: bool,
    /// The C bit: some option is critical.  Written as the options say, not as this field does.
    pub has_critical: bool,
    /// Some option is critical indeed, whatever the C bit says.  Not written.
    pub has_critical_option: bool,
    /// The options, a multiple of 4 bytes.
    pub options: &'a [u8],
}

impl<'a> Geneve<'a> {
    /// A header without options.
    #[must_use]
    pub const fn new(vni: Vni, protocol: EtherType) -> Self {
        Self {
            vni,
            protocol,
            is_control: false,
            has_critical: false,
            has_critical_option: false,
            options: &[],
        }
    }

    /// Splits `bytes`, a UDP datagram, into header and payload.  Reserved bits are ignored, as
    /// section 3.4 wants.  The lengths of the options are checked, their meaning is not: see
    /// [`Geneve::refuse_critical`].
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`]; [`ParseError::UnsupportedVersion`]; [`ParseError::OptionLength`]
    /// when the options do not fill the announced space exactly.
    pub fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), ParseError> {
        let truncated = |need| ParseError::truncated(Layer::Geneve, need, bytes.len());
        let (&[first, flags, proto_high, proto_low, v1, v2, v3, _], rest) =
            bytes.split_first_chunk::<LEN_BYTES>().ok_or(truncated(LEN_BYTES))?;
        let version = first >> 6;
        if version != 0 {
            return Err(ParseError::UnsupportedVersion { layer: Layer::Geneve, version });
        }
        let options_bytes = usize::from(first & 0x3f) * 4;
        let (options, payload) =
            rest.split_at_checked(options_bytes).ok_or(truncated(LEN_BYTES + options_bytes))?;
        let mut geneve = Self {
            vni: Vni::from_wire([v1, v2, v3]),
            protocol: EtherType(u16::from_be_bytes([proto_high, proto_low])),
            is_control: flags & CONTROL != 0,
            has_critical: flags & CRITICAL != 0,
            has_critical_option: false,
            options,
        };
        for option in geneve.options() {
            match option {
                Ok(option) => geneve.has_critical_option |= option.kind.is_critical(),
                Err(_) => return Err(ParseError::OptionLength { layer: Layer::Geneve }),
            }
        }
        Ok((geneve, payload))
    }

    /// Walks the options.
    #[must_use]
    pub const fn options(&self) -> Tlvs<'a, GeneveOptions> {
        Tlvs::new(self.options)
    }

    /// Refuses a header, as it was parsed, with a critical option that `is_known` does not know, whether or not the
    /// C bit announced it.
    ///
    /// # Errors
    ///
    /// [`ParseError::CriticalOption`].
    pub fn refuse_critical(&self, is_known: impl Fn(GeneveKind) -> bool) -> Result<(), ParseError> {
        let refused = |kind: GeneveKind| kind.is_critical() && !is_known(kind);
        if self.has_critical_option && self.options().flatten().any(|option| refused(option.kind)) {
            return Err(ParseError::CriticalOption);
        }
        Ok(())
    }

    /// Length of this header with its options, in bytes.
    #[must_use]
    pub const fn header_len_bytes(&self) -> usize {
        LEN_BYTES + self.options.len()
    }

    /// Writes this header with its options to the front of `out`; returns its length.
    ///
    /// # Errors
    ///
    /// [`WriteError`] when `out` is too short, or the options are longer than 252 bytes or no
    /// multiple of 4.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WriteError> {
        let need_bytes = self.header_len_bytes();
        let too_long = WriteError::TooLong { layer: Layer::Geneve, len_bytes: self.options.len() };
        if !self.options.len().is_multiple_of(4) || self.options.len() > OPTIONS_MAX_BYTES {
            return Err(too_long);
        }
        let words = u8::try_from(self.options.len() / 4).map_err(|_| too_long)?;
        let short = WriteError::ShortBuffer { need_bytes, have_bytes: out.len() };
        let out = out.get_mut(..need_bytes).ok_or(short)?;
        let (fixed, options) = out.split_first_chunk_mut::<LEN_BYTES>().ok_or(short)?;
        let mut flags = if self.is_control { CONTROL } else { 0 };
        if self.options().flatten().any(|option| option.kind.is_critical()) {
            flags |= CRITICAL;
        }
        let [proto_high, proto_low] = self.protocol.0.to_be_bytes();
        let [v1, v2, v3] = self.vni.to_wire();
        *fixed = [words, flags, proto_high, proto_low, v1, v2, v3, 0];
        options.copy_from_slice(self.options);
        Ok(need_bytes)
    }
}

/// Strategies for property tests.
#[cfg(any(test, feature = "generators"))]
pub mod generators {
    use proptest::prelude::*;

    /// Well-formed options of at most 252 bytes.
    pub fn any_options() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec((any::<u16>(), any::<u8>(), 0u8..6), 0..8).prop_map(|entries| {
            let mut bytes = Vec::new();
            for (class, kind, words) in entries {
                bytes.extend(class.to_be_bytes());
                bytes.extend([kind, words]);
                bytes.resize(bytes.len() + usize::from(words) * 4, kind);
            }
            bytes
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vni::generators::any_vni;
    use proptest::prelude::*;

    fn written(geneve: &Geneve, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xee; geneve.header_len_bytes()];
        assert_eq!(geneve.write(&mut bytes), Ok(bytes.len()));
        bytes.extend(payload);
        bytes
    }

    proptest! {
        #[test]
        fn round_trips(vni in any_vni(), protocol: u16, is_control: bool,
            options in generators::any_options(), payload: Vec<u8>, reserved: u8, last: u8)
        {
            let geneve = Geneve { is_control, options: &options, ..Geneve::new(vni, EtherType(protocol)) };
            let mut bytes = written(&geneve, &payload);
            let has_critical = geneve.options().any(|o| o.unwrap().kind.is_critical());
            let geneve = Geneve { has_critical, has_critical_option: has_critical, ..geneve };
            prop_assert_eq!(Geneve::parse(&bytes), Ok((geneve, &payload[..])));
            prop_assert_eq!(geneve.refuse_critical(|_| false).is_err(), has_critical);
            prop_assert_eq!(geneve.refuse_critical(|_| true), Ok(()));
            // Reserved bits are ignored.
            bytes[1] |= reserved & 0x3f;
            bytes[7] = last;
            prop_assert_eq!(Geneve::parse(&bytes), Ok((geneve, &payload[..])));
            for len in 0..geneve.header_len_bytes() {
                prop_assert!(Geneve::parse(&bytes[..len]).is_err());
                prop_assert!(geneve.write(&mut vec![0; len]).is_err());
            }
        }

        /// Opt Len 0..63 words at every truncation point (CVE-2023-3966).
        #[test]
        fn opt_len_is_checked(noise in prop::collection::vec(any::<u8>(), 8..300), words in 0u8..64) {
            let mut noise = noise;
            noise[0] = words;
            if let Ok((geneve, payload)) = Geneve::parse(&noise) {
                prop_assert_eq!(geneve.options.len(), usize::from(words) * 4);
                prop_assert_eq!(geneve.header_len_bytes() + payload.len(), noise.len());
            }
        }

        #[test]
        fn other_versions_are_refused(version in 1u8..4, rest: [u8; 20]) {
            let mut bytes = rest;
            bytes[0] = version << 6;
            let error = ParseError::UnsupportedVersion { layer: Layer::Geneve, version };
            prop_assert_eq!(Geneve::parse(&bytes), Err(error));
        }
    }

    #[test]
    fn options_must_fill_their_space() {
        let short = [1, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 1, 5, 1, 0, 0, 0, 0];
        assert_eq!(Geneve::parse(&short), Err(ParseError::OptionLength { layer: Layer::Geneve }));
        let fits = [2, 0, 0x65, 0x58, 0, 0, 1, 0, 0, 1, 5, 1, 0, 0, 0, 0];
        assert!(Geneve::parse(&fits).is_ok());
    }

    #[test]
    fn options_that_do_not_fit_are_not_written() {
        let base = Geneve::new(Vni::MAX, EtherType::TEB);
        for len in [1, 3, 253, 256] {
            let options = vec![0; len];
            let error = WriteError::TooLong { layer: Layer::Geneve, len_bytes: len };
            assert_eq!(Geneve { options: &options, ..base }.write(&mut [0; 300]), Err(error));
        }
    }
}
