//! Two small bridges with a patch between them.

use super::generate::{any_actions, any_bucket_actions, any_match};
use crate::classifier::{Epochs, Tables, Visited};
use crate::program::BridgeId;
use crate::request::{Bucket, BucketId, FlowMod, GroupType, SelectMethod};
use crate::walk::{FlowBridge, PortFacts};
use crate::{Field, Group, GroupId, Key, Mask, Match, MeterId, PortNo, Rule, RuleId, TableId};
use proptest::prelude::*;
use std::sync::Arc;

/// Tables of a bridge.
pub(super) const TABLES: u8 = 3;
/// The patch port, on both sides.
pub(super) const PATCH: PortNo = PortNo(5);
/// A port that nothing is sent to, and that floods spare.
pub(super) const CLOSED: PortNo = PortNo(4);
/// A port whose link is down.
pub(super) const DOWN: PortNo = PortNo(3);

#[derive(Clone, Debug, Default)]
pub(super) struct Bridge {
    pub(super) id: u32,
    /// By priority.
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) groups: Vec<Group>,
    pub(super) meters: Vec<MeterId>,
    /// The same rules.
    pub(super) tables: Option<Tables>,
    pub(super) peer: Option<Box<Bridge>>,
}

/// The first bridge, which has the second behind its patch port.
#[derive(Clone, Debug)]
pub(super) struct Net(pub(super) Bridge);

impl Net {
    pub(super) fn bridge(&self, id: BridgeId) -> &Bridge {
        if id.0 == 0 { &self.0 } else { self.0.peer.as_ref().unwrap() }
    }
}

impl Bridge {
    /// The first rule of a table that takes a key.
    pub(super) fn rule(&self, table: TableId, key: &Key) -> Option<&Arc<Rule>> {
        let takes =
            |rule: &Rule| rule.matching.iter().all(|(slot, bits)| bits.takes(key.get(slot)));
        self.rules.iter().find(|rule| rule.table == table && takes(rule))
    }
}

impl FlowBridge for Bridge {
    fn bridge(&self) -> BridgeId {
        BridgeId(self.id)
    }

    /// Looks at no more than it must; or by a classifier.
    fn lookup(
        &self,
        table: TableId,
        key: &Key,
        reads: &mut Mask,
        visited: &mut Visited,
    ) -> Option<&Arc<Rule>> {
        if let Some(tables) = &self.tables {
            return tables.lookup(table, key, reads, visited);
        }
        self.rules.iter().filter(|rule| rule.table == table).find(|rule| {
            rule.matching.iter().all(|(slot, bits)| {
                reads.cover(slot, bits.mask);
                bits.takes(key.get(slot))
            })
        })
    }

    fn miss(&self, _table: TableId) -> Option<&Arc<Rule>> {
        None
    }

    fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == id)
    }

    fn has_meter(&self, id: MeterId) -> bool {
        self.meters.contains(&id)
    }

    fn port(&self, port: PortNo) -> Option<PortFacts> {
        let facts = PortFacts { is_live: true, ..PortFacts::default() };
        match port {
            CLOSED => Some(PortFacts { no_forward: true, no_flood: true, ..facts }),
            DOWN => Some(PortFacts { is_live: false, ..facts }),
            PortNo(1..=5) => Some(facts),
            _ => None,
        }
    }

    fn peer(&self, port: PortNo) -> Option<(&dyn FlowBridge, PortNo)> {
        let peer = self.peer.as_deref().filter(|_| port == PATCH)?;
        Some((peer, PATCH))
    }

    fn patch_ports(&self) -> &[PortNo] {
        if self.peer.is_some() { &[PATCH] } else { &[] }
    }

    fn can_learn(&self, flow: &FlowMod) -> bool {
        flow.table != TableId(9)
    }

    fn has_collector(&self, set: u32) -> bool {
        set == 1
    }
}

/// Without a match it takes all packets, after the others.
fn any_rule(id: u32, table: u8, has_match: bool) -> impl Strategy<Value = Arc<Rule>> {
    (0u32..4, any_match(), any_actions(table)).prop_map(move |(priority, matching, actions)| {
        let (id, table, cookie) = (RuleId(id), TableId(table), id.into());
        let (priority, matching) = if has_match { (priority, matching) } else { (0, Match::any()) };
        Arc::new(Rule { id, table, priority, cookie, matching, actions })
    })
}

fn any_group(id: u32) -> impl Strategy<Value = Group> {
    let watched = prop::sample::select(vec![PortNo::ANY, PortNo(1), DOWN]);
    let bucket = (1u16..4, watched, any_bucket_actions());
    let field = Field::by_name("ip_dst").unwrap();
    let kinds = vec![
        (GroupType::All, SelectMethod::Default),
        (GroupType::Indirect, SelectMethod::Default),
        (GroupType::FastFailover, SelectMethod::Default),
        (GroupType::Select, SelectMethod::Default),
        (GroupType::Select, SelectMethod::DpHash { parameter: 1 << 32 | 7 }),
        (GroupType::Select, SelectMethod::Hash { parameter: 3, fields: Box::new([(field, 0xff)]) }),
    ];
    let buckets = prop::collection::vec(bucket, 1..4);
    (prop::sample::select(kinds), buckets).prop_map(move |((kind, method), buckets)| {
        let buckets = (0..).zip(buckets).map(|(id, (weight, watch_port, actions))| Bucket {
            id: BucketId(id),
            weight,
            watch_port,
            watch_group: GroupId::ANY,
            actions,
        });
        Group { id: GroupId(id), kind, method, buckets: buckets.collect() }
    })
}

fn any_bridge(id: u32) -> impl Strategy<Value = Bridge> {
    let rule = |number: u32, table: u8, has_match| any_rule(id * 100 + number, table, has_match);
    let rules = [rule(0, 0, true), rule(1, 0, false), rule(2, 1, true), rule(3, 1, false)];
    let last = [rule(4, TABLES - 1, true), rule(5, TABLES - 1, false)];
    let first = if id == 0 { rules.into_iter().chain(last).collect() } else { Vec::from(last) };
    let groups = [any_group(1), any_group(2)];
    (first, groups, any::<bool>()).prop_map(move |(mut rules, groups, has_classifier)| {
        if id == 1 {
            // The other bridge has one table.
            let moved = rules
                .drain(..)
                .map(|rule| Arc::new(Rule { table: TableId(0), ..Rule::clone(&rule) }));
            rules = moved.collect();
        }
        rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
        // Which of two rules of the same priority wins is not said.
        for (rule, priority) in rules.iter_mut().rev().zip(0..) {
            *rule = Arc::new(Rule { priority, ..Rule::clone(rule) });
        }
        let tables = has_classifier.then(|| {
            let (mut tables, mut epochs) = (Tables::new(id), Epochs::default());
            for rule in &rules {
                tables.insert(Arc::clone(rule), &mut epochs);
            }
            tables
        });
        Bridge { id, rules, groups: groups.into(), tables, ..Bridge::default() }
    })
}

pub(super) fn any_net() -> impl Strategy<Value = Net> {
    (any_bridge(0), any_bridge(1)).prop_map(|(mut first, second)| {
        first.peer = Some(Box::new(second));
        Net(first)
    })
}
