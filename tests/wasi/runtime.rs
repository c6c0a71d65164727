//! The modules under three WASI runtimes of different make.

use gocachevet::tested::sandbox::{self, Bounds, Guest};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::Run;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Enough for anything here, on a slow machine as well.
pub(crate) const BOUNDS: Bounds = Bounds {
    memory: 1 << 30,
    time: Duration::from_secs(600),
    output: 64 << 20,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runtime {
    /// The crate, by way of this program's own host: folders are read-only.
    Wasmtime,
    /// `wazero run`, folders mounted read-only.
    Wazero,
    /// Node's own WASI, which has no read-only folders.
    Node,
}

impl Runtime {
    pub(crate) const ALL: [Runtime; 3] = [Runtime::Wasmtime, Runtime::Wazero, Runtime::Node];

    /// Those that can be given folders to write to.
    pub(crate) const WRITING: [Runtime; 2] = [Runtime::Wazero, Runtime::Node];

    /// Runs `gocachevet ARGS`; `folders` have the same names inside and are
    /// read-only where the runtime can.
    #[track_caller]
    pub(crate) fn run(self, folders: &[&Path], args: &[&str]) -> Run {
        let folders: Vec<_> = folders.iter().map(|folder| same_name(folder)).collect();
        self.run_with(&folders, ":ro", args)
    }

    /// The same with folders that it may write to.
    #[track_caller]
    pub(crate) fn run_writing(self, folders: &[&Path], args: &[&str]) -> Run {
        assert!(Runtime::WRITING.contains(&self));
        let folders: Vec<_> = folders.iter().map(|folder| same_name(folder)).collect();
        self.run_with(&folders, "", args)
    }

    /// `folders`: here, and the name inside; `mode` is wazero's.
    #[track_caller]
    pub(crate) fn run_with(self, folders: &[(&Path, &str)], mode: &str, args: &[&str]) -> Run {
        let line = format!("{self:?}: gocachevet {}", args.join(" "));
        let mut command = match self {
            Runtime::Wasmtime => return in_this_process(line, folders, args),
            Runtime::Wazero => {
                let mut command = Command::new(wazero());
                command.args(["run", "-cachedir"]);
                command.arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("wazero"));
                for (here, there) in folders {
                    command.arg(format!("-mount={}:{there}{mode}", here.display()));
                }
                command
            }
            Runtime::Node => {
                let mut command = Command::new("node");
                command.arg(Path::new(ROOT).join("wasm/run.mjs"));
                for (here, there) in folders {
                    command.args(["--dir".to_owned(), format!("{}::{there}", here.display())]);
                }
                command
            }
        };
        let output = command
            .arg(module())
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("this test needs {:?}: {error}", command.get_program()));
        Run {
            line,
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Under Node, as a user who is not root, and who owns `folders`.
#[track_caller]
pub(crate) fn node_as_nobody(scratch: &Path, folders: &[&Path], args: &[&str]) -> Run {
    use std::os::unix::fs::{MetadataExt, chown};
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    let runner = scratch.join("run.mjs");
    std::fs::copy(Path::new(ROOT).join("wasm/run.mjs"), &runner).unwrap();
    let wasm = scratch.join("gocachevet.wasm");
    std::fs::copy(module(), &wasm).unwrap();
    let mut command = Command::new("node");
    command.arg(runner).current_dir(scratch);
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
        for entry in folders.iter().flat_map(walkdir::WalkDir::new) {
            chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }
    for folder in folders {
        command.arg("--dir").arg(folder);
    }
    let output = command.arg(wasm).args(args).output().unwrap();
    Run {
        line: format!("node, nobody: gocachevet {}", args.join(" ")),
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn same_name(folder: &Path) -> (&Path, &str) {
    (folder, folder.to_str().unwrap())
}

fn in_this_process(line: String, folders: &[(&Path, &str)], args: &[&str]) -> Run {
    let name = |(here, there): &(&Path, &str)| (here.to_path_buf(), (*there).to_owned());
    let guest = Guest {
        args: ["gocachevet"]
            .iter()
            .chain(args)
            .map(|arg| (*arg).to_owned())
            .collect(),
        folders: folders.iter().map(name).collect(),
        stdin: Vec::new(),
    };
    let module = std::fs::read(module()).unwrap();
    let finished = sandbox::run(&module, guest, &BOUNDS).unwrap();
    Run {
        line,
        code: Some(finished.status),
        stdout: String::from_utf8(finished.stdout).unwrap(),
        stderr: String::from_utf8(finished.stderr).unwrap(),
    }
}

/// What `wasm/build` makes.
fn module() -> PathBuf {
    let file = Path::new(ROOT).join("wasm/gocachevet.wasm");
    assert!(
        file.exists(),
        "this test needs {}: run wasm/build",
        file.display()
    );
    file
}

fn wazero() -> PathBuf {
    let installed = Path::new(ROOT).join(".tools/bin/wazero");
    if installed.exists() {
        installed
    } else {
        "wazero".into()
    }
}
