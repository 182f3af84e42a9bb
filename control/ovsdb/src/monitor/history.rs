//! What happened lately: so that a client that comes back hears what it missed, and a slow one hears the
//! sum of many changes instead of each.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use crate::store::database::{Change, Database, Row};

/// Many changes made into one: per row what it was before the first of them.
///
/// What the row is now stands in the database, so this costs a row that changed often no more than one that
/// changed once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merged {
    before: BTreeMap<(usize, Uuid), Option<Arc<Row>>>,
}

impl Merged {
    /// Adds later changes.
    pub fn add(&mut self, changes: &[Change]) {
        for change in changes {
            self.before
                .entry((change.table, change.uuid))
                .or_insert_with(|| change.old.as_ref().map(Arc::clone));
        }
    }

    /// Rows that are remembered.
    pub fn len(&self) -> usize {
        self.before.len()
    }

    /// The sum of the changes, up to what `db` holds now.
    pub fn changes(self, db: &Database) -> Vec<Change> {
        let now = |table, uuid| db.row(table, uuid).map(Arc::clone);
        self.before
            .into_iter()
            .map(|((table, uuid), old)| Change { table, uuid, old, new: now(table, uuid) })
            .filter(|change| match (&change.old, &change.new) {
                (None, None) => false,
                (Some(old), Some(new)) => !old.same_columns(new),
                _ => true,
            })
            .collect()
    }
}

#[derive(Debug)]
struct Transaction {
    id: Uuid,
    changes: Vec<Change>,
    atoms: usize,
}

/// The last transactions of a database, each with a name.
#[derive(Debug)]
pub(crate) struct History {
    transactions: VecDeque<Transaction>,
    /// Name of the newest; of the state at the start before there is any.
    last: Uuid,
    /// Name of the state before the oldest that is kept.
    base: Uuid,
    atoms: usize,
    transactions_max: usize,
    atoms_max: usize,
}

impl History {
    /// A history of at most `transactions_max` transactions that together keep at most `atoms_max` atoms
    /// of changed columns alive.
    pub fn new(transactions_max: usize, atoms_max: usize) -> Self {
        let base = Uuid::new_v4();
        Self {
            transactions: VecDeque::new(),
            last: base,
            base,
            atoms: 0,
            transactions_max,
            atoms_max,
        }
    }

    /// Name of the newest transaction.
    pub fn last(&self) -> Uuid {
        self.last
    }

    /// Remembers a transaction and gives it a name.
    pub fn push(&mut self, changes: &[Change]) {
        self.last = crate::store::database::fresh_version();
        let atoms = changes.iter().map(atoms).sum();
        self.atoms += atoms;
        let changes = changes.to_vec();
        self.transactions.push_back(Transaction { id: self.last, changes, atoms });
        while self.transactions.len() > self.transactions_max || self.atoms > self.atoms_max {
            let Some(oldest) = self.transactions.pop_front() else { break };
            self.atoms -= oldest.atoms;
            self.base = oldest.id;
        }
    }

    /// Everything after the transaction called `id`; None when that is not known (any more).
    pub fn since(&self, id: Uuid) -> Option<Merged> {
        let from = if id == self.base {
            0
        } else {
            1 + self.transactions.iter().rposition(|transaction| transaction.id == id)?
        };
        let mut merged = Merged::default();
        for transaction in self.transactions.range(from..) {
            merged.add(&transaction.changes);
        }
        Some(merged)
    }
}

/// Atoms that only the history keeps alive once the row has changed again.
fn atoms(change: &Change) -> usize {
    let own = |row: &Row, other: Option<&Row>| -> usize {
        row.columns
            .iter()
            .enumerate()
            .filter(|(index, datum)| {
                other.and_then(|row| row.get(*index)).is_none_or(|same| !Arc::ptr_eq(same, datum))
            })
            .map(|(_, datum)| datum.len())
            .sum()
    };
    // A row has a size of its own, whatever its columns hold.
    let row =
        8 + change.old.as_deref().or(change.new.as_deref()).map_or(0, |row| row.columns.len());
    let old = change.old.as_deref().map_or(0, |old| own(old, change.new.as_deref()));
    let new = change.new.as_deref().map_or(0, |new| own(new, change.old.as_deref()));
    row + old + new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::schema::{Schema, VSWITCH_SCHEMA};

    fn change(db: &Database, uuid: Uuid, old: Option<&Arc<Row>>, new: Option<&Arc<Row>>) -> Change {
        let table = db.schema().table_index("Queue").unwrap();
        Change { table, uuid, old: old.map(Arc::clone), new: new.map(Arc::clone) }
    }

    #[test]
    fn history_is_bounded_and_names_what_it_has() {
        let db = Database::new(Arc::new(Schema::parse(VSWITCH_SCHEMA).unwrap()));
        let row = Arc::new(Row::new(db.schema().table("Queue").unwrap()));
        let mut history = History::new(3, 1000);
        let mut names = vec![history.last()];
        for _ in 0..5 {
            history.push(&[change(&db, Uuid::new_v4(), None, Some(&row))]);
            names.push(history.last());
        }
        let known: Vec<Option<usize>> =
            names.iter().map(|name| history.since(*name).map(|merged| merged.len())).collect();
        assert_eq!(known, [None, None, Some(3), Some(2), Some(1), Some(0)]);
        assert!(history.since(Uuid::nil()).is_none());
        // One transaction above the limit of atoms leaves nothing behind but its name.
        let many: Vec<Change> =
            (0..200).map(|_| change(&db, Uuid::new_v4(), None, Some(&row))).collect();
        history.push(&many);
        assert_eq!((history.transactions.len(), history.atoms), (0, 0));
        assert_eq!(history.since(history.last()).map(|merged| merged.len()), Some(0));
    }

    #[test]
    fn merged_changes_go_from_the_first_to_now() {
        let mut db = Database::new(Arc::new(Schema::parse(VSWITCH_SCHEMA).unwrap()));
        let table = db.schema().table_index("Queue").unwrap();
        let schema = Arc::clone(db.schema());
        let rows: Vec<Arc<Row>> = (0..3)
            .map(|dscp| {
                let queue = schema.table("Queue").unwrap();
                let mut row = Row::new(queue);
                let index = queue.column_index("dscp").unwrap();
                row.set(queue, index, crate::Datum::integer(dscp));
                Arc::new(row)
            })
            .collect();
        let [kept, gone, back] = [1, 2, 3].map(Uuid::from_u128);
        let mut merged = Merged::default();
        merged.add(&[change(&db, kept, Some(&rows[0]), Some(&rows[1]))]);
        merged.add(&[
            change(&db, kept, Some(&rows[1]), Some(&rows[2])),
            change(&db, gone, None, Some(&rows[0])),
            change(&db, back, Some(&rows[1]), Some(&rows[0])),
        ]);
        merged.add(&[
            change(&db, gone, Some(&rows[0]), None),
            change(&db, back, Some(&rows[0]), Some(&rows[1])),
        ]);
        db.load_row(table, kept, Some(Arc::clone(&rows[2])));
        db.load_row(table, back, Some(Arc::clone(&rows[1])));
        let changes = merged.changes(&db);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert_eq!((changes[0].uuid, &changes[0].old), (kept, &Some(Arc::clone(&rows[0]))));
    }
}
