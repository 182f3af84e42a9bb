//! What bridges make of requests.  Where stock was asked, the test says what it answered: that is
//! Open vSwitch 3.1.0 with its dummy datapath, asked by ovs-ofctl.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod bundles;
mod fail_mode;
mod flows;
mod groups;
mod limits;
mod make;
mod meters;
mod model;
mod monitors;
mod options;
mod pair;
mod random;
mod roles;
mod timeouts;
