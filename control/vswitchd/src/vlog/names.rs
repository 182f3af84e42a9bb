//! The words of `vlog/set`: modules, levels, facilities.

/// The modules that log, as `vlog/list` prints them (`build.rs` finds them).
pub(super) const MODULES: &[&str] = include!(concat!(env!("OUT_DIR"), "/modules.rs"));

/// Modules of a stock switch, and which of ours do their work.
const STOCK: [(&str, &[&str]); 27] = [
    ("bridge", &["apply", "config", "failures", "guards", "rows"]),
    ("ofproto", &["lower"]),
    ("ofproto_dpif", &["lower", "supervise"]),
    ("dpif", &["apply", "links"]),
    ("dpif_netdev", &["attach", "links", "xdp"]),
    ("tunnel", &["kernel", "underlay", "icmp_errors"]),
    ("netdev", &["apply", "kernel", "links"]),
    ("netdev_linux", &["apply", "kernel", "links"]),
    ("netdev_afxdp", &["attach", "links", "xdp"]),
    ("netdev_vport", &["icmp_errors"]),
    ("netlink", &["kernel"]),
    ("netlink_socket", &["kernel"]),
    ("netlink_notifier", &["events", "kernel"]),
    ("route_table", &["kernel"]),
    ("ovs_router", &["kernel"]),
    ("jsonrpc", &["endpoint", "session"]),
    ("stream_ssl", &["tls"]),
    ("stream_tcp", &["endpoint"]),
    ("stream_unix", &["endpoint"]),
    ("reconnect", &["manager"]),
    ("ovsdb_cs", &["rows"]),
    ("ovsdb_idl", &["rows"]),
    ("stp", &["spanning"]),
    ("rstp", &["spanning"]),
    ("system_stats", &["timed"]),
    ("vswitchd", &["main", "run", "store"]),
    ("daemon_unix", &["main"]),
];

/// The modules that `word` means: one of ours, or those that do the work of a stock module.
pub(super) fn modules(word: &str) -> Option<&'static [&'static str]> {
    let ours = MODULES.iter().position(|name| *name == word);
    ours.and_then(|index| MODULES.get(index..=index))
        .or_else(|| STOCK.iter().find(|(name, _)| *name == word).map(|(_, ours)| *ours))
}

/// Facilities of syslog by name (RFC 5424, table 1, and the names of syslog(3)).
const FACILITIES: [(&str, u8); 22] = [
    ("kern", 0),
    ("user", 1),
    ("mail", 2),
    ("daemon", 3),
    ("auth", 4),
    ("syslog", 5),
    ("lpr", 6),
    ("news", 7),
    ("uucp", 8),
    ("clock", 9),
    ("ftp", 11),
    ("ntp", 12),
    ("audit", 13),
    ("alert", 14),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

/// The number of a facility.
pub(super) fn facility(name: &str) -> Option<u8> {
    let mut all = FACILITIES.iter();
    all.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_logs_is_a_module() {
        for name in ["main", "kernel", "apply", "session", "attach", "xdp", "run", "net"] {
            assert_eq!(modules(name), Some(&[name][..]));
        }
        assert_eq!(modules("nosuch"), None);
    }

    #[test]
    fn stock_modules_are_made_of_ours() {
        for (stock, ours) in STOCK {
            assert!(!MODULES.contains(&stock), "{stock} is one of ours");
            assert!(!ours.is_empty());
            for name in ours {
                assert!(MODULES.contains(name), "{stock}: {name} does not log");
            }
        }
    }
}
