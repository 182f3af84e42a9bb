//! Benchmarks of the switch.
