//! `Interface.options` of tunnels, checked.  Error texts are those of Open vSwitch 3.1 where it has
//! one; a value that it would silently misread is an error here.

use std::collections::BTreeMap;
use std::net::IpAddr;
use weft_switch::{Csum, Encap, InKey, Local, OrInherit, TunnelConf};
use weft_wire::{Vni, geneve, vxlan};

/// `Interface.type` of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TunnelType {
    /// GRE over IPv4 or IPv6.
    Gre,
    /// The same on the wire: the addresses say which IP it is, as with Open vSwitch.
    Ip6Gre,
    /// Geneve.
    Geneve,
    /// VXLAN.
    Vxlan,
}

impl TunnelType {
    /// All of them, by name.
    pub const ALL: [Self; 4] = [Self::Geneve, Self::Gre, Self::Ip6Gre, Self::Vxlan];

    /// As it is written in the database.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gre => "gre",
            Self::Ip6Gre => "ip6gre",
            Self::Geneve => "geneve",
            Self::Vxlan => "vxlan",
        }
    }

    /// Options that this type knows.
    pub fn options(self) -> impl Iterator<Item = &'static str> {
        let own: &[_] = match self {
            Self::Gre | Self::Ip6Gre => &["seq", "packet_type"],
            Self::Geneve => &["dst_port"],
            Self::Vxlan => &["dst_port", "exts", "packet_type"],
        };
        COMMON_OPTIONS.iter().chain(own).copied()
    }
}

const COMMON_OPTIONS: [&str; 13] = [
    "remote_ip",
    "local_ip",
    "key",
    "in_key",
    "out_key",
    "csum",
    "tos",
    "ttl",
    "df_default",
    "egress_pkt_mark",
    "psk",
    "remote_cert",
    "remote_name",
];

/// A tunnel, as its options say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `type`.
    pub kind: TunnelType,
    /// `type` and `dst_port`.
    pub encap: Encap,
    /// `remote_ip`; `None` is `flow`.
    pub remote: Option<IpAddr>,
    /// `local_ip`.
    pub local: Local,
    /// `in_key` or `key`.
    pub in_key: InKey,
    /// `out_key` or `key`.
    pub out_key: OutKey,
    /// `csum`.
    pub csum: Csum,
    /// `seq`.
    pub has_sequence: bool,
    /// `ttl`.
    pub ttl: OrInherit,
    /// `tos`.
    pub tos: OrInherit,
    /// `df_default`.
    pub df: bool,
}

/// The key that is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutKey {
    /// None: GRE has no key field, others VNI 0.
    Absent,
    /// This one.
    Number(u32),
    /// What a flow says; 0 as long as none does.
    Flow,
}

/// What makes two tunnels the same: the datapath could not tell whose a packet is.
pub type Identity = (Encap, Option<IpAddr>, Local, InKey);

/// An option that is not acted on: its name, its value, and why.
pub type Ignored = (String, String, &'static str);

impl Tunnel {
    /// What tells it from others.
    #[must_use]
    pub const fn identity(&self) -> Identity {
        (self.encap, self.remote, self.local, self.in_key)
    }

    /// The tunnel for the datapath, without a way to send.
    #[must_use]
    pub fn conf(&self) -> TunnelConf {
        let mut conf = TunnelConf::new(self.encap, self.remote);
        conf.local = self.local;
        conf.in_key = self.in_key;
        conf.out_key = match self.out_key {
            OutKey::Absent => None,
            OutKey::Number(key) => Some(key),
            OutKey::Flow => Some(0),
        };
        conf.csum = self.csum;
        conf.has_sequence = self.has_sequence;
        conf.ttl = self.ttl;
        conf.tos = self.tos;
        conf.df = self.df;
        conf
    }

    /// True when its packets may come by UDP over IPv6.
    #[must_use]
    pub fn takes_udp6(&self) -> bool {
        self.encap.udp_port().is_some() && self.remote.is_none_or(|remote| remote.is_ipv6())
    }

    /// The largest inner IP packet when the largest outer one is `outer_mtu`, bytes.
    #[must_use]
    pub fn effective_mtu(&self, outer_mtu: u32) -> u32 {
        outer_mtu.saturating_sub(u32::try_from(self.conf().overhead_bytes()).unwrap_or(u32::MAX))
    }

    /// What only flows could do for this tunnel, if anything; for `Interface.status`.
    #[must_use]
    pub fn awaits_flows(&self) -> Option<&'static str> {
        match (self.remote, self.local, self.in_key, self.out_key) {
            (None, ..) | (_, Local::Flow, ..) => Some(
                "receives from any address; sending to addresses that flows choose awaits flow tables",
            ),
            (.., OutKey::Flow) => {
                Some("sends key 0; sending keys that flows choose awaits flow tables")
            }
            (.., InKey::Any, _) => Some("accepts any key; telling them apart awaits flow tables"),
            _ => None,
        }
    }

    /// The options that differ from the defaults, as `dpif/show` prints them: `csum=false` is none there.
    #[must_use]
    pub fn shown(&self) -> String {
        let mut options = BTreeMap::new();
        let remote = self.remote.map_or_else(|| "flow".to_owned(), |remote| remote.to_string());
        options.insert("remote_ip", remote);
        match self.local {
            Local::Any => {}
            Local::Address(address) => drop(options.insert("local_ip", address.to_string())),
            Local::Flow => drop(options.insert("local_ip", "flow".to_owned())),
        }
        self.show_keys(&mut options);
        if self.csum == Csum::On {
            options.insert("csum", "true".to_owned());
        }
        for (name, value, default) in [("tos", self.tos, 0), ("ttl", self.ttl, 64)] {
            match value {
                OrInherit::Inherit => drop(options.insert(name, "inherit".to_owned())),
                OrInherit::Value(value) if value == default => {}
                OrInherit::Value(value) if name == "tos" => {
                    options.insert(name, format!("{value:#x}"));
                }
                OrInherit::Value(value) => drop(options.insert(name, value.to_string())),
            }
        }
        if let Some(port) = self.encap.udp_port()
            && Some(port) != default_port(self.kind)
        {
            options.insert("dst_port", port.to_string());
        }
        if !self.df {
            options.insert("df_default", "false".to_owned());
        }
        if self.has_sequence {
            options.insert("seq", "true".to_owned());
        }
        options.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
    }

    fn show_keys(&self, options: &mut BTreeMap<&'static str, String>) {
        let out = match self.out_key {
            OutKey::Absent => None,
            OutKey::Number(key) => Some(key.to_string()),
            OutKey::Flow => Some("flow".to_owned()),
        };
        let in_key = match self.in_key {
            InKey::Any => "flow".to_owned(),
            InKey::Exact(key) => key.to_string(),
        };
        match out {
            Some(out) if out == in_key => drop(options.insert("key", out)),
            None if in_key == "0" => {}
            out => {
                if in_key != "0" {
                    options.insert("in_key", in_key);
                }
                options.extend(out.map(|out| ("out_key", out)));
            }
        }
    }
}

const fn default_port(kind: TunnelType) -> Option<u16> {
    match kind {
        TunnelType::Gre | TunnelType::Ip6Gre => None,
        TunnelType::Geneve => Some(geneve::UDP_PORT),
        TunnelType::Vxlan => Some(vxlan::UDP_PORT),
    }
}

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
        has_sequence: default_port(kind).is_none() && options.flag("seq") == Some(true),
        ttl: options.ttl()?,
        tos: options.tos(),
        df: options.flag("df_default") != Some(false),
    };
    Ok((tunnel, options.ignored))
}

struct Options<'a> {
    kind: TunnelType,
    name: &'a str,
    map: &'a BTreeMap<String, String>,
    ignored: Vec<Ignored>,
}

impl<'a> Options<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.map.get(key).map(String::as_str)
    }

    fn ignore(&mut self, key: &str, value: &str, why: &'static str) {
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
            if !self.kind.options().any(|known| known == key) {
                self.ignore(key, value, "unknown option; ignored");
            }
        }
        for extension in self.get("exts").unwrap_or_default().split(',') {
            if self.kind == TunnelType::Vxlan && !matches!(extension, "" | "gbp" | "gpe") {
                self.ignore("exts", extension, "unknown extension; ignored");
            }
        }
    }

    /// Options that ask for something that is not there: a tunnel without it would be another one.
    fn refuse_missing_capabilities(&self) -> Result<(), String> {
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
        let asked = self.get("exts").filter(|_| self.kind == TunnelType::Vxlan);
        for extension in asked.unwrap_or_default().split(',') {
            if matches!(extension, "gbp" | "gpe") {
                return Err(format!(
                    "{name}: options:exts={extension} needs flow tables, which are not supported \
                     yet: remove it for plain VXLAN"
                ));
            }
        }
        match self.get("packet_type") {
            None | Some("legacy_l2") => Ok(()),
            Some("legacy_l3" | "ptap") => Err(format!(
                "{name}: options:packet_type={} carries packets without Ethernet header, which \
                 needs flow tables: not supported yet",
                self.get("packet_type").unwrap_or_default()
            )),
            Some(_) if self.kind == TunnelType::Geneve => Ok(()),
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
        if default_port(self.kind).is_some() && Vni::try_from(number).is_err() {
            return Err(self.bad(key, "a VNI, 0 to 16777215"));
        }
        Ok(OutKey::Number(number))
    }

    fn encap(&self) -> Result<Encap, String> {
        let Some(default) = default_port(self.kind) else { return Ok(Encap::Gre) };
        let port = self.get("dst_port").map(|text| {
            let port = text.parse::<u16>().ok().filter(|port| *port != 0);
            port.ok_or_else(|| self.bad("dst_port", "a UDP port, 1 to 65535"))
        });
        let udp_port = port.transpose()?.unwrap_or(default);
        Ok(match self.kind {
            TunnelType::Geneve => Encap::Geneve { udp_port },
            _ => Encap::Vxlan { udp_port },
        })
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

#[cfg(test)]
mod tests;
