//! The kernel's links, found by number and by name.

use super::Link;
use std::collections::{BTreeMap, HashMap};

/// All links.  A name belongs to one link at a time.
#[derive(Default)]
pub(super) struct LinkTable {
    by_number: BTreeMap<u32, Link>,
    numbers: HashMap<String, u32>,
}

impl LinkTable {
    /// Takes in what a link is like now.
    pub fn insert(&mut self, link: Link) {
        if self.by_number.get(&link.ifindex).is_some_and(|old| old.name != link.name) {
            self.remove(link.ifindex);
        }
        self.numbers.insert(link.name.clone(), link.ifindex);
        self.by_number.insert(link.ifindex, link);
    }

    /// Takes a link out.
    pub fn remove(&mut self, ifindex: u32) -> Option<Link> {
        let link = self.by_number.remove(&ifindex)?;
        // Another link may have the name by now.
        if self.numbers.get(&link.name) == Some(&ifindex) {
            self.numbers.remove(&link.name);
        }
        Some(link)
    }

    /// The link with this number.
    pub fn get(&self, ifindex: u32) -> Option<&Link> {
        self.by_number.get(&ifindex)
    }

    /// The same, to be changed; its name and number stay.
    pub fn get_mut(&mut self, ifindex: u32) -> Option<&mut Link> {
        self.by_number.get_mut(&ifindex)
    }

    /// The link with this name.
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.get(*self.numbers.get(name)?)
    }

    /// All links, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Link> {
        self.by_number.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES: [&str; 4] = ["a", "b", "c", "d"];

    fn link(ifindex: u32, name: &str) -> Link {
        Link { ifindex, name: name.to_owned(), ..Link::default() }
    }

    proptest! {
        /// Links come, are renamed and go, as a kernel says it: what a name finds is what a look at
        /// all links finds.
        #[test]
        fn a_name_finds_the_link_that_has_it(steps in prop::collection::vec((0..6_u32, 0..5_usize), 0..60)) {
            let mut table = LinkTable::default();
            for (ifindex, choice) in steps {
                match NAMES.get(choice) {
                    None => drop(table.remove(ifindex)),
                    Some(name) if table.iter().all(|it| it.name != **name || it.ifindex == ifindex) => {
                        table.insert(link(ifindex, name));
                    }
                    Some(_) => {}
                }
                for name in NAMES {
                    let found = table.named(name).map(|link| link.ifindex);
                    let there = table.iter().find(|link| link.name == name).map(|link| link.ifindex);
                    prop_assert_eq!(found, there);
                }
            }
        }
    }
}
