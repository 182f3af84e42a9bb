//! Tests of the crate from outside: properties, the file, sessions, stock clients, the stock server.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that meets the unexpected should stop there"
)]
#![expect(
    clippy::too_many_lines,
    clippy::needless_pass_by_value,
    clippy::similar_names,
    clippy::format_collect,
    reason = "tables of cases and scripts of a session read best in one piece"
)]

mod abuse;
mod client;
mod crash;
mod differential;
mod file;
mod harness;
mod properties;
mod remotes;
mod schema;
mod sessions;
mod stock_clients;
mod tape;
mod transactions;
