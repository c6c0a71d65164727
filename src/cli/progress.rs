//! A progress bar on standard error: only on a terminal, and only for a step
//! that takes longer than half a second.
//!
//! WASI has neither terminals to ask nor this bar.

use crate::run::{Unwatched, Watch};

/// Who watches this run: a bar where somebody can see it.
#[cfg(not(target_arch = "wasm32"))]
pub fn watch(quiet: bool) -> Box<dyn Watch> {
    use std::io::IsTerminal;
    if quiet || !std::io::stderr().is_terminal() {
        Box::new(Unwatched)
    } else {
        Box::new(bar::Bar::new(indicatif::ProgressDrawTarget::stderr))
    }
}

/// Nobody watches.
#[cfg(target_arch = "wasm32")]
pub fn watch(_quiet: bool) -> Box<dyn Watch> {
    Box::new(Unwatched)
}

#[cfg(not(target_arch = "wasm32"))]
mod bar {
    use crate::run::Watch;
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
    use std::sync::{Mutex, PoisonError};
    use std::time::{Duration, Instant};

    /// A step shorter than this is not worth a bar.
    const PATIENCE: Duration = Duration::from_millis(500);

    pub(super) struct Bar {
        step: Mutex<Option<Step>>,
        target: fn() -> ProgressDrawTarget,
    }

    struct Step {
        bar: ProgressBar,
        since: Instant,
        drawn: bool,
    }

    impl Bar {
        pub(super) fn new(target: fn() -> ProgressDrawTarget) -> Bar {
            Bar {
                step: Mutex::new(None),
                target,
            }
        }
    }

    impl Watch for Bar {
        fn step(&self, what: &'static str, parts: usize) {
            let bar =
                ProgressBar::with_draw_target(Some(parts as u64), ProgressDrawTarget::hidden());
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {pos}/{len} {eta}") {
                bar.set_style(style);
            }
            bar.set_message(what);
            let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
            let last = step.replace(Step {
                bar,
                since: Instant::now(),
                drawn: false,
            });
            if let Some(last) = last {
                last.bar.finish_and_clear();
            }
        }

        fn tick(&self) {
            let mut step = self.step.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(step) = step.as_mut() else { return };
            if !step.drawn && step.since.elapsed() >= PATIENCE {
                step.bar.set_draw_target((self.target)());
                step.drawn = true;
            }
            step.bar.inc(1);
        }
    }

    impl Drop for Bar {
        fn drop(&mut self) {
            let step = self.step.get_mut().unwrap_or_else(PoisonError::into_inner);
            if let Some(step) = step.take() {
                step.bar.finish_and_clear();
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn ticks_from_many_threads_are_all_counted_and_nothing_is_drawn_at_once() {
            let bar = Bar::new(|| panic!("drawn too soon"));
            bar.tick();
            bar.step("Verifying", 400);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| (0..100).for_each(|_| bar.tick()));
                }
            });
            let step = bar.step.lock().unwrap();
            assert_eq!(step.as_ref().unwrap().bar.position(), 400);
        }

        #[test]
        fn a_long_step_is_drawn() {
            let bar = Bar::new(ProgressDrawTarget::hidden);
            bar.step("Verifying", 2);
            if let Some(step) = bar.step.lock().unwrap().as_mut() {
                step.since = Instant::now().checked_sub(PATIENCE).unwrap();
            }
            bar.tick();
            assert!(bar.step.lock().unwrap().as_ref().unwrap().drawn);
        }
    }
}
