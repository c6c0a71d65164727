//! Work spread over the cores, where there are threads at all.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of threads to use when the user does not say.
pub fn default_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get())
}

/// Calls `work` for 0..`count`, in order but on up to `jobs` threads, and
/// returns the results in order. Each thread keeps its own `state`, for
/// buffers that are worth reusing.
///
/// Without threads (WASI) everything runs on the calling one.
pub fn map<S, T: Send>(
    jobs: usize,
    count: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> T + Sync,
) -> Vec<T> {
    let threads = jobs.min(count);
    if threads <= 1 || cfg!(target_family = "wasm") {
        let mut state = state();
        return (0..count).map(|index| work(&mut state, index)).collect();
    }
    let next = AtomicUsize::new(0);
    let run = || {
        let mut state = state();
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return done;
            }
            done.push((index, work(&mut state, index)));
        }
    };
    let mut results: Vec<(usize, T)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(run)).collect();
        let mut results = run();
        for other in others {
            match other.join() {
                Ok(done) => results.extend(done),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        results
    });
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Calls `work` for each of `items`, in order but on up to `jobs` threads, and
/// returns the results in order.
pub fn each<'a, I: Sync, T: Send>(
    jobs: usize,
    items: &'a [I],
    work: impl Fn(&'a I) -> T + Sync,
) -> Vec<T> {
    let done = map(
        jobs,
        items.len(),
        || (),
        |(), index| items.get(index).map(&work),
    );
    done.into_iter().flatten().collect()
}

/// This process's number, for names that no other process takes. WASI has no
/// processes, and asking there is a panic.
pub(crate) fn process_id() -> u32 {
    if cfg!(target_family = "wasm") {
        1
    } else {
        std::process::id()
    }
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn results_keep_their_order_whatever_the_threads() {
        for jobs in [1, 2, 7] {
            let squares = map(jobs, 100, || (), |(), index| index * index);
            assert!(
                squares
                    .iter()
                    .enumerate()
                    .all(|(index, square)| *square == index * index)
            );
            assert_eq!(squares.len(), 100);
        }
        assert!(map(4, 0, || (), |(), index| index).is_empty());
    }
}
