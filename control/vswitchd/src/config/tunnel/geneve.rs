//! Geneve.

use super::kinds::TunnelKind;
use weft_switch::Encap;
use weft_wire::geneve::UDP_PORT;

pub(super) const GENEVE: TunnelKind = TunnelKind {
    name: "geneve",
    options: &["dst_port"],
    udp_port: Some(UDP_PORT),
    encap: |udp_port| Encap::Geneve { udp_port },
    check: |_| Ok(()),
};
