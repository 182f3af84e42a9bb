//! Commands about Auto-Attach: which VLAN of a bridge goes by which service identifier (I-SID).

use super::Failure;
use super::command::{Call, Command, Context, Outcome, Run, command};
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_ovsdb::{Atom, Datum};

/// All of them.
pub const COMMANDS: &[Command] = &[
    command("add-aa-mapping", "BRIDGE I-SID VLAN", 3, 3, "", add),
    command("del-aa-mapping", "BRIDGE I-SID VLAN", 3, 3, "", delete),
    command("get-aa-mapping", "BRIDGE", 1, 1, "", list),
];

/// What a bridge maps.
struct Mappings {
    bridge: Uuid,
    /// The row that holds them, if there is one.
    row: Option<Uuid>,
    /// VLAN by I-SID.
    vlans: BTreeMap<i64, i64>,
}

impl Mappings {
    /// Those of a bridge; a fake one has those of its parent.
    fn read(context: &Context<'_, '_>, bridge: &str) -> Result<Self, Failure> {
        let bridge = context.topology()?.bridge(bridge)?.row;
        let row = context.model.get("Bridge", bridge, "auto_attach").as_uuid();
        let pairs = row.map(|row| context.model.get("AutoAttach", row, "mappings").pairs());
        let pairs = pairs.unwrap_or_default().iter();
        let vlans = pairs.filter_map(|(isid, vlan)| Some((isid.as_int()?, vlan.as_int()?)));
        Ok(Self { bridge, row, vlans: vlans.collect() })
    }

    fn write(self, context: &mut Context<'_, '_>) -> Run {
        let row = if let Some(row) = self.row {
            row
        } else {
            let row = context.model.make("AutoAttach")?;
            context.model.set("Bridge", self.bridge, "auto_attach", Datum::uuid(row));
            row
        };
        let pairs = self.vlans.into_iter();
        let pairs = pairs.map(|(isid, vlan)| (Atom::Integer(isid), Atom::Integer(vlan)));
        context.model.set("AutoAttach", row, "mappings", Datum::map(pairs.collect()));
        Outcome::silent()
    }
}

/// I-SID and VLAN; the server checks their ranges.
fn numbers(call: &Call) -> Result<(i64, i64), Failure> {
    let number = |index| {
        let text: &str = call.arg(index);
        text.parse().map_err(|_| Failure(format!("Invalid argument {text}")))
    };
    Ok((number(1)?, number(2)?))
}

/// A mapping that is there already stays as it is, as with ovs-vsctl.
fn add(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let mut mappings = Mappings::read(context, call.arg(0))?;
    let (isid, vlan) = numbers(call)?;
    mappings.vlans.entry(isid).or_insert(vlan);
    mappings.write(context)
}

/// Deletes the mapping given and no other; ovs-vsctl 3.1 also deletes others of the same VLAN.
fn delete(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let mut mappings = Mappings::read(context, call.arg(0))?;
    let (isid, vlan) = numbers(call)?;
    if mappings.vlans.get(&isid) != Some(&vlan) {
        return Outcome::silent();
    }
    mappings.vlans.remove(&isid);
    mappings.write(context)
}

fn list(context: &mut Context<'_, '_>, call: &Call) -> Run {
    let vlans = Mappings::read(context, call.arg(0))?.vlans.into_iter();
    Outcome::lines(vlans.map(|(isid, vlan)| format!("{isid} {vlan}")))
}
