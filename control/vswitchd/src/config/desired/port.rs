//! Reads rows of Port and Interface.

use super::reader::{Reader, port_number};
use super::{Interface, Kind, Port, Rows, patch};
use crate::config::ignored;
use crate::config::names::PortName;
use crate::config::tunnel::{self, TunnelType};
use uuid::Uuid;
use weft_ovsdb::Datum;
use weft_wire::mac::MacAddr;

impl<R: Rows> Reader<'_, R> {
    pub(super) fn port(&mut self, uuid: Uuid) -> Port {
        let name = self.text("Port", uuid, "name");
        let mut interfaces: Vec<_> = self
            .references("Port", uuid, "interfaces")
            .into_iter()
            .map(|interface| self.interface(interface))
            .collect();
        let missed = ignored::missed(self.rows, "Port", uuid);
        for interface in &mut interfaces {
            interface.missed.extend_from_slice(&missed);
        }
        if interfaces.len() > 1 {
            for interface in &mut interfaces {
                interface.kind = Kind::Unusable(format!(
                    "{}: bonds are not supported yet: give port {name} one interface",
                    interface.name
                ));
            }
        }
        let vlan = self.vlan(uuid, &name);
        let split_horizon = self.key("Port", uuid, "other_config", "split-horizon");
        Port {
            uuid,
            name: PortName::new(name),
            vlan,
            split_horizon: split_horizon.filter(|group| !group.is_empty()),
            other_config: self.map("Port", uuid, "other_config"),
            interfaces,
        }
    }

    fn interface(&mut self, uuid: Uuid) -> Interface {
        const TABLE: &str = "Interface";
        let name = self.text(TABLE, uuid, "name");
        let type_name = self.text(TABLE, uuid, "type");
        let kind = match type_name.as_str() {
            "" | "system" => Kind::System,
            // Both are TAPs of ours, as in a stock switch without a kernel module.
            "internal" | "tap" => Kind::Internal,
            "patch" => match patch::peer(&name, &self.map(TABLE, uuid, "options")) {
                Ok(peer) => Kind::Patch(peer),
                Err(text) => Kind::Unusable(text),
            },
            other => match TunnelType::named(other) {
                Some(kind) => self.tunnel(uuid, &name, kind),
                None => Kind::Unusable(unusable(&name, other)),
            },
        };
        let mac = self.rows.datum(TABLE, uuid, "mac").and_then(Datum::as_str).map(str::to_owned);
        let mac = mac.and_then(|text| {
            let mac = text.parse::<MacAddr>().ok().filter(|mac| !mac.is_group() && !mac.is_zero());
            if mac.is_none() {
                let problem = "not the address of one station; ignored";
                self.problem((TABLE, &name), "mac", &text, problem);
            }
            mac
        });
        Interface {
            uuid,
            kind,
            ofport_request: port_number(self.rows, uuid, "ofport_request"),
            mtu_request: self
                .number(TABLE, uuid, "mtu_request")
                .and_then(|mtu| u32::try_from(mtu).ok()),
            mac,
            missed: ignored::missed(self.rows, TABLE, uuid),
            name,
            type_name,
        }
    }

    fn tunnel(&mut self, uuid: Uuid, name: &str, kind: TunnelType) -> Kind {
        let options = self.map("Interface", uuid, "options");
        match tunnel::read(kind, name, &options) {
            Ok((tunnel, ignored)) => {
                for (key, value, why) in ignored {
                    self.problem(("Interface", name), &format!("options:{key}"), &value, why);
                }
                Kind::Tunnel(tunnel)
            }
            Err(text) => Kind::Unusable(text),
        }
    }
}

/// What stands in `Interface.error` for a type that cannot be set up.
fn unusable(name: &str, type_name: &str) -> String {
    match type_name {
        "ipsec_gre" => format!(
            "{name}: type ipsec_gre is the old spelling of type=gre with options:psk; IPsec is not \
             supported yet: use type=gre without psk for a tunnel in the clear"
        ),
        "erspan" | "ip6erspan" | "lisp" | "stt" | "gtpu" | "bareudp" | "srv6" => {
            format!(
                "{name}: tunnels of type {type_name} are not supported yet: use geneve, vxlan or gre"
            )
        }
        "tap" => format!("{name}: type tap is not supported yet: use internal"),
        "dpdk" | "dpdkvhostuser" | "dpdkvhostuserclient" | "afxdp" | "afxdp-nonpmd" => format!(
            "{name}: type {type_name} is not needed: leave the type empty, the datapath uses AF_XDP"
        ),
        _ => format!(
            "could not open network device {name} (Address family not supported by protocol)"
        ),
    }
}
