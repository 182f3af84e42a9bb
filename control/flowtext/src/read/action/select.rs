//! Actions that choose by hash: `bundle`, `multipath`.

use super::super::{ReadError, port_from};
use super::number;
use crate::Names;
use crate::read::field::subfield;
use weft_flow::Action;
use weft_flow::action::{Bundle, BundleAlgorithm, HashFields, Multipath, MultipathAlgorithm};

fn hash_fields(text: &str) -> Option<HashFields> {
    Some(match text {
        "eth_src" => HashFields::EthSrc,
        "symmetric_l4" => HashFields::SymmetricL4,
        "symmetric_l3l4" => HashFields::SymmetricL3L4,
        "symmetric_l3l4+udp" => HashFields::SymmetricL3L4Udp,
        "nw_src" => HashFields::NwSrc,
        "nw_dst" => HashFields::NwDst,
        "symmetric_l3" => HashFields::SymmetricL3,
        _ => return None,
    })
}

/// `eth_src,0,active_backup,ofport,members:1,2`; with a destination before the members.
pub(super) fn bundle(text: &str, loads: bool, names: &dyn Names) -> Result<Action, ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "bundle" };
    let (head, members) =
        text.split_once("members:").or_else(|| text.split_once("slaves:")).ok_or_else(invalid)?;
    let mut parts = head.split(',').map(str::trim);
    let mut next = || parts.next().unwrap_or_default();
    let fields = hash_fields(next()).ok_or_else(invalid)?;
    let basis = number(next(), "bundle")?;
    let algorithm = match next() {
        "active_backup" => BundleAlgorithm::ActiveBackup,
        "hrw" | "highest_random_weight" => BundleAlgorithm::Hrw,
        _ => return Err(invalid()),
    };
    if next() != "ofport" {
        return Err(invalid());
    }
    let destination = if loads { Some(subfield(next())?) } else { None };
    let members = members.split(',').map(str::trim).filter(|member| !member.is_empty());
    let members: Option<Box<[_]>> = members.map(|member| port_from(member, names)).collect();
    let members = members.ok_or_else(invalid)?;
    Ok(Action::Bundle(Box::new(Bundle { fields, basis, algorithm, members, destination })))
}

/// `symmetric_l4,0,modulo_n,4,0,NXM_NX_REG0[]`.
pub(super) fn multipath(text: &str) -> Result<Action, ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "multipath" };
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let [fields, basis, algorithm, links, argument, destination] = parts.as_slice() else {
        return Err(invalid());
    };
    let algorithm = match *algorithm {
        "modulo_n" => MultipathAlgorithm::ModuloN,
        "hash_threshold" => MultipathAlgorithm::HashThreshold,
        "hrw" => MultipathAlgorithm::Hrw,
        "iter_hash" => MultipathAlgorithm::IterHash,
        _ => return Err(invalid()),
    };
    let links: u32 = number(links, "multipath")?;
    let max_link = links.checked_sub(1).and_then(|max| u16::try_from(max).ok());
    Ok(Action::Multipath(Box::new(Multipath {
        fields: hash_fields(fields).ok_or_else(invalid)?,
        basis: number(basis, "multipath")?,
        algorithm,
        max_link: max_link.ok_or_else(invalid)?,
        argument: number(argument, "multipath")?,
        destination: subfield(destination)?,
    })))
}
