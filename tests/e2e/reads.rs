//! What real `go` commands open below their caches, held against the list in
//! `verify::reads`; and a change planted in each line of that list.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use gocachevet::tested::reads::{self, READS, Read};
use support::{GoEnv, Project, Run, TOOLCHAIN, copy_tree, toolchain_cache};

/// Paths that a command opened, or tried to open, or ran.
#[derive(Default)]
struct Trace {
    opened: BTreeSet<PathBuf>,
}

impl Trace {
    /// Runs a command under `strace`.
    fn of(&mut self, command: &Command) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let mut traced = Command::new("strace");
        traced
            .args(["-f", "-qq", "-y", "-s", "4096", "-o"])
            .arg(log.path())
            .args(["-e", "trace=open,openat,openat2,creat,execve"])
            .arg(command.get_program())
            .args(command.get_args())
            .current_dir(command.get_current_dir().unwrap())
            .env_clear();
        for (name, value) in command.get_envs() {
            traced.env(name, value.unwrap_or_default());
        }
        let output = traced
            .output()
            .unwrap_or_else(|error| panic!("this test needs `strace` in PATH: {error}"));
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8_lossy(&fs::read(log.path()).unwrap()).into_owned();
        let mut opened = text.lines().filter_map(opened).peekable();
        assert!(opened.peek().is_some(), "nothing was traced of {command:?}");
        self.opened.extend(opened);
    }
}

/// The path in a line such as
/// `123 openat(AT_FDCWD</home>, "a/b", O_RDONLY) = 3</home/a/b>`.
fn opened(line: &str) -> Option<PathBuf> {
    let call = line.split_once(' ')?.1.trim_start();
    let arguments = call.split_once('(')?.1;
    let (before, quoted) = arguments.split_once('"')?;
    let name = quoted.split('"').next()?;
    let folder = before
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'));
    let path = match folder {
        Some((folder, _)) => Path::new(folder).join(name),
        None => PathBuf::from(name),
    };
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    Some(clean)
}

#[test]
fn a_line_of_the_trace_is_read() {
    for (line, want) in [
        (
            r#"1 openat(AT_FDCWD</w>, "a/../b", O_RDONLY) = 3</w/b>"#,
            Some("/w/b"),
        ),
        (
            r#"1 openat(7</mc/x>, "go.mod", O_RDONLY) = -1 ENOENT (No such file)"#,
            Some("/mc/x/go.mod"),
        ),
        (
            r#"1 execve("/mc/t/bin/go", ["go"], 0x7f /* 3 vars */) = 0"#,
            Some("/mc/t/bin/go"),
        ),
        ("1 --- SIGCHLD {si_signo=SIGCHLD} ---", None),
    ] {
        assert_eq!(opened(line), want.map(PathBuf::from), "{line}");
    }
}

/// Everything that was opened below the caches, by what the list says of it.
fn sorted<'a>(
    trace: &'a Trace,
    modcache: &Path,
    gocache: &Path,
) -> BTreeMap<&'static str, BTreeSet<&'a Path>> {
    let mut kinds: BTreeMap<_, BTreeSet<&Path>> = BTreeMap::new();
    let mut unlisted = Vec::new();
    for path in &trace.opened {
        let read: Option<&'static Read> = if let Ok(below) = path.strip_prefix(modcache) {
            reads::in_modcache(below.to_str().unwrap())
        } else if let Ok(below) = path.strip_prefix(gocache) {
            reads::in_buildcache(below.to_str().unwrap())
        } else {
            continue;
        };
        match read {
            Some(read) => {
                kinds.entry(read.what).or_default().insert(path);
            }
            None => unlisted.push(path),
        }
    }
    assert!(
        unlisted.is_empty(),
        "Go opens what the list does not have: {unlisted:#?}"
    );
    kinds
}

fn assert_seen(seen: &BTreeMap<&'static str, BTreeSet<&Path>>, wanted: &[&Read]) {
    for read in wanted {
        assert!(
            seen.contains_key(read.what),
            "no {} in {seen:#?}",
            read.what
        );
    }
}

#[test]
fn go_opens_nothing_below_its_caches_that_the_list_does_not_have() {
    let mut env = GoEnv::new();
    env.with_std().with_sumdb();
    let project = env.project(Project::Hello);
    let mut trace = Trace::default();
    for args in [
        &["mod", "download"][..],
        &["build", "./..."],
        &["test", "./..."],
        &["vet", "./..."],
        &["list", "-deps", "-test", "./..."],
        &["list", "-m", "-json", "github.com/BurntSushi/toml"],
        &["mod", "download", "-json"],
        &["mod", "verify"],
        &["mod", "graph"],
        &["run", "."],
        &["clean", "-testcache"],
    ] {
        trace.of(&env.command(&project, args));
    }
    // A tool of no project, as `go run PATH@VERSION` fetches it.
    let input = env.dir().join("input.toml");
    fs::write(&input, "a = 1\n").unwrap();
    let tool = "github.com/BurntSushi/toml/cmd/tomlv@v1.3.2";
    trace.of(&env.command(env.dir(), ["run", tool, input.to_str().unwrap()]));
    let seen = sorted(&trace, &env.modcache, &env.gocache);
    use reads::*;
    let wanted = [
        &TREE, &ZIP, &GO_MOD, &INFO, &ZIPHASH, &MARKER, &LIST, &TEMPORARY, &SUMDB, &ACTION,
        &OUTPUT, &STAMP,
    ];
    assert_seen(&seen, &wanted);
}

#[test]
fn neither_does_a_toolchain_switch() {
    let mut env = GoEnv::new();
    copy_tree(&toolchain_cache(), &env.modcache);
    env.set("GOTOOLCHAIN", TOOLCHAIN)
        .set("GOPROXY", "off")
        .set("GOSUMDB", "sum.golang.org");
    let project = package(&env, "p", "unicode/utf8");
    let mut trace = Trace::default();
    for args in [
        &["version"][..],
        &["build", "."],
        &["vet", "."],
        &["list", "std"],
    ] {
        trace.of(&env.command(&project, args));
    }
    let seen = sorted(&trace, &env.modcache, &env.gocache);
    assert_seen(&seen, &[&reads::TOOLCHAIN, &reads::ZIPHASH, &reads::SUMDB]);
    let ran = |name: &str| {
        seen["toolchain's tree"]
            .iter()
            .any(|path| path.ends_with(name))
    };
    assert!(ran("bin/go") && ran("compile") && ran("vet"));
}

#[test]
fn neither_does_a_build_with_a_fips_snapshot() {
    let mut env = GoEnv::new();
    env.set("GOFIPS140", "v1.0.0");
    let project = package(&env, "p", "crypto/sha256");
    let mut trace = Trace::default();
    for args in [&["list", "-deps", "."][..], &["build", "."]] {
        trace.of(&env.command(&project, args));
    }
    assert_seen(
        &sorted(&trace, &env.modcache, &env.gocache),
        &[&reads::FIPS],
    );
}

/// Makes a repository of this machine stand for `https://example.com/lib`.
fn origin_of_lib(env: &GoEnv) {
    let origin = env.dir().join("origin");
    fs::create_dir(&origin).unwrap();
    fs::write(origin.join("go.mod"), "module example.com/lib.git\n").unwrap();
    fs::write(
        origin.join("lib.go"),
        "package lib\n\nconst Name = \"lib\"\n",
    )
    .unwrap();
    fs::write(
        env.home.join(".gitconfig"),
        format!(
            "[url \"{}\"]\n\tinsteadOf = https://example.com/lib\n[safe]\n\tdirectory = *\n",
            origin.display()
        ),
    )
    .unwrap();
    for args in [
        &["init", "-q"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "commit",
            "-qm",
            "first",
        ],
        &["tag", "v1.0.0"],
    ] {
        let done = Command::new("git")
            .args(args)
            .current_dir(&origin)
            .output()
            .unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
    }
}

/// Makes Go clone it into the cache.
fn clone_of_lib(env: &GoEnv) {
    origin_of_lib(env);
    let mut download = env.command(env.dir(), ["mod", "download", "example.com/lib.git@v1.0.0"]);
    let done = download.env("GOPROXY", "direct").output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// A project of one package that imports another.
fn package(env: &GoEnv, name: &str, import: &str) -> PathBuf {
    let dir = env.dir().join(name);
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("go.mod"), "module p\n\ngo 1.24\n").unwrap();
    fs::write(
        dir.join("p.go"),
        format!("package p\n\nimport _ {import:?}\n"),
    )
    .unwrap();
    dir
}

#[test]
fn neither_does_a_build_from_a_clone() {
    let mut env = GoEnv::new();
    origin_of_lib(&env);
    env.set("GOPROXY", "direct");
    let project = env.dir().join("p");
    fs::create_dir(&project).unwrap();
    fs::write(
        project.join("go.mod"),
        "module p\n\ngo 1.24\n\nrequire example.com/lib.git v1.0.0\n",
    )
    .unwrap();
    fs::write(
        project.join("p.go"),
        "package p\n\nimport _ \"example.com/lib.git\"\n",
    )
    .unwrap();
    let mut trace = Trace::default();
    for args in [
        &["mod", "tidy"][..],
        &["build", "."],
        &["list", "-m", "-versions", "example.com/lib.git"],
    ] {
        trace.of(&env.command(&project, args));
    }
    assert_seen(
        &sorted(&trace, &env.modcache, &env.gocache),
        &[&reads::VCS, &reads::TREE],
    );
}

/// Caches with something of every kind that Go reads, and the project they serve.
struct Everything {
    env: GoEnv,
    project: PathBuf,
}

/// Of no project here: the checksum database has a record of it.
const TOOL: &str = "github.com/pkg/errors@v0.9.1";
/// Of no project either, and fetched with the checksum database off.
const STRAY: &str = "github.com/google/uuid@v1.6.0";

fn everything() -> Everything {
    let mut env = GoEnv::new();
    copy_tree(&toolchain_cache(), &env.modcache);
    env.with_std().with_sumdb();
    let project = env.project(Project::Hello);
    env.go(&project, ["build", "./..."]);
    env.download(&[TOOL]);
    env.set("GOSUMDB", "off");
    env.download(&[STRAY]);
    let fips = package(&env, "fips", "crypto/sha256");
    let mut list = env.command(&fips, ["list", "-deps", "."]);
    let listed = list.env("GOFIPS140", "v1.0.0").output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    clone_of_lib(&env);
    Everything { env, project }
}

impl Everything {
    fn check(&self, more: &[&str]) -> Run {
        self.env
            .gocachevet()
            .args([
                "check",
                "--verify=full",
                "--format=json",
                "--no-project-config",
            ])
            .arg("--project")
            .arg(&self.project)
            .args(more)
            .run()
    }

    /// The first file below a cache that the list calls so, and that `wanted` takes.
    fn find(&self, read: &Read, wanted: impl Fn(&str) -> bool) -> PathBuf {
        for (root, of) in [
            (
                &self.env.modcache,
                reads::in_modcache as fn(&str) -> Option<&'static Read>,
            ),
            (&self.env.gocache, reads::in_buildcache),
        ] {
            for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
                let entry = entry.unwrap();
                let below = entry.path().strip_prefix(root).unwrap().to_str().unwrap();
                if entry.file_type().is_file() && of(below) == Some(read) && wanted(below) {
                    return entry.into_path();
                }
            }
        }
        panic!("the caches have no {}", read.what)
    }
}

/// Changes a byte in the middle of a file, whatever its mode.
fn flip(path: &Path) {
    let mut content = fs::read(path).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    rewrite(path, &content);
}

fn rewrite(path: &Path, content: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, content).unwrap();
}

/// A change in a file of one kind, and the rule that has to speak of it.
struct Planted {
    read: &'static Read,
    wanted: fn(&str) -> bool,
    plant: fn(&Path),
    rules: &'static [&'static str],
    level: &'static str,
}

#[test]
fn a_change_in_each_line_of_the_list_is_told() {
    use reads::*;
    let any = |_: &str| true;
    let planted = |read, wanted, plant, rules, level| Planted {
        read,
        wanted,
        plant,
        rules,
        level,
    };
    let table = [
        planted(
            &TREE,
            |path| path.contains("toml@") && path.ends_with("decode.go"),
            flip,
            &["extracted-hash-mismatch"],
            "deny",
        ),
        planted(
            &TOOLCHAIN,
            |path| path.ends_with("src/fmt/print.go"),
            flip,
            &["extracted-hash-mismatch"],
            "deny",
        ),
        planted(
            &TOOLCHAIN,
            |path| path.ends_with("/go.mod"),
            flip,
            &["extracted-hash-mismatch"],
            "deny",
        ),
        planted(
            &FIPS,
            |path| path.ends_with(".go"),
            flip,
            &["extracted-hash-mismatch"],
            "deny",
        ),
        planted(
            &ZIP,
            |path| path.contains("toml"),
            flip,
            &["zip-invalid", "zip-hash-mismatch"],
            "deny",
        ),
        planted(
            &GO_MOD,
            |path| path.contains("toml"),
            flip,
            &["mod-hash-mismatch"],
            "deny",
        ),
        planted(
            &INFO,
            |path| path.contains("toml"),
            |path| {
                rewrite(
                    path,
                    br#"{"Version":"v9.9.9","Time":"2024-01-01T00:00:00Z"}"#,
                )
            },
            &["info-invalid"],
            "deny",
        ),
        planted(
            &ZIPHASH,
            |path| path.contains("toml"),
            |path| rewrite(path, b"h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4="),
            &["ziphash-mismatch"],
            "deny",
        ),
        planted(
            &MARKER,
            |path| path.contains("toml"),
            |path| fs::write(path.with_extension("partial"), "").unwrap(),
            &["extracted-incomplete"],
            "deny",
        ),
        planted(&TEMPORARY, any, |_| {}, &["partial-download"], "warn"),
        planted(
            &SUMDB,
            |path| path.contains("/lookup/"),
            flip,
            &["sumdb-mismatch"],
            "deny",
        ),
        planted(
            &VCS,
            |path| path.ends_with("/config"),
            |path| {
                let config = fs::read_to_string(path).unwrap();
                fs::write(path, config + "[core]\n\tfsmonitor = touch /tmp/never\n").unwrap();
            },
            &["vcs-unsafe"],
            "deny",
        ),
        planted(
            &ACTION,
            |path| path.ends_with("-a"),
            |path| rewrite(path, b"v1 nonsense\n"),
            &["action-invalid"],
            "warn",
        ),
        planted(
            &OUTPUT,
            |path| path.ends_with("-d"),
            flip,
            &["output-hash-mismatch"],
            "deny",
        ),
        planted(
            &STAMP,
            |path| path == "trim.txt",
            |path| fs::write(path, "9999999999").unwrap(),
            &["go-trim-stuck"],
            "warn",
        ),
        planted(&FOLDER, any, |_| {}, &["link-in-cache"], "deny"),
    ];
    let covered: BTreeSet<&str> = table.iter().map(|row| row.read.what).collect();
    for read in READS {
        assert!(
            covered.contains(read.what) || read.rules.is_empty(),
            "{}",
            read.what
        );
    }
    let whole = everything();
    fs::write(whole.env.gocache.join("trim.txt"), "1700000000").unwrap();
    let before = whole.check(&[]).expect_code(0);
    let report = before.json();
    let unproven = report["unproven"].as_array().unwrap();
    let is_unproven = |id: &str| unproven.iter().any(|one| one["subject"] == id);
    assert!(is_unproven(STRAY) && !is_unproven(TOOL), "{unproven:#?}");
    assert!(is_unproven(&format!("{TOOL}.info")), "{unproven:#?}");
    whole.check(&["--strict"]).expect_code(1);
    for row in &table {
        let undo: Box<dyn FnOnce()> = match row.read.what {
            // Not there in sound caches: made, and taken away again.
            "folders" => {
                let moved = whole.env.modcache.join("github.com/!burnt!sushi");
                let away = whole.env.dir().join("elsewhere");
                fs::rename(&moved, &away).unwrap();
                std::os::unix::fs::symlink(&away, &moved).unwrap();
                Box::new(move || {
                    fs::remove_file(&moved).unwrap();
                    fs::rename(&away, &moved).unwrap();
                })
            }
            "temporary files of a download" => {
                let zip = whole.find(&ZIP, |path| path.contains("toml"));
                let left = PathBuf::from(format!("{}123.tmp", zip.display()));
                fs::write(&left, "half").unwrap();
                Box::new(move || fs::remove_file(&left).unwrap())
            }
            _ => {
                let path = whole.find(row.read, row.wanted);
                let content = fs::read(&path).unwrap();
                let about = fs::metadata(&path).unwrap();
                (row.plant)(&path);
                Box::new(move || {
                    let _ = fs::remove_file(path.with_extension("partial"));
                    rewrite(&path, &content);
                    fs::set_permissions(&path, about.permissions()).unwrap();
                    let file = fs::File::open(&path).unwrap();
                    file.set_modified(about.modified().unwrap()).unwrap();
                })
            }
        };
        let run = whole.check(&[]);
        undo();
        let report = run.json();
        let told = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .any(|finding| {
                let rule = finding["rule"].as_str().unwrap();
                row.rules.contains(&rule) && finding["level"] == row.level
            });
        assert!(told, "{}: {:#}", row.read.what, report["findings"]);
        assert_eq!(run.code, Some(i32::from(row.level == "deny")), "{run}");
    }
    let after = whole.check(&[]).expect_code(0);
    assert_eq!(before.json()["findings"], after.json()["findings"]);
}

#[test]
fn the_list_has_each_kind_once() {
    let names: BTreeSet<&str> = READS.iter().map(|read| read.what).collect();
    assert_eq!(names.len(), READS.len());
}
