//! Sorting, small where the size of the program counts.
//!
//! The standard library's sort is 4 kB of code for each type that is sorted: a
//! tenth of the WASI module. There, positions are sorted instead, by one sort
//! for all types, and the values then moved to their places.

use std::cmp::Ordering;

/// Sorts by `compare`; what is equal keeps its order.
pub(crate) fn by<T>(list: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    if cfg!(target_family = "wasm") {
        by_positions(list, &compare);
    } else {
        list.sort_by(compare);
    }
}

/// Sorts by `key`; what is equal keeps its order.
pub(crate) fn by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    by(list, |a, b| key(a).cmp(&key(b)));
}

/// Sorts; what is equal keeps its order.
pub(crate) fn sort<T: Ord>(list: &mut [T]) {
    by(list, T::cmp);
}

/// Collects into a set or a map. To collect into the standard library's is to
/// sort; one value after the other is not.
pub(crate) fn collect<C, T>(values: impl IntoIterator<Item = T>) -> C
where
    C: Default + Extend<T> + FromIterator<T>,
{
    if !cfg!(target_family = "wasm") {
        return values.into_iter().collect();
    }
    let mut collected = C::default();
    collected.extend(values);
    collected
}

fn by_positions<T>(list: &mut [T], compare: &dyn Fn(&T, &T) -> Ordering) {
    let mut from = positions(list.len(), &|a, b| compare(&list[a], &list[b]));
    // The cycles of the permutation, one swap a value.
    for start in 0..list.len() {
        let mut place = start;
        while from[place] != start {
            let next = from[place];
            list.swap(place, next);
            from[place] = place;
            place = next;
        }
        from[place] = place;
    }
}

/// Where the value comes from that belongs to each place.
fn positions(length: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..length).collect();
    positions.sort_by(|&a, &b| compare(a, b));
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn positions_sort_as_the_standard_library_does(list: Vec<(u8, u32)>) {
            let mut expected = list.clone();
            expected.sort_by_key(|(key, _)| *key);
            let mut sorted = list;
            by_positions(&mut sorted, &|a, b| a.0.cmp(&b.0));
            prop_assert_eq!(sorted, expected);
        }
    }
}
