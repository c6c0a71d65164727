//! What real `go` commands open below their caches, held against the list in
//! `verify::reads`; and a change planted in each line of that list.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use gocachevet::verify::reads::{self, READS, Read};
use support::{GoEnv, Project, TOOLCHAIN, copy_tree, toolchain_cache};

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
    let project = env.dir().join("p");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("go.mod"), "module p\n\ngo 1.24\n").unwrap();
    fs::write(
        project.join("p.go"),
        "package p\n\nimport _ \"unicode/utf8\"\n",
    )
    .unwrap();
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
    let project = env.dir().join("p");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("go.mod"), "module p\n\ngo 1.24\n").unwrap();
    fs::write(
        project.join("p.go"),
        "package p\n\nimport _ \"crypto/sha256\"\n",
    )
    .unwrap();
    let mut trace = Trace::default();
    for args in [&["list", "-deps", "."][..], &["build", "."]] {
        trace.of(&env.command(&project, args));
    }
    assert_seen(
        &sorted(&trace, &env.modcache, &env.gocache),
        &[&reads::FIPS],
    );
}

#[test]
fn neither_does_a_build_from_a_clone() {
    let mut env = GoEnv::new();
    // A repository of this machine stands for the one on the network.
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

#[test]
fn the_list_has_each_kind_once() {
    let names: BTreeSet<&str> = READS.iter().map(|read| read.what).collect();
    assert_eq!(names.len(), READS.len());
}
