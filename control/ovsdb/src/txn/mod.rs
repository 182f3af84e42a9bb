//! The operations of `transact` (RFC 7047 section 5.2): all of them or none.

pub mod condition;
mod indexes;
pub(crate) mod integrity;
pub mod mutate;
mod operations;
mod parser;
mod references;
pub mod results;
mod wait;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::store::Commit;
use crate::store::database::Database;
use crate::txn::integrity::Txn;
use crate::txn::parser::{Member, Parser};
use crate::txn::results::Results;
use crate::txn::wait::IndexedWait;
use crate::value::atom::Symbols;
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::schema::{ColumnRef, Schema, TableSchema};

/// What a transaction needs to know about who asks, and when.
pub struct Context<'a> {
    /// True when the session owns the lock of that name.
    pub owns_lock: &'a dyn Fn(&str) -> bool,
    /// How long this transaction has been waiting already.
    pub waited: Duration,
}

/// How a transaction ended.
#[derive(Debug)]
pub enum Execution {
    /// It has results, one per operation and maybe one more about the commit.
    Done {
        /// One of each, in order.
        results: Results,
        /// What it changed; None after an error.
        commit: Option<Commit>,
    },
    /// A `wait` does not hold yet: run it again after a change, or when this time is over (None: never).
    Wait {
        /// Time from the first attempt to the deadline.
        timeout: Option<Duration>,
    },
}

/// Runs `operations` on `db`. `persist` is called once when every check passed and may still refuse.
pub fn execute<'j, J: Json<'j>>(
    db: &mut Database,
    operations: impl IntoIterator<Item = J, IntoIter: ExactSizeIterator>,
    context: &Context<'_>,
    persist: &mut dyn FnMut(&Commit) -> Result<(), OvsdbError>,
) -> Execution {
    let schema = Arc::clone(db.schema());
    let operations = operations.into_iter();
    let mut run = Run {
        txn: Txn::new(db),
        schema: &schema,
        symbols: Symbols::default(),
        results: Results::default(),
        total: operations.len(),
        comments: Vec::new(),
        durable: false,
        indexed: None,
        warm: None,
        context,
    };
    for operation in operations {
        match run.operation(operation) {
            Ok(result) => run.results.push(&result),
            Err(Stop::Error(error)) => {
                run.results.push(&error.to_json());
                run.results.fill(run.total);
                run.txn.rollback();
                return Execution::Done { results: run.results, commit: None };
            }
            Err(Stop::Wait(timeout)) => {
                run.txn.rollback();
                return Execution::Wait { timeout };
            }
        }
    }
    let mut results = run.results;
    let commit = run.txn.precommit().and_then(|changes| {
        let comment = (!run.comments.is_empty()).then(|| run.comments.join("\n"));
        let commit = Commit { changes, comment, durable: run.durable };
        persist(&commit)?;
        Ok(commit)
    });
    match commit {
        Ok(commit) => {
            run.txn.commit(&commit.changes);
            Execution::Done { results, commit: Some(commit) }
        }
        Err(error) => {
            run.txn.rollback();
            results.push(&error.to_json());
            Execution::Done { results, commit: None }
        }
    }
}

/// Why an operation has no result.
enum Stop {
    Error(OvsdbError),
    /// A `wait` does not hold yet; its timeout.
    Wait(Option<Duration>),
}

impl From<OvsdbError> for Stop {
    fn from(error: OvsdbError) -> Self {
        Self::Error(error)
    }
}

/// A transaction under way.
struct Run<'a, 'b> {
    txn: Txn<'a>,
    schema: &'b Schema,
    symbols: Symbols,
    results: Results,
    /// Number of operations.
    total: usize,
    comments: Vec<String>,
    durable: bool,
    /// The operation before, if the index showed that it holds.
    indexed: Option<IndexedWait>,
    /// The table and column whose index is in the caches of the processor.
    warm: Option<(usize, usize)>,
    context: &'b Context<'b>,
}

impl Run<'_, '_> {
    fn operation<'j>(&mut self, json: impl Json<'j>) -> Result<Value, Stop> {
        if let (Some(wait), Some(references)) = (&self.indexed, json.references_of_repetition())
            && wait.holds_of(&self.txn, references)
        {
            return Ok(json!({}));
        }
        self.indexed = None;
        let mut parser = Parser::new(json, self.results.count() + 1, self.total)?;
        let name = parser.text(Member::Op);
        parser.check()?;
        match name.as_deref().unwrap_or("") {
            "insert" => self.insert(&mut parser),
            "select" => self.select(&mut parser),
            "update" => self.update(&mut parser),
            "mutate" => self.mutate(&mut parser),
            "delete" => self.delete(&mut parser),
            "wait" => self.wait(&mut parser),
            "commit" => {
                let durable = parser.boolean(Member::Durable);
                parser.finish()?;
                self.durable |= durable.unwrap_or(false);
                Ok(json!({}))
            }
            "comment" => {
                let text = parser.text(Member::Comment);
                parser.finish()?;
                self.comments.extend(text.map(|text| text.replace('\0', "")));
                Ok(json!({}))
            }
            "abort" => {
                parser.finish()?;
                Err(OvsdbError::new("aborted", "aborted by request").into())
            }
            "assert" => self.assert(&mut parser),
            name => {
                parser.fail(format!("No operation \"{name}\""));
                Err(parser.check().err().unwrap_or_else(|| OvsdbError::syntax(json, "")).into())
            }
        }
    }

    fn assert<'j, J: Json<'j>>(&mut self, parser: &mut Parser<J>) -> Result<Value, Stop> {
        let lock = parser.id(Member::Lock).unwrap_or_default();
        parser.finish()?;
        if (self.context.owns_lock)(&lock) {
            return Ok(json!({}));
        }
        let text = format!("Asserted lock {lock} not held.");
        Err(OvsdbError::new("not owner", text).into())
    }
}

/// Reads an array of distinct column names.
///
/// # Errors
/// `syntax error`.
pub(crate) fn columns_from_json<'a>(
    table: &TableSchema,
    json: impl Json<'a>,
) -> Result<Vec<ColumnRef>, OvsdbError> {
    let distinct = || OvsdbError::syntax(json, "array of distinct column names expected");
    let names = json.elements().ok_or_else(distinct)?;
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let name = name.as_text().ok_or_else(distinct)?;
        let column = table.column_ref(&name).ok_or_else(|| {
            OvsdbError::syntax(json, format!("{name} is not a valid column name"))
        })?;
        if columns.contains(&column) {
            return Err(distinct());
        }
        columns.push(column);
    }
    Ok(columns)
}
