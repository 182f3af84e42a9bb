//! Values and their types: atoms, datums, schemas, and the JSON that they are read from.

pub mod atom;
pub mod datum;
pub(crate) mod diff;
pub mod error;
pub mod json;
mod reader;
pub mod schema;
pub mod tape;
