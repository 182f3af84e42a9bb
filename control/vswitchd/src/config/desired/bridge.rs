//! Reads rows of Bridge.

use super::reader::Reader;
use super::{Bridge, Protocol, Rows};
use crate::config::ignored;
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_protocols::mcast::SnoopingSettings;
use weft_wire::mac::MacAddr;

impl<R: Rows> Reader<'_, R> {
    /// A number in `other_config`, clamped; the default when it is none.
    fn clamped(&mut self, uuid: Uuid, name: &str, key: &str, default: u32, range: [u32; 2]) -> u32 {
        let Some(text) = self.key("Bridge", uuid, "other_config", key) else { return default };
        let [min, max] = range;
        if let Ok(number) = text.parse::<u32>() {
            // As in Open vSwitch, zero is not the smallest of all but "as you think right".
            return if number == 0 { default } else { number.clamp(min, max) };
        }
        let column = format!("other_config:{key}");
        self.problem(("Bridge", name), &column, &text, "not a number; ignored");
        default
    }

    /// A bridge, without its ports and mirrors.
    pub(super) fn bridge(&mut self, uuid: Uuid) -> Bridge {
        const TABLE: &str = "Bridge";
        let name = self.text(TABLE, uuid, "name");
        let fail_mode = self.text(TABLE, uuid, "fail_mode");
        let hwaddr = self.key(TABLE, uuid, "other_config", "hwaddr").and_then(|text| {
            let mac = text.parse::<MacAddr>().ok().filter(|mac| !mac.is_group() && !mac.is_zero());
            if mac.is_none() {
                let problem = "not the address of one station; ignored";
                self.problem((TABLE, &name), "other_config:hwaddr", &text, problem);
            }
            mac
        });
        let datapath_id = self.key(TABLE, uuid, "other_config", "datapath-id").and_then(|text| {
            let id = datapath_id(&text);
            if id.is_none() {
                let problem = "not 16 hexadecimal digits, or zero; ignored";
                self.problem((TABLE, &name), "other_config:datapath-id", &text, problem);
            }
            id
        });
        let fdb_age_secs = self.clamped(uuid, &name, "mac-aging-time", 300, [15, 3600]);
        let fdb_entries_max = self.clamped(uuid, &name, "mac-table-size", 8192, [10, 1_000_000]);
        let forward_reserved = self
            .key(TABLE, uuid, "other_config", "forward-bpdu")
            .is_some_and(|text| text == "true");
        let snooping = self.snooping(uuid, &name);
        Bridge {
            uuid,
            forwards: fail_mode != "secure",
            name,
            fail_mode,
            datapath_type: match self.text(TABLE, uuid, "datapath_type") {
                empty if empty.is_empty() => "system".to_owned(),
                written => written,
            },
            hwaddr,
            datapath_id,
            fdb_age_secs,
            fdb_entries_max,
            forward_reserved,
            spanning: match (
                self.flag(TABLE, uuid, "rstp_enable"),
                self.flag(TABLE, uuid, "stp_enable"),
            ) {
                (true, _) => Some(Protocol::Rstp),
                (false, true) => Some(Protocol::Stp),
                (false, false) => None,
            },
            snooping,
            other_config: self.map(TABLE, uuid, "other_config"),
            flood_vlans: self.vlan_set(TABLE, uuid, "flood_vlans"),
            missed: ignored::missed(self.rows, TABLE, uuid),
            mirrors: Vec::new(),
            ports: BTreeMap::new(),
        }
    }

    fn snooping(&mut self, uuid: Uuid, name: &str) -> Option<SnoopingSettings> {
        if !self.flag("Bridge", uuid, "mcast_snooping_enable") {
            return None;
        }
        let table_size = "mcast-snooping-table-size";
        let groups_max = self.clamped(uuid, name, table_size, 2048, [10, 1_000_000]);
        let age_secs = self.clamped(uuid, name, "mcast-snooping-aging-time", 300, [15, 3600]);
        let disabled =
            self.key("Bridge", uuid, "other_config", "mcast-snooping-disable-flood-unregistered");
        Some(SnoopingSettings {
            groups_max: groups_max as usize,
            age_secs,
            floods_unregistered: disabled.is_none_or(|text| text != "true"),
        })
    }
}

/// Sixteen hexadecimal digits that are not all zero, with or without `0x`.
fn datapath_id(text: &str) -> Option<String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    let number = u64::from_str_radix(digits, 16).ok().filter(|number| *number != 0)?;
    (digits.len() <= 16).then(|| format!("{number:016x}"))
}
