//! Object stores, as far as this build has them.

#[cfg_attr(not(feature = "remote"), path = "absent.rs")]
mod objects;

pub(crate) use objects::{Objects, Tag};
