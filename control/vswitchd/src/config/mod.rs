//! What the operator wants: rows of the database, typed and checked.

pub mod desired;
pub mod duplicates;
pub mod ignored;
#[cfg(test)]
mod known_tests;
pub mod names;
pub mod news;
pub mod tunnel_options;
