//! Rows of Mirror.

use super::vlan::vid;
use super::{Port, Reader, Rows};
use crate::config::names::PortName;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use weft_ovsdb::Datum;
use weft_switch::VidSet;
use weft_switch::bridge::MIRRORS_MAX;
use weft_wire::vid::Vid;

pub(super) const TABLE: &str = "Mirror";

/// One row of Mirror that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Its row.
    pub uuid: Uuid,
    /// `name`, for people.
    pub name: String,
    /// `select_src_port`, or all.
    pub sources: Selection,
    /// `select_dst_port`, or all.
    pub targets: Selection,
    /// `select_vlan`; `None` is all.
    pub vlans: Option<VidSet>,
    /// Where copies go.
    pub output: Output,
    /// `snaplen`, bytes.
    pub snaplen: Option<u16>,
}

/// The ports that a mirror watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All: `select_all`.
    All,
    /// Rows of Port, of the same bridge.
    Ports(Vec<Uuid>),
}

/// Where the copies of a mirror go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A row of Port, of the same bridge.
    Port(Uuid),
    /// A VLAN.
    Vlan(Vid),
}

impl<R: Rows> Reader<'_, R> {
    /// The mirrors of a bridge with these ports.  One that cannot be used is left out, as Open
    /// vSwitch does, and named in the log.
    pub(super) fn mirrors(
        &mut self,
        bridge: Uuid,
        ports: &BTreeMap<PortName, Arc<Port>>,
    ) -> Vec<Mirror> {
        let rows = self.references("Bridge", bridge, "mirrors");
        let mut mirrors: Vec<_> = rows.iter().filter_map(|row| self.mirror(*row, ports)).collect();
        for mirror in mirrors.split_off(mirrors.len().min(MIRRORS_MAX)) {
            let name = self.text(TABLE, mirror.uuid, "name");
            let problem = "a bridge has at most 32 mirrors; ignored";
            self.problem((TABLE, &name), "name", &name, problem);
        }
        mirrors
    }

    fn mirror(&mut self, uuid: Uuid, ports: &BTreeMap<PortName, Arc<Port>>) -> Option<Mirror> {
        let output = self.mirror_output(uuid, ports)?;
        let is_all = self.flag(TABLE, uuid, "select_all");
        let mut selection = |column| {
            if is_all { Selection::All } else { self.mirrored_ports(uuid, column, ports) }
        };
        let (sources, targets) = (selection("select_src_port"), selection("select_dst_port"));
        let vlans = self.vlan_set(TABLE, uuid, "select_vlan");
        let snaplen = self.number(TABLE, uuid, "snaplen").and_then(|n| u16::try_from(n).ok());
        let name = self.text(TABLE, uuid, "name");
        Some(Mirror { uuid, name, sources, targets, vlans, output, snaplen })
    }

    /// `output_port` wins over `output_vlan`.
    fn mirror_output(
        &mut self,
        uuid: Uuid,
        ports: &BTreeMap<PortName, Arc<Port>>,
    ) -> Option<Output> {
        let name = self.text(TABLE, uuid, "name");
        let port = self.references(TABLE, uuid, "output_port").first().copied();
        let vlan = self.number(TABLE, uuid, "output_vlan");
        let mut problem = |column, value: &str, problem| {
            self.problem((TABLE, &name), column, value, problem);
            None
        };
        match (port, vlan) {
            (Some(port), vlan) => {
                if let Some(vlan) = vlan {
                    let text = "output_port is set, too; output_vlan is ignored";
                    problem("output_vlan", &vlan.to_string(), text);
                }
                if ports.values().any(|other| other.uuid == port) {
                    return Some(Output::Port(port));
                }
                let port = self.text("Port", port, "name");
                let text = "not a port of the mirror's bridge; the mirror is ignored";
                self.problem((TABLE, &name), "output_port", &port, text);
                None
            }
            (None, vlan) => match vlan.and_then(vid) {
                Some(vid) => Some(Output::Vlan(vid)),
                None => {
                    problem("output_port", "[]", "no output_vlan either; the mirror is ignored")
                }
            },
        }
    }

    fn mirrored_ports(
        &mut self,
        uuid: Uuid,
        column: &str,
        ports: &BTreeMap<PortName, Arc<Port>>,
    ) -> Selection {
        let mut selected = self.references(TABLE, uuid, column);
        selected.retain(|port| {
            let is_here = ports.values().any(|other| other.uuid == *port);
            if !is_here {
                let (name, port) =
                    (self.text(TABLE, uuid, "name"), self.text("Port", *port, "name"));
                let problem = "not a port of the mirror's bridge; left out";
                self.problem((TABLE, &name), column, &port, problem);
            }
            is_here
        });
        Selection::Ports(selected)
    }

    /// A column of VLAN numbers; `None` when it is empty.
    pub(super) fn vlan_set(&self, table: &str, row: Uuid, column: &str) -> Option<VidSet> {
        let numbers = self.rows.datum(table, row, column).filter(|datum| !datum.is_empty())?;
        Some(Datum::integers(numbers).filter_map(vid).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::desired::Desired;
    use crate::config::desired::tests::Fake;

    /// A bridge with port `p0` (row 3) and mirror `m0` (row 5) with these columns.
    fn read(columns: &[(&str, Datum)]) -> (Option<Mirror>, Vec<String>) {
        let mut fake = Fake::new();
        let mut all = vec![("name", Datum::string("m0"))];
        all.extend(columns.iter().cloned());
        fake.row("Mirror", 5, &all);
        fake.row("Port", 9, &[("name", Datum::string("p9"))]);
        fake.set("Bridge", 2, "mirrors", Datum::set_of_uuids([Uuid::from_u128(5)]));
        let mut desired = Desired::read(&fake);
        let mirror = desired.bridges.get_mut("br0").unwrap().mirrors.pop();
        (mirror, desired.problems.iter().map(ToString::to_string).collect())
    }

    fn port(row: u128) -> Datum {
        Datum::set_of_uuids([Uuid::from_u128(row)])
    }

    #[test]
    fn columns_are_read() {
        let vlans = Datum::set(vec![weft_ovsdb::Atom::Integer(7), weft_ovsdb::Atom::Integer(4095)]);
        let (mirror, problems) = read(&[
            ("select_src_port", port(3)),
            ("select_vlan", vlans),
            ("output_vlan", Datum::integer(99)),
            ("snaplen", Datum::integer(100)),
        ]);
        let mirror = mirror.unwrap();
        assert_eq!(mirror.sources, Selection::Ports(vec![Uuid::from_u128(3)]));
        assert_eq!(mirror.targets, Selection::Ports(vec![]));
        assert_eq!(mirror.output, Output::Vlan(Vid::new(99).unwrap()));
        assert_eq!(mirror.snaplen, Some(100));
        let vids: Vec<_> = mirror.vlans.unwrap().iter().map(Vid::get).collect();
        assert_eq!(vids, [7, 4095]);
        assert_eq!(problems, [""; 0]);
        let (mirror, _) = read(&[("select_all", Datum::boolean(true)), ("output_port", port(3))]);
        assert_eq!(mirror.unwrap().targets, Selection::All);
    }

    #[test]
    fn a_mirror_that_cannot_be_is_named() {
        let bad = |columns: &[(&str, Datum)], problem: &str| {
            let (mirror, problems) = read(columns);
            assert_eq!(problems, [format!("Mirror m0: {problem}")]);
            mirror
        };
        let none = "output_port=[]: no output_vlan either; the mirror is ignored";
        assert!(bad(&[], none).is_none());
        let far = "output_port=p9: not a port of the mirror's bridge; the mirror is ignored";
        assert!(bad(&[("output_port", port(9))], far).is_none());
        let both = [("output_port", port(3)), ("output_vlan", Datum::integer(5))];
        let text = "output_vlan=5: output_port is set, too; output_vlan is ignored";
        assert_eq!(bad(&both, text).unwrap().output, Output::Port(Uuid::from_u128(3)));
        let source = [("select_src_port", port(9)), ("output_port", port(3))];
        let text = "select_src_port=p9: not a port of the mirror's bridge; left out";
        assert_eq!(bad(&source, text).unwrap().sources, Selection::Ports(vec![]));
    }
}
