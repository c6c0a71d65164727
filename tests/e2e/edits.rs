//! Random edits of real caches: whatever `go mod verify` complains of, and whatever makes
//! `go build` fail or make another program, `check` denies.
//!
//! 12 edits by default, 500 with `GOCACHEVET_CAMPAIGN=full`.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use support::{Caches, Dice, Project, build_cache, copy_tree, full_campaign, make_writable};
use walkdir::WalkDir;

/// A file of a cache that somebody changes.
struct Edit {
    what: &'static str,
    path: PathBuf,
    before: Option<Vec<u8>>,
}

/// The content changed, in one of the ways that leave a file.
fn changed(content: &[u8], other: &[u8], dice: &mut Dice) -> (&'static str, Vec<u8>) {
    let mut new = content.to_vec();
    if new.is_empty() {
        return ("filled", b"\n".to_vec());
    }
    let at = dice.roll(new.len());
    match dice.roll(6) {
        0 => {
            new[at] ^= 1 << dice.roll(8);
            ("a bit", new)
        }
        1 => {
            new.truncate(at);
            ("cut", new)
        }
        2 => {
            new.extend(b"\n");
            ("longer", new)
        }
        3 => {
            new.splice(at..at, content[..at.min(40)].to_vec());
            ("a piece twice", new)
        }
        4 => {
            // Another digit, as hashes, sizes and versions have them.
            let (before, after) = new.split_at_mut(at);
            let mut bytes = after.iter_mut().chain(before);
            if let Some(digit) = bytes.find(|byte| byte.is_ascii_digit()) {
                *digit = b'0' + (*digit - b'0' + 1) % 10;
            }
            ("a digit", new)
        }
        _ => ("another's content", other.to_vec()),
    }
}

fn edit(files: &[PathBuf], dice: &mut Dice) -> Edit {
    let path = files[dice.roll(files.len())].clone();
    let before = fs::read(&path).unwrap();
    let put = |path: &Path, content: &[u8]| {
        // Only what is there can be read-only.
        let _ = fs::set_permissions(path, Permissions::from_mode(0o644));
        fs::write(path, content).unwrap();
    };
    match dice.roll(10) {
        0 => {
            fs::remove_file(&path).unwrap();
            let before = Some(before);
            Edit {
                what: "gone",
                path,
                before,
            }
        }
        1 => {
            let path = path.with_file_name(format!("planted{}.go", dice.roll(100)));
            put(&path, b"package planted\n\nfunc init() { panic(0) }\n");
            Edit {
                what: "added",
                path,
                before: None,
            }
        }
        _ => {
            // One of the same kind, so that it is read as what it is not.
            let kind = path.extension();
            let alike: Vec<_> = files.iter().filter(|it| it.extension() == kind).collect();
            let other = fs::read(alike[dice.roll(alike.len())]).unwrap();
            let (what, new) = changed(&before, &other, dice);
            put(&path, &new);
            let before = Some(before);
            Edit { what, path, before }
        }
    }
}

fn undo(edit: &Edit) {
    match &edit.before {
        Some(before) => fs::write(&edit.path, before).unwrap(),
        None => fs::remove_file(&edit.path).unwrap(),
    }
}

fn files(cache: &Path) -> Vec<PathBuf> {
    let entries = WalkDir::new(cache).sort_by_file_name().into_iter();
    let files = entries.map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    files.map(|entry| entry.into_path()).collect()
}

/// The program that `go build` makes offline, or why it makes none.
fn program(caches: &Caches) -> Result<Vec<u8>, String> {
    let out = caches.env.dir().join("program");
    let args = ["build", "-o", out.to_str().unwrap(), "."];
    let mut command = caches.env.command(&caches.project, args);
    let output = command.env("GOPROXY", "off").output().unwrap();
    match output.status.success() {
        true => Ok(fs::read(out).unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[test]
fn what_go_reads_and_what_differs_is_denied() {
    let caches = build_cache(Project::Hello);
    let sound = program(&caches).unwrap();
    make_writable(&caches.modcache);
    let aside = caches.env.dir().join("aside");
    copy_tree(&caches.gocache, &aside);
    let (modules, builds) = (files(&caches.modcache), files(&caches.gocache));
    let mut dice = Dice::new("edits");
    let [mut denied, mut harmless, mut missed] = [0; 3];
    for number in 0..if full_campaign() { 500 } else { 12 } {
        let of_modules = number % 3 != 0;
        let edit = edit(if of_modules { &modules } else { &builds }, &mut dice);
        let check = caches.env.gocachevet();
        let check = check.args(["check", "-q", "--no-project-config", "--project"]);
        let check = check.arg(&caches.project).run();
        let shown = || format!("{number}, {} {}: {check}", edit.what, edit.path.display());
        match check.code {
            Some(1) => denied += 1,
            Some(0) => {
                let verify = caches.env.try_go(&caches.project, ["mod", "verify"]);
                assert!(verify.status.success(), "go mod verify: {}", shown());
                match program(&caches) {
                    Ok(made) => assert!(made == sound, "another program: {}", shown()),
                    // What is not there is asked for, and nobody answers.
                    Err(why) if edit.what == "gone" && why.contains("GOPROXY=off") => missed += 1,
                    Err(why) => panic!("{why}\n{}", shown()),
                }
                harmless += 1;
            }
            _ => panic!("{}", shown()),
        }
        if of_modules || check.code == Some(1) {
            undo(&edit);
        } else {
            // Go may have made anew what it could not use.
            fs::remove_dir_all(&caches.gocache).unwrap();
            copy_tree(&aside, &caches.gocache);
        }
    }
    println!("{denied} denied, {harmless} change nothing, {missed} of them are asked for again");
    assert!(denied > 4 && harmless > 1, "{denied} {harmless}");
}
