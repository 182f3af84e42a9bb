//! The text of what a client hears.

use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::monitor::Kind;
use crate::monitor::spec::{DELETE, Followed, INITIAL, INSERT, MODIFY, TableMonitor};
use crate::store::database::Row;
use crate::value::atom::Atom;
use crate::value::datum::Datum;
use crate::value::schema::{ColumnRef, Schema, TableSchema};

/// Rows of one table being written: `"uuid":…,…`.
#[derive(Default)]
pub(super) struct RowsText(Out);

impl RowsText {
    /// Adds a row to the first reply.
    pub fn initial(&mut self, followed: &Followed<'_>, row: &Row, kind: Kind) {
        let Self(out) = self;
        if !out.0.is_empty() {
            out.raw(b",");
        }
        out.row_name(followed.uuid);
        match kind {
            Kind::Update => {
                out.columns(b"{\"new\":", followed.table, followed.columns(INITIAL, row));
            }
            _ => out.columns(b"{\"initial\":", followed.table, followed.filled(INITIAL, row)),
        }
        out.raw(b"}");
    }

    pub fn finish(self) -> String {
        // It is JSON, which is UTF-8.
        String::from_utf8(self.0.0).unwrap_or_default()
    }
}

/// `{"Table":{"uuid":…,…},…}` being written.
pub(super) struct TablesText<'a> {
    schema: &'a Schema,
    out: Out,
    table: Option<usize>,
}

impl<'a> TablesText<'a> {
    pub fn new(schema: &'a Schema) -> Self {
        Self { schema, out: Out::default(), table: None }
    }

    fn row(&mut self, index: usize, followed: &Followed<'_>, write: impl FnOnce(&mut Out)) {
        if self.table == Some(index) {
            self.out.raw(b",");
        } else {
            self.out.raw(if self.table.is_some() { b"}," } else { b"{" });
            self.out.json(followed.table.name.as_ref());
            self.out.raw(b":{");
            self.table = Some(index);
        }
        self.out.row_name(followed.uuid);
        write(&mut self.out);
        self.out.raw(b"}");
    }

    /// Adds what became of a row, its table's number and its uuid, as far as the client follows it.
    pub fn change(
        &mut self,
        (index, uuid): (usize, Uuid),
        monitor: &TableMonitor,
        rows: (Option<&Row>, Option<&Row>),
        kind: Kind,
    ) {
        let Some(table) = self.schema.tables.get(index) else { return };
        let row = Followed { table, monitor, uuid };
        let wants = |change| monitor.select & change != 0;
        match rows {
            (None, Some(new)) if wants(INSERT) => self.row(index, &row, |out| match kind {
                Kind::Update => out.columns(b"{\"new\":", table, row.columns(INSERT, new)),
                _ => out.columns(b"{\"insert\":", table, row.filled(INSERT, new)),
            }),
            (Some(old), None) if wants(DELETE) => self.row(index, &row, |out| match kind {
                Kind::Update => out.columns(b"{\"old\":", table, row.columns(DELETE, old)),
                _ => out.raw(b"{\"delete\":null"),
            }),
            (Some(old), Some(new)) if wants(MODIFY) => {
                if row.changed(old, new).all(|(column, ..)| column == ColumnRef::Version) {
                    return;
                }
                self.row(index, &row, |out| {
                    let changed = row.changed(old, new);
                    if kind == Kind::Update {
                        let before = changed.map(|(column, before, _)| (column, before));
                        out.columns(b"{\"old\":", table, before);
                        out.columns(b",\"new\":", table, row.columns(MODIFY, new));
                    } else {
                        let difference = changed.map(|(column, before, after)| {
                            (column, Arc::new(before.diff(&after, table.column_type(column))))
                        });
                        out.columns(b"{\"modify\":", table, difference);
                    }
                });
            }
            _ => {}
        }
    }

    /// The text; None when nothing was added.
    pub fn finish(mut self) -> Option<String> {
        self.table?;
        self.out.raw(b"}}");
        String::from_utf8(self.out.0).ok()
    }
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Out {
    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn row_name(&mut self, uuid: Uuid) {
        let mut buffer = Uuid::encode_buffer();
        self.raw(b"\"");
        self.raw(uuid.hyphenated().encode_lower(&mut buffer).as_bytes());
        self.raw(b"\":");
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Writing our own types to memory cannot fail.
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    /// A datum; sets of references, which may be large, without the detour of a serializer.
    fn datum(&mut self, datum: &Datum) {
        let atoms = datum.atoms();
        if atoms.len() < 2 || !atoms.iter().all(|atom| matches!(atom, Atom::Uuid(_))) {
            return self.json(datum);
        }
        let mut separator: &[u8] = b"[\"set\",[";
        let mut buffer = Uuid::encode_buffer();
        for uuid in datum.uuids() {
            self.raw(separator);
            self.raw(b"[\"uuid\",\"");
            self.raw(uuid.hyphenated().encode_lower(&mut buffer).as_bytes());
            self.raw(b"\"]");
            separator = b",";
        }
        self.raw(b"]]");
    }

    fn columns(
        &mut self,
        prefix: &[u8],
        table: &TableSchema,
        columns: impl Iterator<Item = (ColumnRef, Arc<Datum>)>,
    ) {
        self.raw(prefix);
        self.raw(b"{");
        for (index, (column, datum)) in columns.enumerate() {
            if index > 0 {
                self.raw(b",");
            }
            self.json(table.column_name(column));
            self.raw(b":");
            self.datum(&datum);
        }
        self.raw(b"}");
    }
}
