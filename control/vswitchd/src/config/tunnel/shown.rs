//! A tunnel as commands print it.

use super::{OutKey, Tunnel};
use std::collections::BTreeMap;
use weft_switch::{Csum, InKey, Local, OrInherit};

impl Tunnel {
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
            && Some(port) != self.kind.udp_port()
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
