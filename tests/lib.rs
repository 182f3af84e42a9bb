//! End-to-end tests of the switch.
