//! The tunnel options that have no word in a key: few packets have any.

/// Options by number and word, those of which a bit is set, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options(Vec<(u16, u128)>);

impl Options {
    pub(super) fn get(&self, name: u16) -> u128 {
        match self.0.binary_search_by_key(&name, |(name, _)| *name) {
            Ok(at) => self.0.get(at).map_or(0, |(_, value)| *value),
            Err(_) => 0,
        }
    }

    pub(super) fn set(&mut self, name: u16, value: u128) {
        match self.0.binary_search_by_key(&name, |(name, _)| *name) {
            Ok(at) if value == 0 => drop(self.0.remove(at)),
            Ok(at) => {
                if let Some(option) = self.0.get_mut(at) {
                    option.1 = value;
                }
            }
            Err(_) if value == 0 => {}
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u16, u128)> + '_ {
        self.0.iter().copied()
    }
}
