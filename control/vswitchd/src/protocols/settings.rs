//! `other_config` of bridges and ports, as settings of the control protocols.
//!
//! What cannot be taken as it is has its default or the nearest value here; the reader of the
//! configuration names it in the log.

use crate::config::columns;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use weft_io::ethtool::Medium;
use weft_protocols::mcast::SnoopingPort;
use weft_protocols::rstp::{self, RstpPortSettings, RstpSettings};
use weft_protocols::stp::{self, StpPortSettings, StpSettings};
use weft_wire::mac::MacAddr;
use weft_wire::stp::BridgeIdentifier;

/// A column `other_config`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys<'a>(pub &'a BTreeMap<String, String>);

impl<'a> Keys<'a> {
    fn text(self, key: &str) -> Option<&'a str> {
        debug_assert!(
            ["Bridge", "Port"].iter().any(|table| columns::has_key(table, "other_config", key)),
            "{key} is read: say so in columns.rs"
        );
        self.0.get(key).map(String::as_str)
    }

    /// A number as OVS reads it: decimal, or hex behind `0x`.
    fn number(self, key: &str) -> Option<u64> {
        let text = self.text(key)?.trim();
        match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        }
    }

    /// A number in `range`, or none.
    fn in_range<T: TryFrom<u64>>(self, key: &str, range: RangeInclusive<u64>) -> Option<T> {
        let number = self.number(key).filter(|number| range.contains(number))?;
        T::try_from(number).ok()
    }

    /// A truth value as OVS reads it: `true` in any case is true; when the default is true, only
    /// `false` is false.
    fn flag(self, key: &str, default: bool) -> bool {
        match self.text(key) {
            Some(text) if default => !text.eq_ignore_ascii_case("false"),
            Some(text) => text.eq_ignore_ascii_case("true"),
            None => default,
        }
    }

    fn address(self, key: &str) -> Option<MacAddr> {
        self.text(key)?.parse().ok()
    }

    /// `stp-*` of a bridge; `address` is its own.  A time that is out of range has the nearest legal
    /// value.
    pub(super) fn stp(self, address: MacAddr) -> StpSettings {
        let default = StpSettings::new(address);
        let priority = self.in_range("stp-priority", 0..=0xffff).unwrap_or(0x8000);
        let secs = |key, default: u8| {
            let wish = self.number(key).unwrap_or(default.into());
            u8::try_from(wish).unwrap_or(u8::MAX)
        };
        let address = self.address("stp-system-id").unwrap_or(address);
        StpSettings {
            identifier: BridgeIdentifier::new(priority, address),
            hello_time_secs: secs("stp-hello-time", default.hello_time_secs),
            max_age_secs: secs("stp-max-age", default.max_age_secs),
            forward_delay_secs: secs("stp-forward-delay", default.forward_delay_secs),
        }
        .sane()
    }

    /// `stp-port-priority` and `stp-path-cost` of a port with that number.
    pub(super) fn stp_port(
        self,
        number: u8,
        source: MacAddr,
        is_up: bool,
        medium: &Medium,
    ) -> StpPortSettings {
        let cost = self.in_range("stp-path-cost", 0..=0xffff);
        StpPortSettings {
            priority: self.in_range("stp-port-priority", 0..=0xff).unwrap_or(128),
            path_cost: cost.unwrap_or_else(|| stp::path_cost(medium.speed_mbps)),
            is_up,
            ..StpPortSettings::new(number, source)
        }
    }

    /// `rstp-*` of a bridge; `address` is its own.  A priority is rounded down to a multiple of 4096.
    pub(super) fn rstp(self, address: MacAddr) -> RstpSettings {
        let default = RstpSettings::new(address);
        let priority = self.in_range("rstp-priority", 0..=0xffff).unwrap_or(0x8000);
        let small = |key, range, default| self.in_range(key, range).unwrap_or(default);
        let address = self.address("rstp-address").unwrap_or(address);
        RstpSettings {
            identifier: BridgeIdentifier::new(priority, address),
            max_age_secs: small("rstp-max-age", 6..=40, default.max_age_secs),
            forward_delay_secs: small("rstp-forward-delay", 4..=30, default.forward_delay_secs),
            transmit_hold_count: small(
                "rstp-transmit-hold-count",
                1..=10,
                default.transmit_hold_count,
            ),
            force_stp: self.number("rstp-force-protocol-version") == Some(0),
            aging_time_secs: self.in_range("rstp-ageing-time", 10..=1_000_000),
        }
        .sane()
    }

    /// `rstp-port-*`, `rstp-path-cost` and `rstp-admin-*` of a port with that number.  The link is
    /// point-to-point (`rstp-admin-p2p-mac`) when that is 1 or absent, and as the link is when it is
    /// 2; a medium that says nothing (a tunnel, a patch port) is full duplex.
    pub(super) fn rstp_port(
        self,
        number: u16,
        source: MacAddr,
        is_up: bool,
        medium: &Medium,
    ) -> RstpPortSettings {
        let priority: u8 = self.in_range("rstp-port-priority", 0..=240).unwrap_or(128);
        let cost = self.in_range("rstp-path-cost", 1..=200_000_000);
        RstpPortSettings {
            priority: priority & 0xf0,
            path_cost: cost.unwrap_or_else(|| rstp::path_cost(medium.speed_mbps)),
            is_up: is_up && self.flag("rstp-admin-port-state", true),
            admin_edge: self.flag("rstp-port-admin-edge", false),
            auto_edge: self.flag("rstp-port-auto-edge", true),
            point_to_point: match self.number("rstp-admin-p2p-mac") {
                Some(0) => false,
                Some(2) => medium.is_full_duplex.unwrap_or(true),
                _ => true,
            },
            mcheck: self.flag("rstp-port-mcheck", false),
            ..RstpPortSettings::new(number, source)
        }
    }

    /// `mcast-snooping-flood` and `mcast-snooping-flood-reports` of a port.
    pub(super) fn snooping_port(self) -> SnoopingPort {
        SnoopingPort {
            floods: self.flag("mcast-snooping-flood", false),
            floods_reports: self.flag("mcast-snooping-flood-reports", false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

    fn column(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn stp_is_read_as_ovs_reads_it() {
        let read = |pairs: &[(&str, &str)]| Keys(&column(pairs)).stp(ADDRESS);
        assert_eq!(read(&[]), StpSettings::new(ADDRESS));
        let set = read(&[
            ("stp-priority", "0x7000"),
            ("stp-system-id", "00:11:22:33:44:55"),
            ("stp-hello-time", "1"),
            ("stp-max-age", "6"),
            ("stp-forward-delay", "4"),
        ]);
        assert_eq!(set.identifier.to_string(), "7000.001122334455");
        assert_eq!((set.hello_time_secs, set.max_age_secs, set.forward_delay_secs), (1, 6, 4));
        let wild =
            read(&[("stp-hello-time", "999"), ("stp-max-age", "x"), ("stp-forward-delay", "0")]);
        assert_eq!(
            (wild.hello_time_secs, wild.max_age_secs, wild.forward_delay_secs),
            (10, 22, 12)
        );

        let keys = column(&[("stp-port-priority", "16"), ("stp-path-cost", "77")]);
        let medium = Medium { speed_mbps: Some(1000), ..Medium::default() };
        let port = Keys(&keys).stp_port(3, ADDRESS, true, &medium);
        assert_eq!((port.identifier().0, port.path_cost), (0x1003, 77));
        let plain = Keys(&BTreeMap::new()).stp_port(3, ADDRESS, false, &medium);
        assert_eq!((plain.identifier().0, plain.path_cost, plain.is_up), (0x8003, 4, false));
    }

    #[test]
    fn rstp_is_read_as_ovs_reads_it() {
        let keys = column(&[
            ("rstp-priority", "4097"),
            ("rstp-max-age", "40"),
            ("rstp-forward-delay", "5"),
            ("rstp-force-protocol-version", "0"),
            ("rstp-transmit-hold-count", "11"),
        ]);
        let set = Keys(&keys).rstp(ADDRESS);
        assert_eq!(set.identifier.priority(), 4096);
        let numbers = (set.max_age_secs, set.forward_delay_secs, set.transmit_hold_count);
        assert_eq!(numbers, (40, 21, 6));
        assert!(set.force_stp);

        let keys = column(&[
            ("rstp-port-priority", "100"),
            ("rstp-port-admin-edge", "TRUE"),
            ("rstp-port-auto-edge", "false"),
            ("rstp-admin-p2p-mac", "2"),
        ]);
        let medium = Medium { speed_mbps: Some(1000), is_full_duplex: Some(false) };
        let port = Keys(&keys).rstp_port(0x123, ADDRESS, true, &medium);
        assert_eq!((port.identifier().0, port.priority, port.path_cost), (0x6123, 0x60, 20_000));
        assert!(port.admin_edge && !port.auto_edge && !port.point_to_point && port.is_up);
        let down = column(&[("rstp-admin-port-state", "False")]);
        let plain = Keys(&down).rstp_port(1, ADDRESS, true, &Medium::default());
        assert!(!plain.is_up && plain.auto_edge && plain.point_to_point);
    }

    #[test]
    fn snooping_is_read_as_ovs_reads_it() {
        let keys =
            column(&[("mcast-snooping-flood", "TRUE"), ("mcast-snooping-flood-reports", "1")]);
        let wanted = SnoopingPort { floods: true, floods_reports: false };
        assert_eq!(Keys(&keys).snooping_port(), wanted);
    }
}
