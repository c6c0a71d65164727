//! Text for people: hostile names made harmless, sizes and times in words.

pub mod escape;
pub mod human;
mod nearest;

pub(crate) use nearest::nearest;
