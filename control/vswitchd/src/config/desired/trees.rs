//! Settings of spanning trees that make no sense: the state machines take their defaults or the nearest
//! value, and the operator hears of it here.

use super::{Bridge, Port, Reader, Rows};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use weft_wire::mac::MacAddr;

/// A key of `other_config`, what it may be, and what is said when it is something else.
pub(in crate::config) type Number = (&'static str, RangeInclusive<u64>, &'static str);

pub(in crate::config) const BRIDGE: [Number; 10] = [
    ("stp-priority", 0..=65_535, "no number from 0 to 65535"),
    ("stp-hello-time", 1..=10, "no number from 1 to 10"),
    ("stp-max-age", 6..=40, "no number from 6 to 40"),
    ("stp-forward-delay", 4..=30, "no number from 4 to 30"),
    ("rstp-priority", 0..=65_535, "no number from 0 to 65535"),
    ("rstp-ageing-time", 10..=1_000_000, "no number from 10 to 1000000"),
    ("rstp-max-age", 6..=40, "no number from 6 to 40"),
    ("rstp-forward-delay", 4..=30, "no number from 4 to 30"),
    ("rstp-transmit-hold-count", 1..=10, "no number from 1 to 10"),
    ("rstp-force-protocol-version", 0..=2, "no number from 0 to 2"),
];

pub(in crate::config) const PORT: [Number; 4] = [
    ("stp-port-priority", 0..=255, "no number from 0 to 255"),
    ("stp-path-cost", 0..=65_535, "no number from 0 to 65535"),
    ("rstp-port-priority", 0..=240, "no number from 0 to 240"),
    ("rstp-path-cost", 1..=200_000_000, "no number from 1 to 200000000"),
];

pub(in crate::config) const ADDRESSES: [&str; 2] = ["stp-system-id", "rstp-address"];

impl<R: Rows> Reader<'_, R> {
    /// Notes what of a bridge's `stp-*` and `rstp-*` cannot be taken as it is.
    pub(super) fn name_bad_tree_settings(&mut self, bridge: &Bridge) {
        self.name_bad_numbers(("Bridge", &bridge.name), &bridge.other_config, &BRIDGE);
        for key in ADDRESSES {
            let text = bridge.other_config.get(key);
            if let Some(text) = text.filter(|text| text.parse::<MacAddr>().is_err()) {
                let column = format!("other_config:{key}");
                self.problem(("Bridge", &bridge.name), &column, text, "no MAC address; ignored");
            }
        }
    }

    /// As [`Reader::name_bad_tree_settings`], of a port.
    pub(super) fn name_bad_port_settings(&mut self, port: &Port) {
        self.name_bad_numbers(("Port", port.name.as_str()), &port.other_config, &PORT);
    }

    fn name_bad_numbers(
        &mut self,
        row: (&'static str, &str),
        other_config: &BTreeMap<String, String>,
        numbers: &[Number],
    ) {
        for (key, range, problem) in numbers {
            let Some(text) = other_config.get(*key) else { continue };
            if !text.parse().is_ok_and(|number| range.contains(&number)) {
                self.problem(row, &format!("other_config:{key}"), text, problem);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Desired;
    use super::super::tests::Fake;
    use weft_ovsdb::Datum;

    fn problems(table: &str, row: u128, settings: &[(&str, &str)]) -> Vec<String> {
        let mut fake = Fake::new();
        fake.set(table, row, "other_config", Datum::map_of_strings(settings.iter().copied()));
        Desired::read(&fake).problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_cannot_be_taken_is_named() {
        let good = [("stp-priority", "0"), ("rstp-priority", "65535"), ("stp-max-age", "6")];
        assert_eq!(problems("Bridge", 2, &good), Vec::<String>::new());
        let bad = [("stp-priority", "65536"), ("stp-hello-time", "abc"), ("rstp-address", "zz")];
        assert_eq!(
            problems("Bridge", 2, &bad),
            [
                "Bridge br0: other_config:stp-priority=65536: no number from 0 to 65535",
                "Bridge br0: other_config:stp-hello-time=abc: no number from 1 to 10",
                "Bridge br0: other_config:rstp-address=zz: no MAC address; ignored",
            ]
        );
        assert_eq!(
            problems("Port", 3, &[("stp-path-cost", "-7"), ("rstp-path-cost", "1")]),
            ["Port p0: other_config:stp-path-cost=-7: no number from 0 to 65535"]
        );
    }
}
