//! Actions that choose by hash: `bundle`, `multipath`.

use super::{port_text, subfield_text};
use crate::Names;
use weft_flow::action::{Bundle, BundleAlgorithm, HashFields, Multipath, MultipathAlgorithm};

fn hash_fields(fields: HashFields) -> &'static str {
    match fields {
        HashFields::EthSrc => "eth_src",
        HashFields::SymmetricL4 => "symmetric_l4",
        HashFields::SymmetricL3L4 => "symmetric_l3l4",
        HashFields::SymmetricL3L4Udp => "symmetric_l3l4+udp",
        HashFields::NwSrc => "nw_src",
        HashFields::NwDst => "nw_dst",
        HashFields::SymmetricL3 => "symmetric_l3",
    }
}

/// `bundle(eth_src,0,active_backup,ofport,members:1,2)`.
pub(super) fn bundle(of: &Bundle, names: &dyn Names) -> String {
    let algorithm = match of.algorithm {
        BundleAlgorithm::ActiveBackup => "active_backup",
        BundleAlgorithm::Hrw => "hrw",
    };
    let (name, destination) = match of.destination {
        Some(bits) => ("bundle_load", format!("{},", subfield_text(bits))),
        None => ("bundle", String::new()),
    };
    let members: Vec<_> = of.members.iter().map(|port| port_text(*port, names)).collect();
    format!(
        "{name}({},{},{algorithm},ofport,{destination}members:{})",
        hash_fields(of.fields),
        of.basis,
        members.join(",")
    )
}

/// `multipath(symmetric_l4,0,modulo_n,4,0,NXM_NX_REG0[])`.
pub(super) fn multipath(of: &Multipath) -> String {
    let algorithm = match of.algorithm {
        MultipathAlgorithm::ModuloN => "modulo_n",
        MultipathAlgorithm::HashThreshold => "hash_threshold",
        MultipathAlgorithm::Hrw => "hrw",
        MultipathAlgorithm::IterHash => "iter_hash",
    };
    format!(
        "multipath({},{},{algorithm},{},{},{})",
        hash_fields(of.fields),
        of.basis,
        u32::from(of.max_link) + 1,
        of.argument,
        subfield_text(of.destination)
    )
}
