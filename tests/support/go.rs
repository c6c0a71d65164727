//! A private Go environment and the real `go` command in it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::command::{Gocachevet, gocachevet};
use super::shared;
use super::tree::{Scratch, copy_tree, copy_tree_fresh, make_writable};

/// A Go environment of its own: empty caches, home and `GOPATH` in a temporary
/// folder; no `go env` file, no toolchain switch, no checksum database;
/// modules come from the local [`proxy`](shared::proxy). Everything goes with it.
pub struct GoEnv {
    scratch: Scratch,
    /// `GOMODCACHE`; made by the first `go` command that needs it.
    pub modcache: PathBuf,
    /// `GOCACHE`; the same.
    pub gocache: PathBuf,
    pub gopath: PathBuf,
    pub home: PathBuf,
    vars: Vec<(OsString, OsString)>,
}

impl GoEnv {
    pub fn new() -> Self {
        let scratch = Scratch::new();
        let [modcache, gocache, gopath, home] =
            ["modcache", "gocache", "gopath", "home"].map(|name| scratch.path().join(name));
        std::fs::create_dir(&home).unwrap();
        let mut env = Self {
            scratch,
            modcache,
            gocache,
            gopath,
            home,
            vars: Vec::new(),
        };
        let (proxy, _) = shared::proxy();
        env.set("GOPROXY", &proxy);
        env
    }

    /// A folder for whatever else the test needs; goes with the environment.
    pub fn dir(&self) -> &Path {
        self.scratch.path()
    }

    /// The next job's machine has nothing.
    pub fn forget_caches(&self) {
        for cache in [&self.modcache, &self.gocache] {
            if cache.exists() {
                make_writable(cache);
                std::fs::remove_dir_all(cache).unwrap();
            }
        }
    }

    /// Sets a variable for every `go` command from now on, for example
    /// `GOPROXY=off` or `GOFLAGS=-modcacherw`.
    pub fn set(&mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.vars
            .push((name.as_ref().into(), value.as_ref().into()));
        self
    }

    /// Turns the checksum database on, answered from the local proxy: `go`
    /// then keeps its records in the module cache. It knows what
    /// [`MODULES`](shared::MODULES) lists and what the projects need.
    pub fn with_sumdb(&mut self) -> &mut Self {
        let (_, sumdb) = shared::proxy();
        self.set("GOSUMDB", &sumdb)
    }

    /// Puts the compiled standard library (what the projects use of it) into
    /// the still empty build cache, so that a build with these GOFLAGS takes a second,
    /// not twenty.
    pub fn with_std(&mut self) -> &mut Self {
        let mut flags = self.vars.iter().filter(|(name, _)| name == "GOFLAGS");
        let trimpath = flags.any(|(_, flags)| flags.to_string_lossy().contains("-trimpath"));
        copy_tree_fresh(&shared::std_cache(trimpath), &self.gocache);
        self
    }

    /// A `go` command line in `dir`, not started.
    pub fn command<S: AsRef<OsStr>>(
        &self,
        dir: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = Command::new("go");
        command.args(args).current_dir(dir).env_clear();
        for name in ["PATH", "GOGC", "GOMEMLIMIT"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", &self.home)
            .env("GOPATH", &self.gopath)
            .env("GOMODCACHE", &self.modcache)
            .env("GOCACHE", &self.gocache)
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOSUMDB", "off")
            .env("GOTELEMETRY", "off")
            // No C compiler is needed, and results do not depend on one.
            .env("CGO_ENABLED", "0")
            // The projects lie in this repository's work tree.
            .env("GOFLAGS", "-buildvcs=false")
            .envs(self.vars.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `go` in `dir` and gives its stdout; fails the test, showing
    /// everything it said, when it fails.
    #[track_caller]
    pub fn go<S: AsRef<OsStr>>(&self, dir: &Path, args: impl IntoIterator<Item = S>) -> String {
        let mut command = self.command(dir, args);
        let output = run(&mut command);
        assert_success(&command, &output);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs `go` in `dir`, whatever it comes to.
    #[track_caller]
    pub fn try_go<S: AsRef<OsStr>>(&self, dir: &Path, args: impl IntoIterator<Item = S>) -> Output {
        run(&mut self.command(dir, args))
    }

    /// Runs `go` with `GOPROXY=off`: the proof that the caches have all it takes.
    #[track_caller]
    pub fn go_offline<S: AsRef<OsStr>>(
        &self,
        dir: &Path,
        args: impl IntoIterator<Item = S>,
    ) -> String {
        let mut command = self.command(dir, args);
        let output = run(command.env("GOPROXY", "off"));
        assert_success(&command, &output);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// `go mod download` of `path@version`s (see [`MODULES`](shared::MODULES)).
    #[track_caller]
    pub fn download(&self, modules: &[&str]) {
        self.go(self.dir(), [&["mod", "download"], modules].concat());
    }

    /// Copies a project into this environment and gives its folder.
    pub fn project(&self, project: Project) -> PathBuf {
        let dir = self.dir().join("src").join(project.name());
        copy_tree(&project.source(), &dir);
        dir
    }

    /// The binary under test, told of these caches by `GOMODCACHE` and
    /// `GOCACHE`, with this environment's home.
    pub fn gocachevet(&self) -> Gocachevet {
        gocachevet()
            .env("HOME", &self.home)
            .env("GOPATH", &self.gopath)
            .env("GOMODCACHE", &self.modcache)
            .env("GOCACHE", &self.gocache)
            .env("GOENV", "off")
            .dir(self.dir())
    }
}

impl Default for GoEnv {
    fn default() -> Self {
        Self::new()
    }
}

#[track_caller]
pub(super) fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("this test needs the `go` command (1.24 or newer) in PATH: {error}")
    })
}

#[track_caller]
pub(super) fn assert_success(command: &Command, output: &Output) {
    assert!(
        output.status.success(),
        "{command:?} failed: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The small Go projects below `tests/support/projects/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Project {
    /// One module with three dependencies, a package with a test.
    Hello,
    /// A workspace (`go.work`) of two modules that want different versions of
    /// a third.
    Work,
    /// A module of Go 1.16, which needs the whole module graph, with a
    /// `+incompatible` dependency.
    Legacy,
}

impl Project {
    pub const ALL: [Self; 3] = [Self::Hello, Self::Work, Self::Legacy];

    pub fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Work => "work",
            Self::Legacy => "legacy",
        }
    }

    /// Where it lies in the repository: copy it, never build it there.
    pub fn source(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/support/projects")
            .join(self.name())
    }

    /// The patterns that stand for all its packages.
    pub fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Work => &["./app/...", "./lib/..."],
            Self::Hello | Self::Legacy => &["./..."],
        }
    }
}

/// Fresh caches that hold what a build of a project leaves behind.
pub struct Caches {
    pub env: GoEnv,
    pub modcache: PathBuf,
    pub gocache: PathBuf,
    /// The project's folder.
    pub project: PathBuf,
    pub kind: Project,
}

impl Caches {
    /// Builds all packages of the project, with `GOPROXY=off`.
    #[track_caller]
    pub fn build_offline(&self) {
        let args = [&["build"], self.kind.packages()].concat();
        self.env.go_offline(&self.project, args);
    }
}

/// Downloads and builds `project` with the real `go` in a new environment.
#[track_caller]
pub fn build_cache(project: Project) -> Caches {
    let mut env = GoEnv::new();
    env.with_std();
    let dir = env.project(project);
    env.go(&dir, ["mod", "download"]);
    let bin = env.dir().join("bin/");
    std::fs::create_dir(&bin).unwrap();
    let args = [&["build", "-o", bin.to_str().unwrap()], project.packages()];
    env.go(&dir, args.concat());
    Caches {
        modcache: env.modcache.clone(),
        gocache: env.gocache.clone(),
        project: dir,
        kind: project,
        env,
    }
}

/// Another package of a project, which has to be compiled.
pub fn add_package(project: &Path, name: &str) {
    let dir = project.join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let source = format!("package {name}\n\nfunc Name() string {{ return \"{name}\" }}\n");
    std::fs::write(dir.join(format!("{name}.go")), source).unwrap();
}
