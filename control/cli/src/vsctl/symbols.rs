//! Rows that go by a `@name` on one command line.

use super::Failure;
use std::collections::BTreeMap;
use uuid::Uuid;
use weft_ovsdb::value::schema::BaseType;

/// Rows by the `@name` that `--id` gives them.  A name may be used before it is given to a new row.
#[derive(Debug, Default)]
pub struct Symbols {
    by_name: BTreeMap<String, Symbol>,
}

#[derive(Debug)]
struct Symbol {
    row: Uuid,
    is_given: bool,
    /// The row is there to stay, whether anything refers to it or not.
    stays: bool,
    has_weak_reference: bool,
}

impl Symbols {
    /// The row that `name` stands for.
    pub fn find(&mut self, name: &str) -> Uuid {
        self.symbol(name).row
    }

    /// The row that `name` stands for, to which a column of type `ty` refers.
    pub fn refer(&mut self, name: &str, ty: &BaseType) -> Uuid {
        let symbol = self.symbol(name);
        match &ty.reference {
            Some(reference) if reference.strong => symbol.stays = true,
            Some(_) => symbol.has_weak_reference = true,
            None => {}
        }
        symbol.row
    }

    fn symbol(&mut self, name: &str) -> &mut Symbol {
        self.by_name.entry(name.to_owned()).or_insert_with(|| Symbol {
            row: Uuid::new_v4(),
            is_given: false,
            stays: false,
            has_weak_reference: false,
        })
    }

    /// Gives `name` to a new row, which `stays` without a reference or not.
    ///
    /// # Errors
    /// It does not begin with `@`, or is given already.
    pub fn create(&mut self, name: &str, stays: bool) -> Result<Uuid, Failure> {
        self.must_be_free(name)?;
        let symbol = self.symbol(name);
        symbol.is_given = true;
        symbol.stays |= stays;
        Ok(symbol.row)
    }

    /// Gives `name` to a row that exists.
    ///
    /// # Errors
    /// It does not begin with `@`, or was used before.
    pub fn name(&mut self, name: &str, row: Uuid) -> Result<(), Failure> {
        self.must_be_free(name)?;
        if self.by_name.contains_key(name) {
            return Err(Failure(format!(
                "row id \"{name}\" specified on \"get\" command was used before it was defined"
            )));
        }
        let symbol = Symbol { row, is_given: true, stays: true, has_weak_reference: false };
        self.by_name.insert(name.to_owned(), symbol);
        Ok(())
    }

    fn must_be_free(&self, name: &str) -> Result<(), Failure> {
        if !name.starts_with('@') {
            return Err(Failure(format!("row id \"{name}\" does not begin with \"@\"")));
        }
        if self.by_name.get(name).is_some_and(|symbol| symbol.is_given) {
            let text = format!("row id \"{name}\" may only be specified on one --id option");
            return Err(Failure(text));
        }
        Ok(())
    }

    /// Every name that was used must have been given.  Rows that will not be there are in the answer,
    /// as sentences.
    ///
    /// # Errors
    /// Names the first that was not.
    pub fn check(&self) -> Result<Vec<String>, Failure> {
        if let Some((name, _)) = self.by_name.iter().find(|(_, symbol)| !symbol.is_given) {
            return Err(Failure(format!(
                "row id \"{name}\" is referenced but never created (e.g. with \"-- --id={name} create ...\")"
            )));
        }
        let gone = self.by_name.iter().filter(|(_, symbol)| !symbol.stays);
        let sentence = |(name, symbol): (&String, &Symbol)| {
            let reference = if symbol.has_weak_reference {
                "only a weak reference to it was inserted"
            } else {
                "no reference to it was inserted"
            };
            format!(
                "row id \"{name}\" was created but {reference}, so it will not actually appear in the database"
            )
        };
        Ok(gone.map(sentence).collect())
    }
}
