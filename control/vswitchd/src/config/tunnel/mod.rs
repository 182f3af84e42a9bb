//! Tunnels, as `Interface.type` and `Interface.options` say.

mod geneve;
mod gre;
mod kinds;
mod options;
mod shown;
mod vxlan;

pub use kinds::TunnelType;
pub use options::{Ignored, number, read};
use std::net::IpAddr;
use weft_switch::{Csum, Encap, InKey, Local, OrInherit, TunnelConf};

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
}

#[cfg(test)]
mod tests;
