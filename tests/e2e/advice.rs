//! Advice is followed by a machine here: for every rule a fault is planted in
//! caches that the real `go` made, the advice of the finding is carried out as
//! it is written, and the finding has to be gone.
//!
//! A new rule needs a row in [`ROWS`]; `every_rule_has_a_row` says so.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::{
    Caches, GoEnv, MODULES, Project, Scratch, build_cache, copy_tree, gocachevet, make_writable,
    proxy,
};

/// A fault, and what its advice comes to.
struct Row {
    /// The rule that is to be broken.
    rule: &'static str,
    /// The command that finds it, with its options.
    with: &'static [&'static str],
    plant: fn(&mut Stage),
    cure: Cure,
}

enum Cure {
    /// The advice has commands. Each of them, alone and on a fresh stage, makes
    /// the finding go.
    Commands,
    /// The advice tells a person what to do. This is that person.
    Person(fn(&mut Stage)),
    /// The advice is that there is nothing to do; the finding is a note.
    Nothing,
    /// It takes what not every machine has (a network, a mount, a module for
    /// the sandbox): this function in this file of the repository shows it.
    Elsewhere(&'static str, &'static str),
}
use Cure::{Commands, Elsewhere, Nothing, Person};

const CHECK: &[&str] = &["check"];
const DOCTOR: &[&str] = &["doctor"];

const ROWS: &[Row] = &[
    Row {
        rule: "zip-hash-mismatch",
        with: CHECK,
        plant: Stage::poison_zip,
        cure: Commands,
    },
    Row {
        rule: "extracted-hash-mismatch",
        with: CHECK,
        plant: |s| append(&s.tree().join("decode.go"), "\n"),
        cure: Commands,
    },
    Row {
        rule: "mod-hash-mismatch",
        with: CHECK,
        plant: |s| append(&s.piece("mod"), "// changed\n"),
        cure: Commands,
    },
    Row {
        rule: "ziphash-mismatch",
        with: CHECK,
        plant: |s| write(&s.piece("ziphash"), ""),
        cure: Commands,
    },
    // go.sum says one thing, the signed log another: that is for a person.
    Row {
        rule: "sumdb-mismatch",
        with: CHECK,
        plant: |s| {
            s.with_records();
            let other = MODULES[0].1;
            s.edit("go.sum", |text| {
                format!("{text}github.com/pkg/errors v0.9.1/go.mod {other}\n")
            });
        },
        cure: Person(|s| {
            copy_over(
                &Project::Hello.source().join("go.sum"),
                &s.project.join("go.sum"),
            )
        }),
    },
    Row {
        rule: "sumdb-mismatch",
        with: CHECK,
        plant: |s| {
            s.with_records();
            let latest = s.home.join("go/pkg/sumdb/sum.golang.org/latest");
            fs::create_dir_all(latest.parent().unwrap()).unwrap();
            write(&latest, "no note");
        },
        cure: Commands,
    },
    Row {
        rule: "sumdb-unproven",
        with: CHECK,
        plant: |s| {
            s.with_records();
            let records = s
                .modcache
                .join("cache/download/sumdb/sum.golang.org/lookup");
            fs::remove_file(records.join(ERRORS)).unwrap();
        },
        cure: Nothing,
    },
    Row {
        rule: "zip-invalid",
        with: CHECK,
        plant: |s| cut(&s.piece("zip"), 1000),
        cure: Commands,
    },
    Row {
        rule: "extracted-incomplete",
        with: CHECK,
        plant: |s| {
            fs::remove_file(s.tree().join("decode.go")).unwrap();
            write(&s.piece("partial"), "");
        },
        cure: Commands,
    },
    Row {
        rule: "extracted-incomplete",
        with: CHECK,
        plant: |s| {
            fs::remove_file(s.piece("zip")).unwrap();
            fs::remove_file(s.piece("ziphash")).unwrap();
        },
        cure: Commands,
    },
    Row {
        rule: "info-invalid",
        with: CHECK,
        plant: |s| write(&s.piece("info"), "{"),
        cure: Commands,
    },
    Row {
        rule: "drift",
        with: CHECK,
        plant: |s| {
            s.run("gocachevet check --record --format json");
            let other = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            write(&s.piece("ziphash"), other);
        },
        cure: Commands,
    },
    Row {
        rule: "partial-download",
        with: CHECK,
        plant: |s| write(&s.piece("zip123456.tmp"), "half"),
        cure: Commands,
    },
    Row {
        rule: "orphan-file",
        with: CHECK,
        plant: |s| {
            fs::remove_dir_all(s.tree()).unwrap();
            fs::remove_file(s.piece("zip")).unwrap();
        },
        cure: Commands,
    },
    Row {
        rule: "orphan-file",
        with: CHECK,
        plant: |s| fs::remove_file(s.piece("mod")).unwrap(),
        cure: Commands,
    },
    Row {
        rule: "orphan-file",
        with: CHECK,
        plant: |s| fs::remove_file(s.piece("ziphash")).unwrap(),
        cure: Commands,
    },
    Row {
        rule: "unexpected-file",
        with: CHECK,
        plant: |s| write(&s.piece("exe"), "MZ"),
        cure: Person(|s| fs::remove_file(s.piece("exe")).unwrap()),
    },
    Row {
        rule: "lone-lock",
        with: CHECK,
        plant: |s| {
            let folder = s.modcache.join("cache/download/example.com/none/@v");
            fs::create_dir_all(&folder).unwrap();
            write(&folder.join("v1.0.0.lock"), "");
        },
        cure: Nothing,
    },
    Row {
        rule: "output-hash-mismatch",
        with: CHECK,
        plant: |s| {
            let output = s.output();
            let mut bytes = fs::read(&output).unwrap();
            bytes[500] ^= 1;
            write(&output, bytes);
        },
        cure: Commands,
    },
    Row {
        rule: "output-size-mismatch",
        with: CHECK,
        plant: |s| cut(&s.output(), 500),
        cure: Commands,
    },
    Row {
        rule: "action-invalid",
        with: CHECK,
        plant: |s| write(&s.entry("-a", 0), "v1 nonsense"),
        cure: Commands,
    },
    Row {
        rule: "output-missing",
        with: CHECK,
        plant: |s| fs::remove_file(s.output()).unwrap(),
        cure: Nothing,
    },
    Row {
        rule: "output-orphan",
        with: CHECK,
        plant: |s| {
            s.gocache();
            let id = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
            // What is empty is one that entries name; so take another.
            let id = if s.gocache.join("e3").join(format!("{id}-d")).exists() {
                "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" // `x`
            } else {
                id
            };
            let content = if id.starts_with("2d") { "x" } else { "" };
            write(&s.gocache.join(&id[..2]).join(format!("{id}-d")), content);
        },
        cure: Commands,
    },
    Row {
        rule: "go-trim-stuck",
        with: DOCTOR,
        plant: |s| {
            s.age_builds(10);
            write(&s.gocache.join("trim.txt"), seconds(0));
        },
        cure: Commands,
    },
    Row {
        rule: "go-trim-stuck",
        with: DOCTOR,
        plant: |s| {
            s.gocache();
            write(&s.gocache.join("trim.txt"), seconds(-2));
        },
        cure: Commands,
    },
    Row {
        rule: "go-trim-stuck",
        with: CHECK,
        plant: |s| {
            s.age_builds(10);
            write(&s.gocache.join("trim.txt"), seconds(0));
        },
        cure: Commands,
    },
    Row {
        rule: "ledger-invalid",
        with: CHECK,
        plant: |s| write(&s.modcache.join("cache/gocachevet-ledger.json"), "{"),
        cure: Commands,
    },
    // Of a limit on size that fuzzing alone crosses.
    Row {
        rule: "over-threshold",
        with: &["check", "--max-gocache-size", "1GB"],
        plant: |s| {
            s.gocache();
            let seeds = s.gocache.join("fuzz/example.com/hello/FuzzX");
            fs::create_dir_all(&seeds).unwrap();
            let seed = File::create(seeds.join("0123456789abcdef")).unwrap();
            seed.set_len(2_000_000_000).unwrap();
        },
        cure: Commands,
    },
    Row {
        rule: "over-threshold",
        with: &["check", "--max-age", "30d"],
        plant: |s| {
            fs::remove_dir_all(&s.project).unwrap(); // nothing is needed
            s.project = s.dir().to_owned();
            s.age_builds(40);
            s.age_modules(40);
        },
        cure: Commands,
    },
    Row {
        rule: "over-threshold",
        with: &["check", "--max-findings", "0"],
        plant: |s| cut(&s.piece("zip"), 1000),
        cure: Commands,
    },
    Row {
        rule: "unreadable",
        with: CHECK,
        plant: |s| {
            write(
                &s.project.join("go.work"),
                "go 1.21\n\nuse (\n\t.\n\t./gone\n)\n",
            )
        },
        cure: Person(|s| {
            fs::create_dir(s.project.join("gone")).unwrap();
            write(
                &s.project.join("gone/go.mod"),
                "module example.com/gone\n\ngo 1.21\n",
            );
        }),
    },
    Row {
        rule: "policy",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/wasi/main.rs",
            "the_example_policy_wants_proof_from_outside_the_cache",
        ),
    },
    Row {
        rule: "setting-invalid",
        with: DOCTOR,
        plant: |s| s.set("GOCACHE", "off"),
        cure: Commands,
    },
    Row {
        rule: "setting-invalid",
        with: DOCTOR,
        plant: |s| s.go_env_w("GOCACHE=off"),
        cure: Commands,
    },
    Row {
        rule: "setting-invalid",
        with: DOCTOR,
        plant: |s| s.set("GOMODCACHE", "relative/mod"),
        cure: Commands,
    },
    Row {
        rule: "setting-invalid",
        with: DOCTOR,
        plant: |s| s.set("GOFLAGS", "'-tags=a"),
        cure: Commands,
    },
    Row {
        rule: "setting-invalid",
        with: DOCTOR,
        plant: |s| s.set("GOPROXY", " , "),
        cure: Commands,
    },
    Row {
        rule: "setting-invalid",
        with: DOCTOR,
        plant: |s| s.set("GOSUMDB", "sum.example.org"),
        cure: Commands,
    },
    // Neither a home nor a variable: `go build` ends at once.
    Row {
        rule: "setting-invalid",
        with: DOCTOR,
        plant: |s| {
            s.unset("HOME");
            s.unset("GOCACHE");
            s.set("GOENV", "off");
            let said = s.run("go build ./...");
            assert!(
                text(&said.stderr).contains("could not be located"),
                "{said:?}"
            );
        },
        cure: Commands,
    },
    Row {
        rule: "setting-ignored",
        with: DOCTOR,
        plant: |s| s.set("GONOSUMCHECK", "1"),
        cure: Commands,
    },
    Row {
        rule: "setting-ignored",
        with: DOCTOR,
        plant: |s| append(&s.home.join("env"), "GONOSUMCHECK=1\n"),
        cure: Commands,
    },
    Row {
        rule: "proxy-unreached",
        with: DOCTOR,
        plant: |s| s.set("GOPROXY", "direct,https://p.example"),
        cure: Commands,
    },
    Row {
        rule: "proxy-unreached",
        with: DOCTOR,
        plant: |s| s.go_env_w("GOPROXY=direct,https://p.example"),
        cure: Commands,
    },
    Row {
        rule: "proxy-fallback",
        with: DOCTOR,
        plant: |s| s.set("GOPROXY", "https://p.example|direct"),
        cure: Commands,
    },
    Row {
        rule: "proxy-mixed",
        with: DOCTOR,
        plant: |s| s.set("GOPROXY", "https://p.example,https://q.example"),
        cure: Person(|s| s.set("GOPROXY", "https://p.example")),
    },
    Row {
        rule: "proxy-failed",
        with: DOCTOR,
        plant: |_| {},
        cure: Elsewhere("tests/remote/online.rs", ""),
    },
    Row {
        rule: "proxy-disagrees",
        with: DOCTOR,
        plant: |_| {},
        cure: Elsewhere("tests/remote/online.rs", ""),
    },
    Row {
        rule: "sumdb-off",
        with: DOCTOR,
        plant: |s| s.set("GOSUMDB", "off"),
        cure: Commands,
    },
    Row {
        rule: "sumdb-off",
        with: DOCTOR,
        plant: |s| s.go_env_w("GOSUMDB=off"),
        cure: Commands,
    },
    Row {
        rule: "sumdb-skipped",
        with: DOCTOR,
        plant: |s| s.set("GOPRIVATE", "corp.example,github.com/*"),
        cure: Commands,
    },
    Row {
        rule: "sumdb-skipped",
        with: DOCTOR,
        plant: |s| s.go_env_w("GONOSUMDB=*"),
        cure: Commands,
    },
    Row {
        rule: "sumdb-skipped",
        with: DOCTOR,
        plant: |s| s.set("GOINSECURE", "git.corp.example"),
        cure: Commands,
    },
    Row {
        rule: "private-exposed",
        with: DOCTOR,
        plant: |s| {
            s.set("GOPROXY", "https://proxy.golang.org,direct");
            s.edit("go.mod", |text| {
                text + "\nrequire git.corp.internal/x v1.0.0\n"
            });
        },
        cure: Commands,
    },
    Row {
        rule: "private-exposed",
        with: DOCTOR,
        plant: |s| {
            s.set("GOPROXY", "https://proxy.golang.org,direct");
            s.go_env_w("GONOSUMDB=corp.example");
        },
        cure: Commands,
    },
    Row {
        rule: "mod-mod-in-ci",
        with: DOCTOR,
        plant: |s| {
            s.set("CI", "true");
            s.set("GOFLAGS", "-mod=mod -trimpath");
        },
        cure: Commands,
    },
    Row {
        rule: "modcache-writable",
        with: DOCTOR,
        plant: |s| s.go_env_w("GOFLAGS=-modcacherw"),
        cure: Commands,
    },
    Row {
        rule: "cache-overlap",
        with: DOCTOR,
        plant: |s| {
            let inside = s.modcache.join("build");
            fs::create_dir(&inside).unwrap();
            s.set("GOCACHE", inside);
        },
        cure: Commands,
    },
    Row {
        rule: "cache-overlap",
        with: DOCTOR,
        plant: |s| {
            let inside = s.dir().join("outer/mod");
            fs::create_dir_all(&inside).unwrap();
            s.set("GOCACHE", s.dir().join("outer"));
            s.set("GOMODCACHE", inside);
        },
        cure: Commands,
    },
    Row {
        rule: "cache-in-workspace",
        with: DOCTOR,
        plant: |s| {
            let inside = s.project.join("gocache");
            fs::create_dir(&inside).unwrap();
            s.set("GOCACHE", inside);
        },
        cure: Commands,
    },
    // Root gives the cache to somebody else; anybody else takes away the right
    // to write.
    Row {
        rule: "cache-owner",
        with: DOCTOR,
        plant: plant_owner,
        cure: Commands,
    },
    Row {
        rule: "cache-unwritable",
        with: DOCTOR,
        plant: |s| {
            let file = s.dir().join("no-folder");
            write(&file, "");
            s.set("GOCACHE", file.join("go-build"));
            let said = s.run("go build ./...");
            assert!(
                text(&said.stderr).contains("failed to initialize build cache"),
                "{said:?}"
            );
        },
        cure: Commands,
    },
    Row {
        rule: "disk-low",
        with: DOCTOR,
        plant: |_| {},
        cure: Elsewhere(
            "src/doctor/tests.rs",
            "room_for_what_is_still_to_be_fetched_is_asked_for",
        ),
    },
    Row {
        rule: "case-folding",
        with: DOCTOR,
        plant: |_| {},
        cure: Elsewhere("src/doctor/tests.rs", "the_file_systems_say_what_they_do"),
    },
    Row {
        rule: "no-access-times",
        with: DOCTOR,
        plant: |_| {},
        cure: Elsewhere("src/doctor/tests.rs", "the_file_systems_say_what_they_do"),
    },
    Row {
        rule: "restore-hazard",
        with: DOCTOR,
        plant: |s| s.set("CI", "true"),
        cure: Commands,
    },
    Row {
        rule: "toolchain-download",
        with: DOCTOR,
        plant: |s| {
            let folder = s.modcache.join("cache/download/golang.org/toolchain/@v");
            fs::create_dir_all(&folder).unwrap();
            write(&folder.join("v0.0.1-go1.99.0.linux-amd64.zip"), "");
        },
        cure: Commands,
    },
    Row {
        rule: "toolchain-switch",
        with: DOCTOR,
        plant: |s| s.set("GOTOOLCHAIN", "go1.99.0"),
        cure: Commands,
    },
    Row {
        rule: "toolchain-switch",
        with: DOCTOR,
        plant: |s| s.edit("go.mod", |text| text.replace("go 1.21", "go 1.99.0")),
        cure: Person(|s| s.edit("go.mod", |text| text.replace("go 1.99.0", "go 1.21"))),
    },
    Row {
        rule: "go-sum-missing",
        with: DOCTOR,
        plant: |s| {
            s.edit("go.sum", |text| {
                let kept = text
                    .lines()
                    .filter(|line| !line.starts_with("gopkg.in/yaml.v3 v3.0.1/"));
                kept.map(|line| format!("{line}\n")).collect()
            });
        },
        cure: Commands,
    },
    Row {
        rule: "go-sum-unused",
        with: DOCTOR,
        plant: |s| {
            let sum = "h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            s.edit("go.sum", |text| {
                format!("{text}example.com/left v1.0.0 {sum}\n")
            });
        },
        cure: Commands,
    },
    Row {
        rule: "project-uncounted",
        with: DOCTOR,
        plant: |s| {
            fs::create_dir(s.project.join("tools")).unwrap();
            write(
                &s.project.join("tools/go.mod"),
                "module example.com/tools\n\ngo 1.21\n",
            );
        },
        cure: Person(|s| s.options = vec!["--projects-under".into(), s.project.clone().into()]),
    },
    // The build fails for it, and works after the advice.
    Row {
        rule: "source-times",
        with: DOCTOR,
        plant: plant_one_time,
        cure: Commands,
    },
    Row {
        rule: "checkout-times",
        with: DOCTOR,
        plant: plant_checkout,
        cure: Commands,
    },
    // Lines that differ: the one that is right is known here.
    Row {
        rule: "conflicting-claims",
        with: CHECK,
        plant: |s| {
            let other = MODULES[0].1;
            s.edit("go.sum", |text| {
                format!("{text}github.com/BurntSushi/toml v1.4.0/go.mod {other}\n")
            });
        },
        cure: Person(|s| {
            copy_over(
                &Project::Hello.source().join("go.sum"),
                &s.project.join("go.sum"),
            )
        }),
    },
    Row {
        rule: "toolchain-unproven",
        with: CHECK,
        plant: |s| {
            let other = MODULES[0].1;
            s.edit("go.sum", |text| {
                format!("{text}golang.org/toolchain v0.0.1-go1.24.0.linux-amd64 {other}\n")
            });
        },
        cure: Person(|s| {
            copy_over(
                &Project::Hello.source().join("go.sum"),
                &s.project.join("go.sum"),
            )
        }),
    },
    Row {
        rule: "fips-unproven",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/trust.rs",
            "a_fips_snapshot_is_held_against_the_go_installation",
        ),
    },
    Row {
        rule: "mod-unproven",
        with: CHECK,
        plant: |s| {
            // The test proxy does not answer for all of the checksum database.
            s.go_env_w("GOSUMDB=off");
            s.edit("go.sum", |text| {
                let lines = text
                    .lines()
                    .filter(|line| !line.contains("toml v1.4.0/go.mod"));
                lines.map(|line| format!("{line}\n")).collect()
            });
        },
        cure: Commands,
    },
    Row {
        rule: "no-trust",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/trust.rs",
            "a_poisoned_cache_that_agrees_with_itself_is_unproven",
        ),
    },
    Row {
        rule: "unproven",
        with: CHECK,
        plant: |s| {
            s.edit("go.sum", |text| {
                let lines = text.lines().filter(|line| !line.contains("toml"));
                lines.map(|line| format!("{line}\n")).collect()
            });
        },
        // The project that lists it is this one.
        cure: Person(|s| {
            copy_over(
                &Project::Hello.source().join("go.sum"),
                &s.project.join("go.sum"),
            )
        }),
    },
    Row {
        rule: "info-unproven",
        with: CHECK,
        plant: |_| {},
        cure: Nothing,
    },
    Row {
        rule: "link-in-cache",
        with: CHECK,
        plant: |s| {
            let (info, aside) = (s.piece("info"), s.dir().join("aside"));
            fs::rename(&info, &aside).unwrap();
            std::os::unix::fs::symlink(&aside, &info).unwrap();
        },
        cure: Commands,
    },
    Row {
        rule: "snapshot-damaged",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/snapshots.rs",
            "a_tampered_frame_is_left_out_and_the_next_save_replaces_it",
        ),
    },
    Row {
        rule: "seal-missing",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/seals.rs",
            "without_a_seal_nothing_comes_that_nothing_proves",
        ),
    },
    Row {
        rule: "seal-invalid",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/seals.rs",
            "a_manifest_that_another_key_signed_is_refused",
        ),
    },
    Row {
        rule: "seal-expired",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/seals.rs",
            "seals_of_another_branch_or_time_do_not_count",
        ),
    },
    Row {
        rule: "seal-wrong-ref",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/seals.rs",
            "seals_of_another_branch_or_time_do_not_count",
        ),
    },
    Row {
        rule: "seal-rolled-back",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/seals.rs",
            "an_older_sealed_snapshot_is_told_by_its_counter",
        ),
    },
    Row {
        rule: "seal-broken-unit",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/seals.rs",
            "caches_on_disk_are_held_against_what_was_sealed",
        ),
    },
    Row {
        rule: "vcs-unsafe",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/vcs.rs",
            "what_git_would_run_is_denied_and_repaired",
        ),
    },
    Row {
        rule: "vcs-unproven",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/vcs.rs",
            "a_clone_as_go_left_it_passes_and_is_called_unproven",
        ),
    },
    Row {
        rule: "project-file",
        with: CHECK,
        plant: |s| {
            let sums = s.project.join("go.sum");
            fs::rename(&sums, s.project.join("real.sum")).unwrap();
            std::os::unix::fs::symlink("real.sum", &sums).unwrap();
            fs::create_dir(s.project.join(".git")).unwrap();
        },
        cure: Person(|s| {
            let sums = s.project.join("go.sum");
            fs::remove_file(&sums).unwrap();
            fs::rename(s.project.join("real.sum"), &sums).unwrap();
        }),
    },
    // What `trim --repair` takes away of the checksum database is shown there.
    Row {
        rule: "sumdb-mismatch",
        with: CHECK,
        plant: |_| {},
        cure: Elsewhere(
            "tests/e2e/repair.rs",
            "damaged_files_of_the_checksum_database_go",
        ),
    },
];

fn plant_owner(s: &mut Stage) {
    s.gocache();
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        for entry in walkdir::WalkDir::new(&s.gocache) {
            std::os::unix::fs::lchown(entry.unwrap().path(), Some(65534), Some(65534)).unwrap();
        }
    } else {
        fs::set_permissions(&s.modcache, fs::Permissions::from_mode(0o555)).unwrap();
    }
}

/// A step sets all sources to one time; then one of equal length is changed.
fn plant_one_time(s: &mut Stage) {
    s.gocache();
    for (name, package) in [("one", "one"), ("two", "two")] {
        fs::create_dir(s.project.join(name)).unwrap();
        write(
            &s.project.join(name).join("x.go"),
            format!("package {package}\n\nconst X = 1\n"),
        );
    }
    let user = s.project.join("user");
    fs::create_dir(&user).unwrap();
    let source = |name: &str| {
        format!("package user\n\nimport \"example.com/hello/{name}\"\n\nconst X = {name}.X\n")
    };
    let touch = "find . -name '*.go' -exec touch -d 2020-01-01T00:00:00Z {} +";
    write(&user.join("x.go"), source("one"));
    assert!(s.run(&format!("{touch}; go build ./user")).status.success());
    write(&user.join("x.go"), source("two"));
    let said = s.run(&format!("{touch}; go build ./user"));
    assert!(text(&said.stderr).contains("could not import"), "{said:?}");
    assert!(s.run("GODEBUG=goindex=0 go build ./user").status.success());
    s.afterwards = Some("go build ./user");
}

/// A test that reads a file, its result, and then the checkout of the next job.
fn plant_checkout(s: &mut Stage) {
    s.gocache();
    s.set("CI", "true");
    let reads = "package greet\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestReads(t *testing.T) {\n\tif _, err := os.ReadFile(\"x.txt\"); err != nil {\n\t\tt.Fatal(err)\n\t}\n}\n";
    write(&s.project.join("greet/reads_test.go"), reads);
    write(&s.project.join("greet/x.txt"), "x");
    let commit = "git init -q . && git add -A && \
        GIT_COMMITTER_DATE=2020-01-01T00:00:00Z git -c user.name=x -c user.email=x@example.com commit -qm x";
    let done = s.run(commit);
    assert!(done.status.success(), "git is needed: {done:?}");
    let times = "git ls-files | while read -r file; do touch -d \"@$(git log -1 --format=%ct -- \"$file\")\" \"$file\"; done";
    let done = s.run(&format!("{times}; go test ./greet"));
    assert!(done.status.success(), "{done:?}");
    let again = s.run("go test ./greet");
    assert!(text(&again.stdout).contains("(cached)"), "{again:?}");
    s.run("git ls-files | xargs touch");
    let new = s.run("cp -r \"$GOCACHE\" ../kept && GOCACHE=$PWD/../kept go test ./greet");
    assert!(!text(&new.stdout).contains("(cached)"), "{new:?}");
    s.afterwards = Some("go test ./greet | grep -F '(cached)'");
}

/// Copies of real caches, a project, and what the shell of a job has.
struct Stage {
    scratch: Scratch,
    modcache: PathBuf,
    gocache: PathBuf,
    project: PathBuf,
    home: PathBuf,
    vars: BTreeMap<OsString, OsString>,
    /// More options of the command that finds the fault.
    options: Vec<OsString>,
    /// What has to work when the advice was followed.
    afterwards: Option<&'static str>,
}

const ERRORS: &str = "github.com/pkg/errors@v0.9.1";

const TOML: &str = "github.com/!burnt!sushi/toml";

fn pristine() -> &'static Caches {
    static PRISTINE: OnceLock<Caches> = OnceLock::new();
    PRISTINE.get_or_init(|| build_cache(Project::Hello))
}

impl Stage {
    fn new() -> Stage {
        let scratch = Scratch::new();
        let [modcache, gocache, project, home, bin] =
            ["mc", "gc", "project", "home", "bin"].map(|name| scratch.path().join(name));
        copy_tree(&pristine().modcache, &modcache);
        copy_tree(&Project::Hello.source(), &project);
        for dir in [&gocache, &home, &bin] {
            fs::create_dir(dir).unwrap();
        }
        write(&home.join("env"), "");
        let binary = env!("CARGO_BIN_EXE_gocachevet");
        std::os::unix::fs::symlink(binary, bin.join("gocachevet")).unwrap();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
        let mut stage = Stage {
            vars: BTreeMap::new(),
            options: Vec::new(),
            afterwards: None,
            scratch,
            modcache,
            gocache,
            project,
            home,
        };
        stage.set("PATH", std::env::join_paths(paths).unwrap());
        let of_stage = [
            ("HOME", stage.home.clone()),
            ("GOENV", stage.home.join("env")),
            ("GOMODCACHE", stage.modcache.clone()),
            ("GOCACHE", stage.gocache.clone()),
        ];
        for (name, value) in of_stage {
            stage.set(name, value);
        }
        for (name, value) in [
            ("GOTELEMETRY", "off"),
            ("GOTOOLCHAIN", "local"),
            ("CGO_ENABLED", "0"),
        ] {
            stage.set(name, value);
        }
        // In the env file, where a variable of the stage outranks it.
        stage.go_env_w(&format!("GOPROXY={}", proxy().0));
        stage.go_env_w("GOSUMDB=sum.golang.org");
        stage.go_env_w("GOFLAGS=-buildvcs=false");
        stage
    }

    fn dir(&self) -> &Path {
        self.scratch.path()
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.vars.insert(name.into(), value.into());
    }

    fn unset(&mut self, name: &str) {
        self.vars.remove(&OsString::from(name));
    }

    /// Like `go env -w`, and as quick as a file.
    fn go_env_w(&mut self, line: &str) {
        let (key, _) = line.split_once('=').unwrap();
        let file = self.home.join("env");
        let text = fs::read_to_string(&file).unwrap();
        let others = text
            .lines()
            .filter(|old| !old.starts_with(&format!("{key}=")));
        let lines: Vec<&str> = others.chain([line]).collect();
        write(&file, lines.join("\n") + "\n");
        self.unset(key);
    }

    /// A shell of the job: what `script` sets holds for what comes after it.
    fn run(&self, script: &str) -> Output {
        let mut command = Command::new("sh");
        let command = command.args(["-c", script]).env_clear().envs(&self.vars);
        command.current_dir(&self.project).output().unwrap()
    }

    /// The findings of a rule after a script in the same shell.
    fn findings(&self, row: &Row, script: &str) -> Vec<Value> {
        let options = row.with.iter().map(OsString::from);
        let words: Vec<String> = options
            .chain(self.options.iter().cloned())
            .chain(["--format", "json", "--no-project-config"].map(OsString::from))
            .map(|word| format!("'{}'", word.to_string_lossy()))
            .collect();
        let output = self.run(&format!(
            "{{ {script}\n}} >&2 || exit 99; exec gocachevet {}",
            words.join(" ")
        ));
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{}: {script}: {error}: {output:?}", row.rule));
        let findings = report["findings"].as_array().unwrap().iter();
        findings
            .filter(|finding| finding["rule"] == row.rule)
            .cloned()
            .collect()
    }

    fn piece(&self, suffix: &str) -> PathBuf {
        self.modcache
            .join(format!("cache/download/{TOML}/@v/v1.4.0.{suffix}"))
    }

    fn tree(&self) -> PathBuf {
        let tree = self.modcache.join(format!("{TOML}@v1.4.0"));
        make_writable(&tree);
        tree
    }

    /// Fills the build cache, which few faults need.
    fn gocache(&self) {
        if !self.gocache.join("00").exists() {
            fs::remove_dir(&self.gocache).unwrap();
            copy_tree(&pristine().gocache, &self.gocache);
        }
    }

    /// An entry of the build cache with an ending and more than so many bytes.
    fn entry(&self, ending: &str, bytes: u64) -> PathBuf {
        self.gocache();
        let mut found: Vec<PathBuf> = walkdir::WalkDir::new(&self.gocache)
            .into_iter()
            .map(Result::unwrap)
            .filter(|entry| entry.file_type().is_file())
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(ending))
            .filter(|entry| entry.metadata().unwrap().len() > bytes)
            .map(walkdir::DirEntry::into_path)
            .collect();
        found.sort();
        found.swap_remove(0)
    }

    fn output(&self) -> PathBuf {
        self.entry("-d", 1000)
    }

    /// All entries of the build cache were last used so many days ago.
    fn age_builds(&self, days: u64) {
        self.gocache();
        age(&self.gocache, days);
    }

    fn age_modules(&self, days: u64) {
        age(&self.modcache, days);
    }

    fn edit(&self, file: &str, change: impl Fn(String) -> String) {
        let file = self.project.join(file);
        let text = fs::read_to_string(&file).unwrap();
        write(&file, change(text));
    }

    /// The caches anew, with the checksum database's records.
    fn with_records(&mut self) {
        static RECORDED: OnceLock<GoEnv> = OnceLock::new();
        let recorded = RECORDED.get_or_init(|| {
            let mut env = GoEnv::new();
            env.with_sumdb();
            env.download(&[ERRORS, "golang.org/x/sync@v0.7.0"]);
            env
        });
        make_writable(&self.modcache);
        fs::remove_dir_all(&self.modcache).unwrap();
        copy_tree(&recorded.modcache, &self.modcache);
    }

    /// Makes the zip anew with one file changed, as whoever poisons a cache would.
    fn poison_zip(&mut self) {
        let script = r"
import sys, zipfile
old = zipfile.ZipFile(sys.argv[1])
entries = [(info, old.read(info)) for info in old.infolist()]
with zipfile.ZipFile(sys.argv[1], 'w', zipfile.ZIP_DEFLATED) as new:
    for info, content in entries:
        new.writestr(info.filename, content + (b'\n' if info.filename.endswith('decode.go') else b''))
";
        let zip = self.piece("zip");
        fs::set_permissions(&zip, fs::Permissions::from_mode(0o644)).unwrap();
        let done = Command::new("python3")
            .args(["-c", script])
            .arg(&zip)
            .status();
        assert!(done.expect("python3 is needed to write zips").success());
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    if path.exists() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    fs::write(path, content).unwrap();
}

fn append(path: &Path, content: &str) {
    let mut bytes = fs::read(path).unwrap();
    bytes.extend_from_slice(content.as_bytes());
    write(path, bytes);
}

fn cut(path: &Path, length: usize) {
    let bytes = fs::read(path).unwrap();
    write(path, &bytes[..length]);
}

fn copy_over(from: &Path, to: &Path) {
    write(to, fs::read(from).unwrap());
}

/// Sets the times of all files below.
fn age(root: &Path, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(days * 24 * 60 * 60);
    let times = FileTimes::new().set_accessed(then).set_modified(then);
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        if !entry.file_type().is_symlink() {
            File::open(entry.path()).unwrap().set_times(times).unwrap();
        }
    }
}

/// Seconds since the epoch, so many days ago.
fn seconds(days: i64) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap();
    (i64::try_from(now.as_secs()).unwrap() - days * 24 * 60 * 60).to_string()
}

/// What a command line can begin with.
const PROGRAMS: &[&str] = &[
    "chmod",
    "chown",
    "echo",
    "export",
    "find",
    "git",
    "go",
    "gocachevet",
    "rm",
    "sed",
    "unset",
];

/// The commands in backticks.
fn commands(advice: &str) -> BTreeSet<String> {
    let spans = advice.split('`').skip(1).step_by(2);
    let is_command = |span: &&str| {
        let mut words = span.split(' ');
        words.next().is_some_and(|first| PROGRAMS.contains(&first)) && words.next().is_some()
    };
    spans.filter(is_command).map(str::to_owned).collect()
}

fn follow(row: &Row) {
    let plant = || {
        let mut stage = Stage::new();
        (row.plant)(&mut stage);
        stage
    };
    if let Elsewhere(file, function) = row.cure {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let source = fs::read_to_string(&file).unwrap();
        let shown = source.contains(row.rule) || source.contains(&format!("fn {function}("));
        assert!(shown, "{}: {}", row.rule, file.display());
        return;
    }
    let mut stage = plant();
    let found = stage.findings(row, ":");
    assert!(!found.is_empty(), "{}: not found", row.rule);
    let advice: BTreeSet<&str> = found
        .iter()
        .map(|finding| finding["help"].as_str().unwrap())
        .collect();
    let gone = |stage: &Stage, script: &str| {
        let left = stage.findings(row, script);
        assert_eq!(
            left,
            Vec::<Value>::new(),
            "{}: still there after {script}",
            row.rule
        );
        if let Some(works) = stage.afterwards {
            let done = stage.run(works);
            assert!(done.status.success(), "{}: {works}: {done:?}", row.rule);
        }
    };
    match &row.cure {
        Nothing => {
            for finding in &found {
                assert_eq!(finding["level"], "note", "{finding}");
            }
            for advice in advice {
                let nothing = ["Harmless", "Nothing to do"];
                assert!(
                    nothing.iter().any(|word| advice.starts_with(word)),
                    "{}: {advice}",
                    row.rule
                );
            }
        }
        Person(cures) => {
            cures(&mut stage);
            gone(&stage, ":");
        }
        Commands => {
            let commands: BTreeSet<String> = advice.into_iter().flat_map(commands).collect();
            assert!(
                !commands.is_empty(),
                "{}: no command in {found:?}",
                row.rule
            );
            let mut stages = std::iter::once(stage).chain(std::iter::repeat_with(plant));
            for command in &commands {
                let stage = stages.next().unwrap();
                // What names this stage's own folders names the next one's.
                let own = &stage.findings(row, ":")[0]["help"];
                let own = self::commands(own.as_str().unwrap());
                let command = match own.contains(command) {
                    true => command.clone(),
                    false => own
                        .iter()
                        .find(|own| own.split(' ').next() == command.split(' ').next())
                        .unwrap()
                        .clone(),
                };
                gone(&stage, &command);
            }
        }
        Elsewhere(..) => unreachable!(),
    }
}

/// Follows the advice of all rows, a few at a time, and tells all that failed.
fn follow_all(rows: Vec<&'static Row>) {
    let half = rows.len().div_ceil(2).max(1);
    let failed: Vec<&str> = thread::scope(|scope| {
        let workers: Vec<_> = rows
            .chunks(half)
            .map(|part| {
                scope.spawn(move || {
                    let fails =
                        |row: &&&'static Row| std::panic::catch_unwind(|| follow(row)).is_err();
                    part.iter()
                        .filter(fails)
                        .map(|row| row.rule)
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(failed, Vec::<&str>::new(), "what each said is above");
}

#[test]
fn advice_of_check_works_when_it_is_followed() {
    follow_all(ROWS.iter().filter(|row| row.with[0] == "check").collect());
}

#[test]
fn advice_of_doctor_works_when_it_is_followed() {
    follow_all(ROWS.iter().filter(|row| row.with[0] == "doctor").collect());
}

#[test]
fn every_rule_has_a_row() {
    let run = gocachevet().arg("explain").run().expect_code(0);
    let rules: BTreeSet<&str> = run
        .stdout
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    let rows: BTreeSet<&str> = ROWS.iter().map(|row| row.rule).collect();
    assert_eq!(rules, rows);
}

/// A trim that removes less than it was asked to says that it is for the grace.
#[test]
fn a_trim_that_the_grace_holds_back_says_so() {
    let stage = Stage::new();
    let half = stage.piece("zip123456.tmp");
    write(&half, vec![0; 5_000_000]);
    let trim = |more: &str| {
        let done = stage.run(&format!("gocachevet trim --verify off {more}"));
        assert!(done.status.success(), "{done:?}");
        text(&done.stdout)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let said = trim("");
    let why = "5.00 MB more would go, but were used within the grace";
    assert!(said.contains(why) && half.exists(), "{said}");
    let said = trim("--grace 0s");
    assert!(!said.contains("grace") && !half.exists(), "{said}");
}

/// Where the project gives advice, or shows how it is used.
fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for place in [
        "src",
        "docs",
        "action",
        "examples",
        "templates",
        "README.md",
        "action.yml",
    ] {
        for entry in walkdir::WalkDir::new(root.join(place))
            .into_iter()
            .flatten()
        {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let ending = path.extension().and_then(|ending| ending.to_str());
            let of_tests = [
                "tests.rs",
                "samples.rs",
                "sample-cache",
                "/target/",
                "node_modules",
            ];
            let is_text = matches!(ending, Some("rs" | "md" | "mjs" | "yml" | "yaml" | "json"));
            if entry.file_type().is_file()
                && is_text
                && !of_tests.iter().any(|part| name.contains(part))
            {
                let text = fs::read_to_string(path).unwrap();
                texts.push((name, text));
            }
        }
    }
    assert!(texts.len() > 100, "{}", texts.len());
    texts
}

/// The command lines in a text that begin with a program: those in backticks,
/// and, outside of code of the program itself, those that stand on lines of
/// their own.
fn lines_with(name: &str, text: &str, program: &str) -> BTreeSet<String> {
    let mut text = text.to_owned();
    if name.ends_with(".rs") {
        // Strings go on after a backslash; tests and comments advise nobody.
        text = text
            .split("\n#[cfg(test)]\nmod tests {")
            .next()
            .unwrap()
            .to_owned();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        text = code.collect::<Vec<_>>().join("\n");
    }
    let mut joined = String::new();
    for part in text.split("\\\n") {
        joined.push_str(if joined.is_empty() {
            part
        } else {
            part.trim_start()
        });
    }
    let mut lines = BTreeSet::new();
    for line in joined.lines() {
        for span in line.split('`').skip(1).step_by(2) {
            lines.insert(span.to_owned());
        }
        let alone = line
            .trim_start()
            .trim_start_matches("- ")
            .trim_start_matches("run: ");
        if !name.ends_with(".rs") && !name.ends_with(".mjs") && !line.contains('`') {
            lines.insert(alone.to_owned());
        }
    }
    // `a && b` and what a shell or a table has behind a command.
    let ends = ["&&", "||", " | ", " > ", " # ", "; ", "  "];
    let mut commands = BTreeSet::new();
    for line in lines {
        let mut rest = line.as_str();
        for end in ends {
            rest = rest.split(end).next().unwrap_or(rest);
        }
        let all = line.split("&&").map(str::trim).chain([rest]);
        for command in all {
            let command = ends
                .iter()
                .fold(command, |command, end| command.split(end).next().unwrap());
            let begins = command
                .strip_prefix(program)
                .is_some_and(|rest| rest.starts_with(' '));
            if begins && !command.contains("${") && !command.contains('…') {
                commands.insert(command.trim_end_matches(['.', ':']).to_owned());
            }
        }
    }
    commands
}

/// A public key, of Go's checksum database.
const SOME_KEY: &str = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// Words of a command line, with something in place of what is filled in later.
fn words(command: &str) -> Vec<String> {
    let mut plain = String::new();
    let command = command
        .replace("\"$@\"", "")
        .replace("\"$VET_GRACE\"", "24h")
        .replace("--digest DIGEST", &format!("--digest {:064}", 0))
        .replace("\"$PUBLIC\"", SOME_KEY);
    let mut rest = command.as_str();
    // `{name}` of a format string and `$NAME` of a shell.
    while let Some(at) = rest.find(['{', '$']) {
        plain.push_str(&rest[..at]);
        plain.push('1');
        rest = rest[at + 1..].trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '_');
        rest = rest.strip_prefix('}').unwrap_or(rest);
    }
    plain.push_str(rest);
    plain
        .split_whitespace()
        .map(|word| word.replace(['"', '\'', '[', ']'], ""))
        .collect()
}

/// Every command of this program that a text names, its own grammar takes.
#[test]
fn commands_that_advice_names_are_there() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (name, text) in texts() {
        for command in lines_with(&name, &text, "gocachevet") {
            if !seen.insert(command.clone()) {
                continue;
            }
            // Read to its end, and not carried out.
            let run = gocachevet().args(&words(&command)[1..]).arg("--help").run();
            if run.code != Some(0) {
                let said = run.stderr.lines().next().unwrap_or_default().to_owned();
                wrong.push(format!("{name}: `{command}`: {said}"));
            }
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
    assert_eq!(wrong, Vec::<String>::new());
}

/// Every `go` command that a text names is there, with the flags that it names.
#[test]
fn commands_of_go_that_advice_names_are_there() {
    let help = |words: &[&str]| {
        let output = Command::new("go").arg("help").args(words).output().unwrap();
        output.status.success().then(|| text(&output.stdout))
    };
    let of_builds = help(&["build"]).unwrap() + &help(&["testflag"]).unwrap();
    let mut known: BTreeMap<Vec<String>, Option<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (name, text) in texts() {
        for command in lines_with(&name, &text, "go") {
            let words = words(&command);
            let is_name = |word: &&String| word.chars().all(|c| c.is_ascii_lowercase());
            let sub: Vec<String> = match words.get(1..) {
                Some([group, sub, ..]) if ["mod", "work"].contains(&group.as_str()) => {
                    vec![group.clone(), sub.clone()]
                }
                Some([sub, ..]) => vec![sub.clone()],
                _ => continue,
            };
            // `go 1.24` and `go index v` are lines of files.
            let in_prose = ["index", "object", "build", "line"].contains(&sub[0].as_str())
                && words.len() > 3
                && sub[0] != "build";
            if !is_name(&&sub[0]) || in_prose {
                continue;
            }
            seen += 1;
            let about = known.entry(sub.clone()).or_insert_with(|| {
                let words: Vec<&str> = sub.iter().map(String::as_str).collect();
                help(&words)
            });
            let Some(about) = about else {
                wrong.push(format!("{name}: `{command}`: no such command"));
                continue;
            };
            for flag in words.iter().skip(2).filter(|word| word.starts_with('-')) {
                let flag = flag.split('=').next().unwrap().replace("--", "-");
                if !about.contains(&flag) && !of_builds.contains(&flag) {
                    wrong.push(format!("{name}: `{command}`: no {flag}"));
                }
            }
        }
    }
    assert!(seen > 20, "{seen}");
    assert_eq!(wrong, Vec::<String>::new());
}
