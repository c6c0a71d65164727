//! One call of the system goes wrong, wherever it is: nothing panics, nothing that a
//! build needs is lost, and damage that could not be looked at is not called sound.
//!
//! A few places by default, some hundred with `GOCACHEVET_CAMPAIGN=full`.

// A test fails by panicking, also in what tests share; figures go to standard output.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{Caches, Gocachevet, Project, build_cache, make_writable};

/// How a cache is looked at, and how it is changed.
const READS: &str = "openat,read,pread64,getdents64,newfstatat,statx,fstat,readlink";
const WRITES: &str =
    "write,pwrite64,openat,renameat,renameat2,mkdirat,unlinkat,linkat,fchmod,utimensat";

const ERRORS: [&str; 3] = ["EIO", "EACCES", "ENOSPC"];

fn command(caches: &Caches, args: &[&str]) -> Gocachevet {
    let command = caches.env.gocachevet().args(args);
    command
        .args(["-q", "--no-project-config", "--project"])
        .arg(&caches.project)
}

/// Strikes at each place with each error, and hands out the exit code.
fn strike(
    caches: &Caches,
    args: &[&str],
    calls: &str,
    mut before: impl FnMut(),
    mut after: impl FnMut(&str, i32),
) {
    before();
    let (_, places) = command(caches, args).places(calls, 3, 100);
    for call in places {
        for error in ERRORS {
            before();
            let inject = format!("{calls}:error={error}:when={call}");
            let struck = command(caches, args);
            let run = struck
                .under_strace(calls, &inject, Path::new("/dev/null"))
                .run();
            assert!(!run.stderr.contains("panicked"), "{inject}: {run}");
            let code = run.code.unwrap_or_else(|| panic!("{inject}: {run}"));
            // Before the program begins, its loader reads libraries.
            assert!(code == 127 || (0..=3).contains(&code), "{inject}: {run}");
            if code == 2 || code == 3 {
                assert!(!run.stderr.is_empty(), "{inject}: it says nothing");
            }
            after(&inject, code);
        }
    }
}

fn tree_file(caches: &Caches) -> PathBuf {
    caches
        .modcache
        .join("github.com/cespare/xxhash/v2@v2.3.0/xxhash.go")
}

#[test]
fn damage_that_could_not_be_looked_at_is_never_called_sound() {
    let caches = build_cache(Project::Hello);
    let file = tree_file(&caches);
    make_writable(&caches.modcache);
    let content = fs::read_to_string(&file).unwrap();
    fs::write(&file, content + "// planted\n").unwrap();
    let mut codes = [0; 4];
    strike(
        &caches,
        &["check"],
        READS,
        || (),
        |inject, code| {
            assert_ne!(code, 0, "{inject}: the damage passed");
            if let Some(count) = codes.get_mut(code as usize) {
                *count += 1;
            }
        },
    );
    println!(
        "denied {}, input {}, failed {}",
        codes[1], codes[2], codes[3]
    );
    assert!(codes[1] > 0);
}

#[test]
fn a_trim_that_a_call_fails_loses_nothing_that_builds_need() {
    let caches = build_cache(Project::Hello);
    // The build cache stays: compiling all of it anew takes long.
    let limit = "--trim-modcache-to=1kB";
    let args = ["trim", "--grace=0", limit, "--repair", "--verify=quick"];
    let foreign = ["github.com/google/uuid@v1.6.0", "golang.org/x/sync@v0.7.0"];
    let fill = || caches.env.download(&foreign);
    let mut struck = 0;
    strike(&caches, &args, WRITES, fill, |inject, code| {
        struck += 1;
        caches.env.go(&caches.project, ["build", "./..."]);
        for again in ["trim", "check"] {
            let run = command(&caches, &[again]).run();
            assert_eq!(run.code, Some(0), "{inject} ({code}): {run}");
        }
    });
    println!("{struck} faults");
    let uuid = caches.modcache.join("github.com/google/uuid@v1.6.0");
    assert!(!uuid.exists(), "nothing was ever trimmed");
}

/// A library that is loaded before the system's own: every read and write does only a
/// part of what it was asked for, and the clock is wrong.
fn preload(caches: &Caches) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/preload.c");
    let library = caches.env.dir().join("preload.so");
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.expect("this test needs a C compiler, cc").success());
    library
}

#[test]
fn reads_that_give_less_than_was_asked_for_change_no_verdict() {
    let caches = build_cache(Project::Hello);
    let library = preload(&caches);
    for most in ["97", "1000"] {
        let check = || {
            let check = command(&caches, &["check"]).env("LD_PRELOAD", &library);
            check.env("PRELOAD_MOST", most).run()
        };
        check().expect_code(0);
        let file = tree_file(&caches);
        make_writable(&caches.modcache);
        let content = fs::read(&file).unwrap();
        fs::write(&file, [&content[..], b"// planted\n"].concat()).unwrap();
        check().expect_code(1);
        fs::write(&file, content).unwrap();
    }
}

#[test]
fn a_clock_that_is_wrong_loses_nothing_that_builds_need() {
    let caches = build_cache(Project::Hello);
    let (library, year) = (preload(&caches), 365 * 24 * 3600);
    for shift in [-30 * year, -year, year, 30 * year] {
        let shift = shift.to_string();
        for args in [
            &["mark"][..],
            &["check"],
            &["trim", "--unused", "--grace=0"],
            &["trim", "--repair"],
        ] {
            let run = command(&caches, args).env("LD_PRELOAD", &library);
            let run = run.env("PRELOAD_CLOCK", &shift).run();
            assert_eq!(run.code, Some(0), "{shift}: {run}");
        }
        caches.build_offline();
    }
}

/// A script in which mounts are its own.
fn with_mounts(caches: &Caches, script: &str) -> Output {
    Command::new("unshare")
        .args(["-rm", "sh", "-euc", script])
        .env("PROGRAM", env!("CARGO_BIN_EXE_gocachevet"))
        .env("PROJECT", &caches.project)
        .env("HOME", &caches.env.home)
        .env("GOMODCACHE", &caches.modcache)
        .env("GOCACHE", &caches.gocache)
        .env("GOENV", "off")
        .output()
        .expect("unshare(1), of util-linux, is needed")
}

#[test]
fn caches_on_read_only_mounts_and_in_memory_are_checked_and_refuse_to_be_changed() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&["github.com/google/uuid@v1.6.0"]);
    let before = support::snapshot(&caches.modcache);
    let read_only = "
        for cache in \"$GOMODCACHE\" \"$GOCACHE\"; do
            mount --bind \"$cache\" \"$cache\"
            mount -o remount,bind,ro \"$cache\"
        done
        \"$PROGRAM\" check -q --no-project-config --project \"$PROJECT\" >&2
        code=0
        \"$PROGRAM\" trim -q --no-project-config --project \"$PROJECT\" --all --force >/dev/null || code=$?
        echo $code";
    let output = with_mounts(&caches, read_only);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "3\n", "{said}");
    support::assert_untouched(&before, &caches.modcache);
    let in_memory = "
        mount -t tmpfs none /mnt
        cp -a \"$GOMODCACHE\" /mnt/modcache
        cp -a \"$GOCACHE\" /mnt/gocache
        export GOMODCACHE=/mnt/modcache GOCACHE=/mnt/gocache
        \"$PROGRAM\" check -q --no-project-config --project \"$PROJECT\" >&2
        \"$PROGRAM\" trim -q --no-project-config --project \"$PROJECT\" --all --force >&2
        find /mnt -name '*.zip'";
    let output = with_mounts(&caches, in_memory);
    assert!(
        output.status.success() && output.stdout.is_empty(),
        "{output:?}"
    );
}

/// As in a container: what the image's layers hold cannot be changed there, a folder of
/// them not even renamed.
#[test]
fn caches_of_an_image_are_checked_trimmed_and_repaired_in_the_containers_own_layer() {
    let caches = build_cache(Project::Hello);
    caches.env.download(&["github.com/google/uuid@v1.6.0"]);
    let before = [&caches.modcache, &caches.gocache].map(|cache| support::snapshot(cache));
    let script = "
        mount -t tmpfs none /mnt
        for cache in \"$GOMODCACHE\" \"$GOCACHE\"; do
            layer=/mnt/$(basename \"$cache\")
            mkdir -p \"$layer/own\" \"$layer/work\"
            mount -t overlay none -o \"userxattr,lowerdir=$cache,upperdir=$layer/own,workdir=$layer/work\" \"$cache\"
        done
        run() { \"$PROGRAM\" \"$@\" -q --no-project-config --project \"$PROJECT\" >&2; }
        run check
        file=$GOMODCACHE/github.com/cespare/xxhash/v2@v2.3.0/xxhash.go
        chmod u+w \"$file\"
        echo '// planted' >>\"$file\"
        if run check; then echo 'the planted line passed'; fi
        run trim --repair --unused --grace=0 --max-age=0
        cd \"$PROJECT\"
        GOPROXY=off GOFLAGS=-buildvcs=false GOTOOLCHAIN=local CGO_ENABLED=0 go build -o /dev/null . >&2
        run check
        find \"$GOMODCACHE\" -name 'uuid@*' -o -name '*.tmp-*'
        run trim --all --force
        find \"$GOMODCACHE\" -name '*.zip'";
    let output = with_mounts(&caches, script);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{said}");
    for (cache, before) in [&caches.modcache, &caches.gocache].iter().zip(&before) {
        support::assert_untouched(before, cache);
    }
}
