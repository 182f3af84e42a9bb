//! `ct(…)` and `nat(…)`.

use super::super::ReadError;
use super::super::words::{word, words};
use super::{Reader, nested, number, table, unknown};
use crate::read::field::subfield;
use std::net::{IpAddr, Ipv6Addr};
use weft_flow::Action;
use weft_flow::action::{Ct, Nat, NatAddresses, ZoneSource};

/// `commit,zone=5,nat(…),exec(…)`.
pub(super) fn ct(text: &str, reader: &Reader<'_>) -> Result<Action, ReadError> {
    let mut of = Ct {
        commits: false,
        forces: false,
        zone: ZoneSource::Value(0),
        table: None,
        helper: 0,
        actions: Box::default(),
    };
    let mut nat = None;
    let mut sets = Vec::new();
    for part in words(text).map(word) {
        match part.name {
            "commit" => of.commits = true,
            "force" => of.forces = true,
            "table" => of.table = Some(table(part.argument, reader.names)?),
            "zone" => {
                of.zone = match number(part.argument, "zone") {
                    Ok(zone) => ZoneSource::Value(zone),
                    Err(_) => ZoneSource::Field(subfield(part.argument)?),
                };
            }
            "alg" => of.helper = helper(part.argument)?,
            "nat" => nat = Some(self::nat(part.argument)?),
            "exec" => sets = nested(part.argument, reader)?.into_vec(),
            other => return Err(unknown("ct", other)),
        }
    }
    of.actions = nat.into_iter().chain(sets).collect();
    Ok(Action::Ct(Box::new(of)))
}

fn helper(text: &str) -> Result<u16, ReadError> {
    match text {
        "ftp" => Ok(21),
        "tftp" => Ok(69),
        _ => Err(ReadError::Invalid { value: text.to_owned(), expected: "alg" }),
    }
}

/// `src=10.0.0.1-10.0.0.9:1000-2000,random`.
pub(super) fn nat(text: &str) -> Result<Action, ReadError> {
    let mut of = Nat::default();
    for part in words(text) {
        let (name, range) = part.split_once('=').unwrap_or((part, ""));
        match name {
            "src" | "dst" => {
                of.flags.source = name == "src";
                of.flags.destination = name == "dst";
                (of.addresses, of.ports) = self::range(range)?;
            }
            "persistent" => of.flags.persistent = true,
            "hash" => of.flags.hashes_ports = true,
            "random" => of.flags.random_ports = true,
            other => return Err(unknown("nat", other)),
        }
    }
    Ok(Action::Nat(Box::new(of)))
}

/// The first port, and the last if another was given.
type Ports = Option<(u16, Option<u16>)>;

fn range(text: &str) -> Result<(NatAddresses, Ports), ReadError> {
    let invalid = || ReadError::Invalid { value: text.to_owned(), expected: "NAT range" };
    if text.is_empty() {
        return Ok((NatAddresses::None, None));
    }
    // Ports are behind the last colon, when it is not one inside an IPv6 address.
    let is_plain_v6 = !text.contains('[') && text.matches(':').count() > 1;
    let (addresses, ports) = match text.rsplit_once(':') {
        Some((addresses, ports)) if !is_plain_v6 && !ports.contains(']') => (addresses, ports),
        _ => (text, ""),
    };
    let (first, last) = match addresses.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (addresses, None),
    };
    let address =
        |text: &str| text.trim_matches(['[', ']']).parse::<IpAddr>().map_err(|_| invalid());
    let first = address(first)?;
    let last = last.map(address).transpose()?;
    let addresses = match (first, last) {
        (IpAddr::V4(first), None) => NatAddresses::V4(first.octets(), None),
        (IpAddr::V4(first), Some(IpAddr::V4(last))) => {
            NatAddresses::V4(first.octets(), Some(last.octets()))
        }
        (IpAddr::V6(first), last) => {
            let last = match last {
                Some(IpAddr::V6(last)) => Some(last),
                None => None,
                Some(IpAddr::V4(_)) => return Err(invalid()),
            };
            NatAddresses::V6(first.octets(), last.as_ref().map(Ipv6Addr::octets))
        }
        (IpAddr::V4(_), Some(IpAddr::V6(_))) => return Err(invalid()),
    };
    if ports.is_empty() {
        return Ok((addresses, None));
    }
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (first, Some(last)),
        None => (ports, None),
    };
    let last = last.map(|last| number(last, "NAT range")).transpose()?;
    Ok((addresses, Some((number(first, "NAT range")?, last))))
}
