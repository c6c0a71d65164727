//! Hostile bytes for every parser of what a cache, a bundle, a store or a checkout
//! holds. `tests/fuzz/README.md` says how it is run for long, and what it reached.

#[path = "../support/dice.rs"]
mod dice;
mod mutate;
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use dice::{Dice, full_campaign};
use mutate::mutant;

/// Longer inputs find nothing that shorter ones do not, later.
const MAX_INPUT: usize = 16 << 10;
/// How many accepted mutants are mutated on, beside the corpus.
const KEPT: usize = 64;

/// The files of `tests/fuzz/corpus/NAME`, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let entries = fs::read_dir(folder.join(target)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// `GOCACHEVET_FUZZ` says how often; else `GOCACHEVET_CAMPAIGN=full` makes it long.
fn executions() -> usize {
    match std::env::var("GOCACHEVET_FUZZ") {
        Ok(number) => number.parse().unwrap(),
        Err(_) if full_campaign() => 500_000,
        Err(_) => 1000,
    }
}

/// Runs a target, and keeps the input that it fails on.
fn run(target: &str, parse: &mut dyn FnMut(&[u8]) -> bool, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| parse(input))).unwrap_or_else(|panic| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/test-log")
            .join(format!("fuzz-{target}"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, input).unwrap();
        println!("fuzz {target}: the input is kept in {}", path.display());
        resume_unwind(panic)
    })
}

/// Tries the corpus as it is, then mutants of it and of mutants that were accepted:
/// those lead on to where a mutant of a sound file alone does not get.
fn fuzz(target: &str, parse: &mut dyn FnMut(&[u8]) -> bool) {
    let corpus = corpus(target);
    let count = executions();
    let mut dice = Dice::new(target);
    let mut kept: Vec<Vec<u8>> = Vec::new();
    let (mut accepted, mut slowest) = (0, Duration::ZERO);
    for sound in &corpus {
        assert!(run(target, parse, sound), "{target}: refuses its corpus");
    }
    for _ in corpus.len()..count {
        let pick = |dice: &mut Dice| match dice.roll(2) {
            0 if !kept.is_empty() => kept[dice.roll(kept.len())].as_slice(),
            _ => corpus[dice.roll(corpus.len())].as_slice(),
        };
        let (one, other) = (pick(&mut dice), pick(&mut dice));
        let mut input = mutant(one, other, &mut dice);
        input.truncate(MAX_INPUT);
        let start = Instant::now();
        let sound = run(target, parse, &input);
        slowest = slowest.max(start.elapsed());
        if sound {
            accepted += 1;
            if kept.len() < KEPT {
                kept.push(input);
            } else {
                kept[dice.roll(KEPT)] = input;
            }
        }
    }
    println!("fuzz {target}: {count} executions, {accepted} accepted, slowest {slowest:?}");
    // What refuses everything, or nothing, was not tried.
    let total = "go-env";
    assert!(accepted > 0, "{target}: no mutant was accepted");
    assert!(accepted < count - corpus.len() || target == total);
}
