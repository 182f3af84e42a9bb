//! Numbers that are the same in every run, and mutations made of them.

/// `SplitMix64`.
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// Changes, cuts or extends `data`.
    pub fn mutate(&mut self, data: &mut Vec<u8>) {
        const EDGES: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
        let at = self.below(data.len());
        match self.below(6) {
            0 if !data.is_empty() => data[at] = self.below(256).to_le_bytes()[0],
            1 if !data.is_empty() => data[at] ^= 1 << self.below(8),
            2 if !data.is_empty() => data[at] = EDGES[self.below(EDGES.len())],
            3 => data.truncate(at),
            4 => data.extend((0..self.below(40)).map(|n| if n % 3 == 0 { 0xff } else { 0x5a })),
            _ if data.len() < 2000 => data.insert(at, self.below(256).to_le_bytes()[0]),
            _ => {}
        }
    }
}
