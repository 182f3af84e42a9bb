//! Texts beside stock, and read again.

#![expect(clippy::expect_used, reason = "a test may panic")]

mod generate;
mod read;
mod stock;
