//! The members of one operation: what is missing, of the wrong type, or not asked for by the operation.

use std::borrow::Cow;

use crate::value::atom::is_id;
use crate::value::error::OvsdbError;
use crate::value::json::Json;
use crate::value::schema::{Schema, TableSchema};

/// A member that some operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Member {
    Op,
    Table,
    Where,
    Columns,
    Row,
    Rows,
    Until,
    Timeout,
    Mutations,
    UuidName,
    Uuid,
    Sort,
    Durable,
    Comment,
    Lock,
}

/// How many names there are.
const NAMES: usize = Member::Lock as usize + 1;

impl Member {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "op" => Self::Op,
            "table" => Self::Table,
            "where" => Self::Where,
            "columns" => Self::Columns,
            "row" => Self::Row,
            "rows" => Self::Rows,
            "until" => Self::Until,
            "timeout" => Self::Timeout,
            "mutations" => Self::Mutations,
            "uuid-name" => Self::UuidName,
            "uuid" => Self::Uuid,
            "sort" => Self::Sort,
            "durable" => Self::Durable,
            "comment" => Self::Comment,
            "lock" => Self::Lock,
            _ => return None,
        })
    }

    fn text(self) -> &'static str {
        match self {
            Self::Op => "op",
            Self::Table => "table",
            Self::Where => "where",
            Self::Columns => "columns",
            Self::Row => "row",
            Self::Rows => "rows",
            Self::Until => "until",
            Self::Timeout => "timeout",
            Self::Mutations => "mutations",
            Self::UuidName => "uuid-name",
            Self::Uuid => "uuid",
            Self::Sort => "sort",
            Self::Durable => "durable",
            Self::Comment => "comment",
            Self::Lock => "lock",
        }
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Takes the members out of one operation, remembers the first fault and the members nobody asked for.
pub(super) struct Parser<J> {
    pub json: J,
    members: [Option<J>; NAMES],
    /// Bits of the names whose members are there, and of those that somebody asked for.
    present: u16,
    used: u16,
    /// Some member has a name that no operation knows.
    is_strange: bool,
    fault: Option<String>,
    /// Number of the operation, from 1, and how many there are.
    index: usize,
    total: usize,
}

impl<'j, J: Json<'j>> Parser<J> {
    /// # Errors
    /// `syntax error` for what is no object.
    pub fn new(json: J, index: usize, total: usize) -> Result<Self, OvsdbError> {
        let Some(all) = json.members() else {
            let text =
                format!("Parsing ovsdb operation {index} of {total} failed: Object expected.");
            return Err(OvsdbError::new("syntax error", text));
        };
        let (mut members, mut present, mut is_strange) = ([None; NAMES], 0, false);
        for (name, value) in all {
            let name = Member::parse(&name);
            is_strange |= name.is_none();
            if let Some(name) = name
                && let Some(slot) = members.get_mut(name as usize)
            {
                *slot = Some(value);
                present |= name.bit();
            }
        }
        Ok(Self { json, members, present, used: 0, is_strange, fault: None, index, total })
    }

    /// Remembers a fault, if it is the first.
    pub fn fail(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    fn member<T>(
        &mut self,
        name: Member,
        is_required: bool,
        read: impl FnOnce(J) -> Option<T>,
    ) -> Option<T> {
        self.used |= name.bit();
        let Some(value) = self.members.get(name as usize).copied().flatten() else {
            if is_required {
                self.fail(format!("Required '{}' member is missing.", name.text()));
            }
            return None;
        };
        let read = read(value);
        if read.is_none() {
            self.fail(format!("Type mismatch for member '{}'.", name.text()));
        }
        read
    }

    pub fn text(&mut self, name: Member) -> Option<Cow<'j, str>> {
        self.member(name, true, J::as_text)
    }

    pub fn optional_text(&mut self, name: Member) -> Option<Cow<'j, str>> {
        self.member(name, false, J::as_text)
    }

    pub fn id(&mut self, name: Member) -> Option<Cow<'j, str>> {
        self.member(name, true, |value| value.as_text().filter(|text| is_id(text)))
    }

    pub fn optional_id(&mut self, name: Member) -> Option<Cow<'j, str>> {
        self.member(name, false, |value| value.as_text().filter(|text| is_id(text)))
    }

    pub fn boolean(&mut self, name: Member) -> Option<bool> {
        self.member(name, true, J::as_bool)
    }

    /// An integer; a negative one counts as zero.
    pub fn optional_number(&mut self, name: Member) -> Option<u64> {
        self.member(name, false, |value| {
            value.as_number()?.as_i64().map(|number| u64::try_from(number).unwrap_or(0))
        })
    }

    pub fn object(&mut self, name: Member) -> Option<J> {
        self.member(name, true, |value| value.members().is_some().then_some(value))
    }

    pub fn array(&mut self, name: Member) -> Option<J> {
        self.member(name, true, |value| value.elements().is_some().then_some(value))
    }

    pub fn optional_array(&mut self, name: Member) -> Option<J> {
        self.member(name, false, |value| value.elements().is_some().then_some(value))
    }

    /// The table that the operation names, and its number.
    pub fn table<'s>(&mut self, schema: &'s Schema) -> Option<(usize, &'s TableSchema)> {
        let name = self.id(Member::Table)?;
        let found = schema
            .table_index(&name)
            .and_then(|index| schema.tables.get(index).map(|table| (index, table)));
        if found.is_none() {
            self.fail(format!("No table named {name}."));
        }
        found
    }

    /// # Errors
    /// The first fault so far.
    pub fn check(&self) -> Result<(), OvsdbError> {
        match &self.fault {
            None => Ok(()),
            Some(fault) => {
                let (index, total) = (self.index, self.total);
                let text = format!("Parsing ovsdb operation {index} of {total} failed: {fault}");
                Err(OvsdbError::syntax(self.json, text))
            }
        }
    }

    /// # Errors
    /// The first fault; a member nobody asked for is one.
    pub fn finish(&mut self) -> Result<(), OvsdbError> {
        if self.fault.is_none() && (self.is_strange || self.present & !self.used != 0) {
            let is_used =
                |name: &str| Member::parse(name).is_some_and(|name| self.used & name.bit() != 0);
            let extra = self.json.members().into_iter().flatten().find(|(name, _)| !is_used(name));
            self.fault =
                extra.map(|(name, _)| format!("Member '{name}' is present but not allowed here."));
        }
        self.check()
    }
}
