//! One stage, one file, one verb.  A stage is a plain function over a batch.

mod cross;
mod decap;
mod egress;
mod encap;
mod forward;
mod ingress;
mod inner;
mod learn;
mod mirror;
mod observe;
mod outer;
mod parse;
mod probe;
mod retag;
mod snoop;
mod too_long;
mod vtep;

pub(crate) use cross::{Crossing, cross};
pub use cross::{PATCH_FRAMES_MAX, PATCH_HOPS_MAX};
pub(crate) use decap::decap;
pub(crate) use egress::{egress, send, send_tunnelled};
pub(crate) use encap::Template;
pub(crate) use forward::{forward, same_group};
pub(crate) use ingress::ingress;
pub(crate) use learn::learn;
pub(crate) use mirror::mirror;
pub(crate) use observe::observe;
pub(crate) use parse::{parse, refuse};
pub(crate) use probe::probe;
pub(crate) use snoop::snoop;
