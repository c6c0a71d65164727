//! Running the binary under test.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::full_campaign;

/// The binary under test, with an environment that holds `PATH` and nothing
/// else: no GitHub, GitLab or Go variable of the machine that runs the tests.
pub fn gocachevet() -> Gocachevet {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gocachevet"));
    command.env_clear();
    // PATH: so that what the program may start is found. LLVM_PROFILE_FILE: so
    // that coverage can be measured.
    for name in ["PATH", "LLVM_PROFILE_FILE"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    // Not this project's own folder, where a configuration may lie.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    Gocachevet {
        command,
        stdin: Vec::new(),
    }
}

/// One call of the binary, being put together.
pub struct Gocachevet {
    command: Command,
    stdin: Vec<u8>,
}

impl Gocachevet {
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn dir(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// As a user without rights: where the tests run as root, as `nobody`. The
    /// binary is copied to `home`, which that user has to be able to enter.
    pub fn by_nobody(self, home: &Path) -> Self {
        use std::os::unix::fs::MetadataExt;
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65534;
        let copy = home.join("gocachevet");
        // By a program of its own: a file that this process has open for writing may
        // be inherited by another test's child, and then cannot be run.
        let mut copier = Command::new("cp");
        let copied = copier.arg(self.command.get_program()).arg(&copy).status();
        assert!(copied.unwrap().success());
        let mut command = Command::new(copy);
        command
            .env_clear()
            .current_dir(home)
            .args(self.command.get_args());
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        Self { command, ..self }
    }

    /// Under strace, which traces these calls into `log` and does to them what `inject`
    /// says, if anything.
    pub fn under_strace(self, calls: &str, inject: &str, log: &Path) -> Self {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-o"])
            .arg(log)
            .args(["-e", &format!("trace={calls}")]);
        if !inject.is_empty() {
            command.args(["-e", &format!("inject={inject}")]);
        }
        command
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .envs(
                self.command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .current_dir(self.command.get_current_dir().unwrap());
        let there = Command::new("strace").arg("-V").output();
        assert!(
            there.is_ok_and(|it| it.status.success()),
            "this test needs strace: tests/tools/install strace"
        );
        Self { command, ..self }
    }

    /// Runs it, and gives places to strike it at the next time, from its first of these
    /// calls to its last: as many as `short`, or `full` with `GOCACHEVET_CAMPAIGN=full`;
    /// each if there are fewer.
    pub fn places(self, calls: &str, short: usize, full: usize) -> (Run, Vec<usize>) {
        let log = tempfile::NamedTempFile::new().unwrap();
        let run = self.under_strace(calls, "", log.path()).run();
        // strace counts for each thread and call alone. However the threads share the work,
        // one of them comes to as many calls as each would in even shares.
        let mut counted: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
        let traced = std::fs::read_to_string(log.path()).unwrap();
        for line in traced.lines().filter(|line| !line.contains("resumed>")) {
            let (thread, call) = line.split_once(' ').unwrap();
            let name = call.trim_start().split('(').next().unwrap_or_default();
            if calls.split(',').any(|known| known == name) {
                *counted.entry(name).or_default().entry(thread).or_default() += 1;
            }
        }
        let even = |threads: &HashMap<&str, usize>| {
            threads.values().sum::<usize>().div_ceil(threads.len())
        };
        let most = counted.values().map(even).max().unwrap();
        let asked = if full_campaign() { full } else { short };
        let places = asked.min(most);
        assert!(places > 1, "{most} calls");
        let place = |place| 1 + place * (most - 1) / (places - 1);
        (run, (0..places).map(place).collect())
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Run {
        let mut line: Vec<OsString> = vec!["gocachevet".into()];
        line.extend(self.command.get_args().map(OsStr::to_owned));
        let mut child = self
            .command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The program may end without having read it: no fault of the test.
        let _ = child.stdin.take().unwrap().write_all(&self.stdin);
        let output = child.wait_with_output().unwrap();
        Run {
            line: line.join(OsStr::new(" ")).to_string_lossy().into_owned(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What a call came to.
#[derive(Debug)]
pub struct Run {
    /// The command line, for messages.
    pub line: String,
    /// Exit code; `None` after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// Fails with the whole output unless the exit code is `code`.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "exit code of {self}");
        self
    }

    /// Stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is no JSON ({error}) of {self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, .. } = self;
        writeln!(f, "`{line}` (code {code:?})")?;
        writeln!(f, "--- stdout\n{}--- stderr\n{}", self.stdout, self.stderr)
    }
}
