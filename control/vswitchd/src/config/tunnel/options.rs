//! `Interface.options` of tunnels, checked.  Error texts are those of Open vSwitch 3.1 where it has
//! one; a value that it would silently misread is an error here.

use super::kinds::TunnelType;
use super::{OutKey, Tunnel};
use std::collections::BTreeMap;
use std::net::IpAddr;
use weft_switch::{Csum, Encap, InKey, Local, OrInherit};
use weft_wire::Vni;

/// An option that is not acted on: its name, its value, and why.
pub type Ignored = (String, String, &'static str);

/// Reads the options of interface `name`.
///
/// # Errors
/// The text for `Interface.error`.
pub fn read(
    kind: TunnelType,
    name: &str,
    options: &BTreeMap<String, String>,
) -> Result<(Tunnel, Vec<Ignored>), String> {
    let mut options = Options { kind, name, map: options, ignored: Vec::new() };
    options.note_unknown();
    options.refuse_missing_capabilities()?;
    let (remote, local) = options.addresses()?;
    let (in_key, out_key) = (options.key("in_key")?, options.key("out_key")?);
    let tunnel = Tunnel {
        kind,
        encap: options.encap()?,
        remote,
        local,
        in_key: match in_key {
            OutKey::Flow => InKey::Any,
            OutKey::Number(key) => InKey::Exact(key),
            OutKey::Absent => InKey::default(),
        },
        out_key,
        csum: match options.flag("csum") {
            Some(true) => Csum::On,
            Some(false) => Csum::Off,
            None => Csum::Auto,
        },
        has_sequence: kind.has_option("seq") && options.flag("seq") == Some(true),
        ttl: options.ttl()?,
        tos: options.tos(),
        df: options.flag("df_default") != Some(false),
    };
    Ok((tunnel, options.ignored))
}

/// The options of one interface, while they are read.
pub(super) struct Options<'a> {
    kind: TunnelType,
    pub(super) name: &'a str,
    map: &'a BTreeMap<String, String>,
    ignored: Vec<Ignored>,
}

impl<'a> Options<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.map.get(key).map(String::as_str)
    }

    pub(super) fn ignore(&mut self, key: &str, value: &str, why: &'static str) {
        self.ignored.push((key.to_owned(), value.to_owned(), why));
    }

    /// `bad gre 'key'`, the stock text, and what it holds.
    fn bad(&self, key: &str, what: &str) -> String {
        let value = self.get(key).unwrap_or_default();
        format!("{}: bad {} '{key}': {value} is not {what}", self.name, self.kind.name())
    }

    /// What is neither `true` nor `false` is the default, as with Open vSwitch; but it is said.
    fn flag(&mut self, key: &str) -> Option<bool> {
        let text = self.get(key)?;
        match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.ignore(key, text, "neither true nor false; the default is used");
                None
            }
        }
    }

    /// An IPv4 address that is written as an IPv6 one (RFC 4291 section 2.5.5.2) is an IPv4 one.
    fn address(text: &str) -> Option<IpAddr> {
        text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }

    fn note_unknown(&mut self) {
        for (key, value) in self.map {
            if !self.kind.has_option(key) {
                self.ignore(key, value, "unknown option; ignored");
            }
        }
    }

    /// Options that ask for something that is not there: a tunnel without it would be another one.
    fn refuse_missing_capabilities(&mut self) -> Result<(), String> {
        let name = self.name;
        for key in ["psk", "remote_cert", "remote_name"] {
            if self.get(key).is_some() {
                return Err(format!(
                    "{name}: options:{key} asks for IPsec, which is not supported yet: remove it \
                     for a tunnel in the clear"
                ));
            }
        }
        if let Some(mark) = self.get("egress_pkt_mark").filter(|mark| number(mark) != Some(0)) {
            return Err(format!(
                "{name}: options:egress_pkt_mark={mark} asks for a packet mark, which is not \
                 supported: tunnel packets do not pass through the kernel's policy rules; remove it"
            ));
        }
        (self.kind.kind().check)(self)?;
        match self.get("packet_type") {
            None | Some("legacy_l2") => Ok(()),
            Some("legacy_l3" | "ptap") => Err(format!(
                "{name}: options:packet_type={} carries packets without Ethernet header, which \
                 needs flow tables: not supported yet",
                self.get("packet_type").unwrap_or_default()
            )),
            Some(_) if !self.kind.has_option("packet_type") => Ok(()),
            Some(other) => Err(format!("{name}: unknown packet_type '{other}'")),
        }
    }

    fn addresses(&self) -> Result<(Option<IpAddr>, Local), String> {
        let (name, kind) = (self.name, self.kind.name());
        let missing = format!("{name}: {kind} type requires valid 'remote_ip' argument");
        let remote = match self.get("remote_ip") {
            None => return Err(missing),
            Some("flow") => None,
            Some(text) => match Self::address(text) {
                Some(address) if !address.is_unspecified() => Some(address),
                _ => return Err(format!("{name}: bad {kind} 'remote_ip'\n{missing}")),
            },
        };
        if let Some(remote) = remote.filter(IpAddr::is_multicast) {
            return Err(format!("{name}: multicast remote_ip={remote} not allowed"));
        }
        let local = match self.get("local_ip") {
            None => Local::Any,
            Some("flow") if remote.is_some() => {
                return Err(format!(
                    "{name}: {kind} type requires 'remote_ip=flow' with 'local_ip=flow'"
                ));
            }
            Some("flow") => Local::Flow,
            Some(text) => match Self::address(text) {
                Some(address) if address.is_unspecified() => Local::Any,
                Some(address) => Local::Address(address),
                None => return Err(self.bad("local_ip", "an address")),
            },
        };
        if let (Some(remote), Local::Address(local)) = (remote, local)
            && local.is_ipv4() != remote.is_ipv4()
        {
            return Err(format!(
                "{name}: 'remote_ip' and 'local_ip' has to be of the same address family"
            ));
        }
        Ok((remote, local))
    }

    /// A key: what `specific` says, else what `key` says.
    fn key(&self, specific: &str) -> Result<OutKey, String> {
        let (key, text) = match (self.get(specific), self.get("key")) {
            (Some(text), _) => (specific, text),
            (None, Some(text)) => ("key", text),
            (None, None) => return Ok(OutKey::Absent),
        };
        if text == "flow" {
            return Ok(OutKey::Flow);
        }
        let number = number(text).ok_or_else(|| self.bad(key, "a 32-bit number or flow"))?;
        if self.kind.udp_port().is_some() && Vni::try_from(number).is_err() {
            return Err(self.bad(key, "a VNI, 0 to 16777215"));
        }
        Ok(OutKey::Number(number))
    }

    fn encap(&self) -> Result<Encap, String> {
        let kind = self.kind.kind();
        let Some(default) = kind.udp_port else { return Ok((kind.encap)(0)) };
        let port = self.get("dst_port").map(|text| {
            let port = text.parse::<u16>().ok().filter(|port| *port != 0);
            port.ok_or_else(|| self.bad("dst_port", "a UDP port, 1 to 65535"))
        });
        Ok((kind.encap)(port.transpose()?.unwrap_or(default)))
    }

    fn ttl(&self) -> Result<OrInherit, String> {
        match self.get("ttl") {
            None | Some("0") => Ok(OrInherit::Value(64)),
            Some("inherit") => Ok(OrInherit::Inherit),
            Some(text) => {
                let ttl = text.parse().map(OrInherit::Value);
                ttl.map_err(|_| self.bad("ttl", "1 to 255 or inherit"))
            }
        }
    }

    /// The ECN bits come from the inner packet, so they must be zero.
    fn tos(&mut self) -> OrInherit {
        match self.get("tos") {
            None => OrInherit::Value(0),
            Some("inherit") => OrInherit::Inherit,
            Some(text) => {
                let tos = number(text).and_then(|number| u8::try_from(number).ok());
                if let Some(tos) = tos.filter(|tos| tos.trailing_zeros() >= 2) {
                    return OrInherit::Value(tos);
                }
                self.ignore("tos", text, "not a DSCP with ECN bits of zero; 0 is used");
                OrInherit::Value(0)
            }
        }
    }
}

/// A number: decimal, octal after `0`, or hexadecimal after `0x`.
#[must_use]
pub fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (text.get(2..)?, 16),
        [b'0', _, ..] => (text.get(1..)?, 8),
        _ => (text, 10),
    };
    // `from_str_radix` takes a sign.
    digits.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(())?;
    u32::from_str_radix(digits, radix).ok()
}
