//! First replies to monitors, kept as text.
//!
//! Stock clients read the whole database each time that they are run.  So rows are divided by their
//! uuids into [`GROUPS`] groups for each table; the text of a group is written again only when one of
//! its rows has changed, and replies share it.

use std::collections::HashMap;
use std::rc::Rc;

use uuid::Uuid;

use crate::monitor::outbox::Chunk;
use crate::monitor::{Kind, MonitorSpec};
use crate::store::database::{Database, GROUPS};

/// Specifications whose texts are kept, at most: a client's differ with the columns it asks for.
const KEPT_MAX: usize = 16;

/// Bytes of texts that are kept, at most.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// The text of one group, and which state of its rows it says.
#[derive(Clone, Debug, Default)]
struct Group {
    stamp: Uuid,
    /// `"uuid":{…},"uuid":{…}`; empty without rows.
    text: Option<Rc<str>>,
}

/// The texts of one specification, by table.
#[derive(Debug, Default)]
struct Texts {
    tables: HashMap<usize, Vec<Group>>,
    bytes: usize,
    used: u64,
}

/// The texts of all specifications that clients asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Initials {
    kept: HashMap<(usize, Kind, String), Texts>,
    uses: u64,
    /// Groups that were written so far, for tests.
    pub written: u64,
}

impl Initials {
    /// The rows that a new monitor of database number `number` sees, as the text of a JSON object.
    pub fn text(
        &mut self,
        (number, db): (usize, &Database),
        (spec, kind): (&MonitorSpec, Kind),
    ) -> Vec<Chunk> {
        self.uses += 1;
        let texts = self.kept.entry((number, kind, spec.key())).or_default();
        texts.used = self.uses;
        let mut chunks = Vec::new();
        let mut separator = "{";
        for index in spec.initial_tables() {
            let (Some(table), Some(schema)) = (db.table(index), db.schema().tables.get(index))
            else {
                continue;
            };
            let groups = texts.tables.entry(index).or_default();
            groups.resize(GROUPS, Group::default());
            let mut start = Some(format!("\"{}\":{{", schema.name));
            for (number, group) in groups.iter_mut().enumerate() {
                let stamp = table.stamp(number);
                if group.stamp != stamp {
                    texts.bytes -= group.text.as_ref().map_or(0, |text| text.len());
                    let text = spec.initial_rows(index, schema, table.group(number), kind);
                    *group = Group { stamp, text: (!text.is_empty()).then(|| Rc::from(text)) };
                    texts.bytes += group.text.as_ref().map_or(0, |text| text.len());
                    self.written += 1;
                }
                let Some(text) = &group.text else { continue };
                chunks.push(Chunk::Fixed(if start.is_some() { separator } else { "," }));
                chunks.extend(start.take().map(|start| Chunk::Own(start.into_bytes())));
                chunks.push(Chunk::Shared(Rc::clone(text)));
                separator = "},";
            }
        }
        chunks.push(Chunk::Fixed(if chunks.is_empty() { "{}" } else { "}}" }));
        self.forget();
        chunks
    }

    /// Lets go of what was not used for longest, until there is little enough.
    fn forget(&mut self) {
        let bytes =
            |kept: &HashMap<_, Texts>| kept.values().map(|texts| texts.bytes).sum::<usize>();
        while self.kept.len() > KEPT_MAX || bytes(&self.kept) > KEPT_BYTES_MAX {
            let oldest = self.kept.iter().min_by_key(|(_, texts)| texts.used);
            let Some(oldest) = oldest.map(|(key, _)| key.clone()) else { return };
            self.kept.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Datum;
    use crate::store::database::{Change, Row};
    use crate::value::schema::{Schema, VSWITCH_SCHEMA};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::sync::Arc;

    fn read(chunks: &[Chunk]) -> Value {
        let text: Vec<u8> = chunks.iter().flat_map(Chunk::bytes).copied().collect();
        serde_json::from_slice(&text).unwrap()
    }

    /// Writes, or deletes, row `uuid` of Port or Queue.
    fn edit(db: &mut Database, is_port: bool, uuid: u8, value: Option<i64>) {
        let schema = Arc::clone(db.schema());
        let name = if is_port { "Port" } else { "Queue" };
        let (index, table) = (schema.table_index(name).unwrap(), schema.table(name).unwrap());
        // Few groups, and several rows in each.
        let uuid = Uuid::from_u128(u128::from(uuid / 4) << 120 | u128::from(uuid));
        let old = db.row(index, uuid).cloned();
        let new = value.map(|value| {
            let mut row = Row::new(table);
            let column = table.column_index(if is_port { "tag" } else { "dscp" }).unwrap();
            row.set(table, column, Datum::integer(value));
            Arc::new(row)
        });
        db.load_row(index, uuid, new.clone());
        db.index(&[Change { table: index, uuid, old, new }]);
    }

    fn spec(db: &Database) -> MonitorSpec {
        let requests = json!({"Port": {"columns": ["tag", "name"]}, "Queue": {}});
        MonitorSpec::from_json(db.schema(), &requests, true).unwrap()
    }

    proptest! {
        #[test]
        fn kept_texts_are_those_that_would_be_written_anew(
            edits in prop::collection::vec((any::<bool>(), 0u8..40, prop::option::of(1i64..60)), 1..40)
        ) {
            let mut db = Database::new(Arc::new(Schema::parse(VSWITCH_SCHEMA).unwrap()));
            let spec = spec(&db);
            let mut kept = Initials::default();
            for (is_port, uuid, value) in edits {
                edit(&mut db, is_port, uuid, value);
                for kind in [Kind::Update, Kind::Update3] {
                    let anew = Initials::default().text((0, &db), (&spec, kind));
                    let text = kept.text((0, &db), (&spec, kind));
                    prop_assert_eq!(read(&text), read(&anew));
                }
            }
        }
    }

    #[test]
    fn only_groups_that_changed_are_written_again() {
        let mut db = Database::new(Arc::new(Schema::parse(VSWITCH_SCHEMA).unwrap()));
        let spec = spec(&db);
        for uuid in 0..200 {
            edit(&mut db, true, uuid, Some(7));
        }
        let mut kept = Initials::default();
        let first = read(&kept.text((0, &db), (&spec, Kind::Update3)));
        assert_eq!(first["Port"].as_object().unwrap().len(), 200);
        let before = kept.written;
        edit(&mut db, true, 9, Some(8));
        edit(&mut db, false, 9, Some(8));
        let second = read(&kept.text((0, &db), (&spec, Kind::Update3)));
        assert_eq!(kept.written - before, 2);
        assert_ne!(first, second);
    }

    #[test]
    fn what_is_not_used_is_forgotten() {
        let db = Database::new(Arc::new(Schema::parse(VSWITCH_SCHEMA).unwrap()));
        let mut kept = Initials::default();
        for value in 0..50 {
            let requests = json!({"Queue": {"where": [["dscp", "==", value]]}});
            let spec = MonitorSpec::from_json(db.schema(), &requests, true).unwrap();
            assert_eq!(read(&kept.text((0, &db), (&spec, Kind::Update3))), json!({}));
        }
        assert_eq!(kept.kept.len(), KEPT_MAX);
    }
}
