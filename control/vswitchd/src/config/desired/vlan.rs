//! VLANs, as the columns of Port say them.

use super::{Reader, Rows};
use uuid::Uuid;
use weft_switch::{PriorityTags, VidSet, VlanConf, VlanMode};
use weft_wire::EtherType;
use weft_wire::vid::Vid;

const TABLE: &str = "Port";

impl<R: Rows> Reader<'_, R> {
    /// The VLANs of a port.
    pub(super) fn vlan(&mut self, uuid: Uuid, name: &str) -> VlanConf {
        let tag = self.number(TABLE, uuid, "tag").and_then(vid);
        let text = self.text(TABLE, uuid, "vlan_mode");
        let mode = match (text.as_str(), tag) {
            ("access", _) | ("", Some(_)) => VlanMode::Access,
            ("native-tagged", _) => VlanMode::NativeTagged,
            ("native-untagged", _) => VlanMode::NativeUntagged,
            ("dot1q-tunnel", _) => VlanMode::Dot1qTunnel,
            ("trunk" | "", _) => VlanMode::Trunk,
            _ => {
                self.problem((TABLE, name), "vlan_mode", &text, "unknown; taken as trunk");
                VlanMode::Trunk
            }
        };
        let (trunks, cvlans) = (self.vids(uuid, "trunks"), self.vids(uuid, "cvlans"));
        let has_trunks = !matches!(mode, VlanMode::Access | VlanMode::Dot1qTunnel);
        VlanConf {
            mode,
            tag: tag.filter(|_| mode != VlanMode::Trunk).unwrap_or_default(),
            trunks: trunks.filter(|_| has_trunks),
            cvlans: cvlans.filter(|_| mode == VlanMode::Dot1qTunnel),
            service_tpid: self.service_tpid(uuid, name),
            priority_tags: self.priority_tags(uuid, name),
        }
    }

    /// A set of VLANs; `None`, which stands for all, when the column is empty.
    fn vids(&self, uuid: Uuid, column: &str) -> Option<Box<VidSet>> {
        self.vlan_set(TABLE, uuid, column).map(Box::new)
    }

    fn service_tpid(&mut self, uuid: Uuid, name: &str) -> u16 {
        const KEY: &str = "qinq-ethtype";
        match self.key(TABLE, uuid, "other_config", KEY).as_deref() {
            None | Some("802.1ad") => EtherType::S_TAG.0,
            Some("802.1q") => EtherType::C_TAG.0,
            Some(text) => {
                let column = format!("other_config:{KEY}");
                self.problem((TABLE, name), &column, text, "unknown; taken as 802.1ad");
                EtherType::S_TAG.0
            }
        }
    }

    fn priority_tags(&mut self, uuid: Uuid, name: &str) -> PriorityTags {
        const KEY: &str = "priority-tags";
        match self.key(TABLE, uuid, "other_config", KEY).as_deref() {
            None | Some("never" | "false") => PriorityTags::Never,
            // "true" is from before there were three values.
            Some("if-nonzero" | "true") => PriorityTags::IfNonzero,
            Some("always") => PriorityTags::Always,
            Some(text) => {
                let column = format!("other_config:{KEY}");
                self.problem((TABLE, name), &column, text, "unknown; taken as never");
                PriorityTags::Never
            }
        }
    }

    /// `other_config:vlan-limit` of `Open_vSwitch`: may the second tag of a frame be read?
    /// The default is 1; 0 is no limit, which is two.
    pub(super) fn reads_inner_tags(&mut self, root: Uuid) -> bool {
        let key = self.key("Open_vSwitch", root, "other_config", "vlan-limit");
        let Some(text) = key else { return false };
        if let Ok(limit) = text.parse::<i32>() {
            return limit != 1;
        }
        let column = "other_config:vlan-limit";
        self.problem(("Open_vSwitch", "."), column, &text, "not a number; taken as 1");
        false
    }
}

/// The VLAN of a column: the schema lets no other number in.
pub(super) fn vid(number: i64) -> Option<Vid> {
    u16::try_from(number).ok().and_then(Vid::new)
}
