//! The fields that matches are written with, found once by their names.

use std::sync::LazyLock;
use weft_flow::Field;

macro_rules! names {
    ($($name:ident),* $(,)?) => {
        /// Fields by name; none is missing.
        pub(super) struct Names {
            $(pub(super) $name: Option<Field>,)*
        }

        /// The fields.
        pub(super) static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
            $($name: Field::by_name(stringify!($name)),)*
        });

        #[cfg(test)]
        mod tests {
            #[test]
            fn all_names_are_fields() {
                $(assert!(super::NAMES.$name.is_some(), stringify!($name));)*
            }
        }
    };
}

names!(
    packet_type,
    dp_hash,
    recirc_id,
    conj_id,
    in_port,
    in_port_oxm,
    actset_output,
    eth_src,
    eth_dst,
    eth_type,
    vlan_tci,
    vlan_vid,
    vlan_pcp,
    mpls_tc,
    mpls_bos,
    mpls_ttl,
    mpls_label,
    ip_src,
    ip_dst,
    ipv6_src,
    ipv6_dst,
    ipv6_label,
    ip_frag,
    nw_tos,
    ip_dscp,
    nw_ecn,
    nw_ttl,
    nw_proto,
    arp_op,
    arp_spa,
    arp_tpa,
    arp_sha,
    arp_tha,
    tcp_src,
    tcp_dst,
    tcp_flags,
    udp_src,
    udp_dst,
    sctp_src,
    sctp_dst,
    icmp_type,
    icmp_code,
    icmpv6_type,
    icmpv6_code,
    nd_target,
    nd_sll,
    nd_tll,
    nd_reserved,
    nd_options_type,
    tun_id,
    tun_flags,
    tun_src,
    tun_dst,
    tun_ipv6_src,
    tun_ipv6_dst,
    tun_gbp_id,
    tun_gbp_flags,
    tun_erspan_ver,
    tun_erspan_idx,
    tun_erspan_dir,
    tun_erspan_hwid,
    tun_gtpu_flags,
    tun_gtpu_msgtype,
    pkt_mark,
    ct_state,
    ct_zone,
    ct_mark,
    ct_label,
    ct_nw_proto,
    ct_nw_src,
    ct_nw_dst,
    ct_ipv6_src,
    ct_ipv6_dst,
    ct_tp_src,
    ct_tp_dst,
    metadata,
);
