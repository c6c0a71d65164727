//! One of several parts of the costly work, so that parallel jobs can share it.
//!
//! The caches are scanned by all; verifying is split by hash of the names. A
//! module's versions stay together.

use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Which part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which part, from 1 to `count`.
    pub index: u32,
    /// How many parts, at least 1.
    pub count: u32,
}

impl Shard {
    /// All of the work.
    pub const WHOLE: Shard = Shard { index: 1, count: 1 };

    /// Whether this part looks at a module's versions.
    pub fn has_module(&self, path: &str) -> bool {
        self.count == 1 || self.has(&Sha256::digest(path).into())
    }

    /// Whether this part looks at a build output.
    pub fn has_output(&self, id: &[u8; 32]) -> bool {
        self.has(id)
    }

    fn has(&self, hash: &[u8; 32]) -> bool {
        let number = hash
            .first_chunk()
            .map_or(0, |head| u64::from_be_bytes(*head));
        number % u64::from(self.count.max(1)) + 1 == u64::from(self.index)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        text.split_once('/')
            .and_then(|(index, count)| {
                Some(Shard {
                    index: index.parse().ok()?,
                    count: count.parse().ok()?,
                })
            })
            .filter(|shard| (1..=shard.count).contains(&shard.index))
            .ok_or_else(|| format!("`{text}` is not a valid part; write `1/4` to `4/4`"))
    }
}

crate::values::as_text!(Shard);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn shards_count_from_one() {
        for wrong in ["0/4", "5/4", "1", "1/", "1/0", "a/b", "-1/4"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        let last: Shard = "4/4".parse().unwrap();
        assert_eq!(last.to_string(), "4/4");
    }

    proptest! {
        #[test]
        fn everything_is_in_exactly_one_part(count in 1_u32..20, path: String, id: [u8; 32]) {
            let parts = |has: &dyn Fn(Shard) -> bool| {
                (1..=count).filter(|&index| has(Shard { index, count })).count()
            };
            prop_assert_eq!(parts(&|shard| shard.has_module(&path)), 1);
            prop_assert_eq!(parts(&|shard| shard.has_output(&id)), 1);
        }
    }

    #[test]
    fn the_parts_are_about_equal() {
        let shard = Shard { index: 2, count: 4 };
        let paths = (0..4000).map(|number| format!("example.com/m{number}"));
        let in_it = paths.filter(|path| shard.has_module(path)).count();
        assert!((900..1100).contains(&in_it), "{in_it}");
    }
}
