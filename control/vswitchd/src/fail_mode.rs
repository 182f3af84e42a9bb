//! Which bridges forward, as `fail_mode` has it while nobody tells a bridge what to do.
//!
//! A bridge that is created with `fail_mode=secure`, or is found so when the daemon starts, forwards
//! nothing.  One that forwards already goes on when its mode becomes `secure`, until the next start:
//! `secure` keeps flows from being set up, and those that are there stay.  (Open vSwitch 3.1 empties
//! its table at once.)  Away from `secure`, a bridge forwards at once.

use crate::desired::{ConfigError, Desired};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Whether each bridge forwards now, by row.
#[derive(Debug, Default)]
pub struct FailModes(BTreeMap<Uuid, bool>);

impl FailModes {
    /// Lets bridges that forwarded before go on.
    pub fn apply(&mut self, desired: &mut Desired) {
        let mut now = BTreeMap::new();
        for bridge in desired.bridges.values_mut() {
            let forwarded = self.0.get(&bridge.uuid).copied();
            if forwarded == Some(true) && !bridge.forwards {
                bridge.forwards = true;
                desired.problems.push(ConfigError {
                    table: "Bridge",
                    row: bridge.name.clone(),
                    column: "fail_mode".to_owned(),
                    value: bridge.fail_mode.clone(),
                    problem: "in force from the next start on; until then the bridge forwards",
                });
            }
            now.insert(bridge.uuid, bridge.forwards);
        }
        self.0 = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::tests::Fake;
    use weft_ovsdb::Datum;

    /// Reads the rows, with the `fail_mode` of their only bridge; whether that forwards.
    fn forwards(modes: &mut FailModes, mode: &str) -> bool {
        let mut fake = Fake::new();
        fake.set("Bridge", 2, "fail_mode", Datum::string(mode));
        let mut desired = Desired::read(&fake);
        modes.apply(&mut desired);
        desired.bridges["br0"].forwards
    }

    #[test]
    fn a_bridge_that_forwards_goes_on_until_the_next_start() {
        let mut modes = FailModes::default();
        assert!(forwards(&mut modes, "standalone"));
        assert!(forwards(&mut modes, "secure"));
        assert!(forwards(&mut modes, "secure"));
        let mut started_anew = FailModes::default();
        assert!(!forwards(&mut started_anew, "secure"));
        assert!(!forwards(&mut started_anew, "secure"));
        assert!(forwards(&mut started_anew, "standalone"));
        assert!(forwards(&mut started_anew, "secure"));
    }

    #[test]
    fn a_bridge_that_was_deleted_is_forgotten() {
        let mut modes = FailModes::default();
        assert!(forwards(&mut modes, ""));
        modes.apply(&mut Desired::default());
        assert!(!forwards(&mut modes, "secure"));
    }
}
