//! The map of tunnel options: which option each `tun_metadata` field stands for.

use crate::Field;
use crate::request::Refusal;

/// An option of a tunnel, as its header names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TlvOption {
    /// Who gave out the type.
    pub class: u16,
    /// The type, with the bit that says whether it is critical.
    pub kind: u8,
    /// How many bytes it has: a multiple of 4, at most [`TlvMap::MAX_OPTION_BYTES`].
    pub bytes: u8,
}

/// Which options the fields `tun_metadata0` to `tun_metadata63` of a bridge stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlvMap {
    /// By number of the field, ascending.
    options: Vec<(u8, TlvOption)>,
}

impl TlvMap {
    /// How many fields there are.
    pub const FIELDS: u8 = 64;
    /// How many bytes all options may have together.
    pub const MAX_BYTES: u16 = 256;
    /// How many bytes one option may have.
    pub const MAX_OPTION_BYTES: u8 = 124;

    /// A map without options.
    #[must_use]
    pub const fn new() -> Self {
        Self { options: Vec::new() }
    }

    /// The options with the numbers of their fields, ascending.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u8, TlvOption)> + '_ {
        self.options.iter().copied()
    }

    /// The option that the field with a number stands for.
    #[must_use]
    pub fn get(&self, number: u8) -> Option<TlvOption> {
        let at = self.options.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        self.options.get(at).map(|(_, option)| *option)
    }

    /// The number of the field that stands for an option.
    #[must_use]
    pub fn find(&self, class: u16, kind: u8) -> Option<u8> {
        let is = |option: &TlvOption| option.class == class && option.kind == kind;
        self.options.iter().find(|(_, option)| is(option)).map(|(number, _)| *number)
    }

    /// How many bytes all options have together.
    #[must_use]
    pub fn bytes(&self) -> u16 {
        self.options.iter().map(|(_, option)| u16::from(option.bytes)).sum()
    }

    /// How many bytes a field has: those of its option, or of the field itself when it is none.
    ///
    /// # Errors
    /// The field is an option that is not in the map.
    pub fn bytes_of(&self, field: Field) -> Result<usize, Refusal> {
        let Some(number) = field.tun_metadata_number() else { return Ok(field.bytes()) };
        let option = self.get(number).ok_or(Refusal::InvalidTlvField)?;
        Ok(option.bytes.into())
    }

    /// The map with these options added.
    ///
    /// # Errors
    /// A length that no option has, a field that there is not, a field or an option twice, or no
    /// room.  Then none is added.
    pub fn with(&self, added: &[(u8, TlvOption)]) -> Result<Self, Refusal> {
        if added.iter().any(|(_, option)| !option.has_good_length()) {
            return Err(Refusal::TlvBadOptLen);
        }
        let mut map = self.clone();
        for (number, option) in added {
            map.add(*number, *option)?;
        }
        Ok(map)
    }

    fn add(&mut self, number: u8, option: TlvOption) -> Result<(), Refusal> {
        if number >= Self::FIELDS {
            return Err(Refusal::TlvBadFieldIdx);
        }
        let Err(at) = self.options.binary_search_by_key(&number, |(number, _)| *number) else {
            return Err(Refusal::TlvAlreadyMapped);
        };
        if self.find(option.class, option.kind).is_some() {
            return Err(Refusal::TlvDupEntry);
        }
        if self.bytes() + u16::from(option.bytes) > Self::MAX_BYTES {
            return Err(Refusal::TlvTableFull);
        }
        self.options.insert(at, (number, option));
        Ok(())
    }

    /// The map without the options of these fields; one that is not there is no error.
    #[must_use]
    pub fn without(&self, numbers: &[u8]) -> Self {
        let kept = self.options.iter().filter(|(number, _)| !numbers.contains(number));
        Self { options: kept.copied().collect() }
    }
}

impl TlvOption {
    const fn has_good_length(self) -> bool {
        self.bytes.is_multiple_of(4) && self.bytes <= TlvMap::MAX_OPTION_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::{TlvMap, TlvOption};
    use crate::Field;
    use crate::request::Refusal;

    const fn option(class: u16, kind: u8, bytes: u8) -> TlvOption {
        TlvOption { class, kind, bytes }
    }

    fn ovn() -> TlvMap {
        TlvMap::new().with(&[(0, option(0x102, 0x80, 4))]).unwrap()
    }

    #[test]
    fn options_are_found_from_both_sides() {
        let map = ovn().with(&[(63, option(1, 2, 0)), (5, option(1, 3, 124))]).unwrap();
        assert_eq!(map.get(5), Some(option(1, 3, 124)));
        assert_eq!(map.find(0x102, 0x80), Some(0));
        assert_eq!(map.iter().map(|(number, _)| number).collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(map.bytes(), 128);
        assert_eq!(map.bytes_of(Field::tun_metadata(5).unwrap()), Ok(124));
        assert_eq!(map.bytes_of(Field::reg(5).unwrap()), Ok(4));
        let unmapped = Field::tun_metadata(6).unwrap();
        assert_eq!(map.bytes_of(unmapped), Err(Refusal::InvalidTlvField));
        assert_eq!(map.without(&[5, 63, 7]), ovn());
    }

    #[test]
    fn additions_are_refused_as_open_vswitch_does() {
        let map = ovn();
        let add = |number, class, kind, bytes| map.with(&[(number, option(class, kind, bytes))]);
        assert_eq!(add(1, 1, 1, 128), Err(Refusal::TlvBadOptLen));
        assert_eq!(add(1, 1, 1, 6), Err(Refusal::TlvBadOptLen));
        assert_eq!(add(64, 1, 1, 4), Err(Refusal::TlvBadFieldIdx));
        assert_eq!(add(0, 1, 1, 4), Err(Refusal::TlvAlreadyMapped));
        assert_eq!(add(1, 0x102, 0x80, 4), Err(Refusal::TlvDupEntry));
        let wide = [(1, option(1, 1, 124)), (2, option(1, 2, 124)), (3, option(1, 3, 8))];
        assert_eq!(map.with(&wide), Err(Refusal::TlvTableFull));
        assert_eq!(map.with(&wide[..2]).map(|map| map.bytes()), Ok(252));
    }
}
