//! What is true of all plans.

use super::*;
use proptest::prelude::*;

/// One interface of the property: its kind, and whether there is a device or a path for it.
fn any_world() -> impl Strategy<Value = (Desired, Observed)> {
    let one = (0u8..5, any::<bool>(), 0u32..3, prop::option::of(68u32..9000));
    (prop::collection::vec(one, 0..8), any::<bool>()).prop_map(|(choices, has_bridge)| {
        let mut observed = Observed::default();
        for (index, name) in ["eth0", "eth1", "eth2"].iter().enumerate() {
            with_device(&mut observed, name, 3 + u32::try_from(index).unwrap());
        }
        let mut interfaces = Vec::new();
        for (index, (kind, is_there, nic, mtu)) in choices.into_iter().enumerate() {
            let id = 20 + index as u128;
            let name = format!("if{index}");
            let kind = match kind {
                0 => Kind::System,
                1 => Kind::Internal,
                2 => Kind::Unusable("no".to_owned()),
                3 => Kind::Patch(format!("if{}", index ^ 1)),
                _ => {
                    let way = path(&format!("eth{nic}"), 3 + nic);
                    let way = if is_there { way } else { Path::none("no route") };
                    observed.paths.insert(Uuid::from_u128(id), way);
                    gre_to(&format!("10.0.0.{}", 2 + index % 3))
                }
            };
            if is_there && kind == Kind::System {
                with_device(&mut observed, &name, 40 + u32::try_from(index).unwrap());
            }
            interfaces.push(Interface { mtu_request: mtu, ..interface(id, &name, kind) });
        }
        if has_bridge {
            interfaces.push(local());
        }
        (desired(interfaces), observed)
    })
}

proptest! {
    /// Carrying a plan out leads to where nothing is left to do, in at most one more round (a
    /// device that is made by a plan can be adjusted only by the next one).
    #[test]
    fn plans_converge((wanted, observed) in any_world(), (before, _) in any_world()) {
        let first = plan(&before, &observed);
        let mut observed = carried_out(observed, &first);
        for _ in 0..2 {
            let next = plan(&wanted, &observed);
            observed = carried_out(observed, &next);
        }
        let last = plan(&wanted, &observed);
        prop_assert!(changes(&last).is_empty(), "{:?}", changes(&last));
    }

    /// Every interface ends as a port or with an error, never both, never neither.
    #[test]
    fn every_interface_has_a_fate((wanted, observed) in any_world()) {
        let plan = plan(&wanted, &observed);
        for (_, _, interface) in wanted.interfaces() {
            let runs = plan.ports.iter().any(|port| port.interface == interface.uuid);
            let failed = plan.failures.contains_key(&interface.uuid);
            prop_assert!(runs != failed, "{} {runs} {failed}", interface.name);
        }
    }

    /// No link is opened twice, and none is closed that is not open.
    #[test]
    fn steps_make_sense((wanted, observed) in any_world(), (before, _) in any_world()) {
        let first = plan(&before, &observed);
        let observed = carried_out(observed, &first);
        let next = plan(&wanted, &observed);
        let mut open: BTreeSet<&String> = observed.open.keys().collect();
        for step in &next.close {
            let Step::Close { name, .. } = step else { panic!("{step:?}") };
            prop_assert!(open.remove(name), "{name} was not open");
        }
        for step in &next.open {
            if let Step::OpenTap { name, .. } | Step::OpenPort { name, .. }
                | Step::OpenUnderlay { name, .. } = step {
                prop_assert!(open.insert(name), "{name} is open already");
            }
        }
    }
}
