//! GRE: over IPv4 or IPv6, with or without a key.

use super::kinds::TunnelKind;
use weft_switch::Encap;

pub(super) const GRE: TunnelKind = TunnelKind {
    name: "gre",
    options: &["seq", "packet_type"],
    udp_port: None,
    encap: |_| Encap::Gre,
    check: |_| Ok(()),
};

pub(super) const IP6GRE: TunnelKind = TunnelKind { name: "ip6gre", ..GRE };
