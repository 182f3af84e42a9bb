//! Values and their types: atoms, datums, schemas.

pub mod atom;
pub mod datum;
pub mod schema;
