//! Programs of Go's own code, which answer line by line.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{GoEnv, copy_tree, make_writable};

/// A program of `tests/clients/`, with the very golang.org/x/mod that cmd/go was built from.
pub struct GosOwn {
    pub env: GoEnv,
    program: PathBuf,
}

impl GosOwn {
    /// Builds it; `beside` may put files of cmd/go (its first argument) into its folder
    /// (the other).
    pub fn build(name: &str, beside: impl FnOnce(&Path, &Path)) -> GosOwn {
        let mut env = GoEnv::new();
        env.with_std();
        let source = env.dir().join(name);
        copy_tree(&Path::new("tests/clients").join(name), &source);
        let goroot = env.go(env.dir(), ["env", "GOROOT"]);
        let cmd = Path::new(goroot.trim()).join("src/cmd");
        copy_tree(&cmd.join("vendor/golang.org/x/mod"), &source.join("mod"));
        make_writable(&source);
        let go_mod = "module golang.org/x/mod\n\ngo 1.24\n";
        fs::write(source.join("mod/go.mod"), go_mod).unwrap();
        beside(&cmd, &source);
        env.go(&source, ["build", "-o", "program", "."]);
        let program = source.join("program");
        GosOwn { env, program }
    }

    /// What it makes of each line: what follows "ok", or else "no".
    pub fn ask(&self, lines: &[String]) -> Vec<Result<String, String>> {
        let mut child = Command::new(&self.program)
            .env_clear()
            .env("TMPDIR", self.env.dir())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let asked = lines.concat();
        let writer = std::thread::spawn(move || input.write_all(asked.as_bytes()).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        let answers = String::from_utf8_lossy(&output.stdout);
        let answers = answers.lines().map(|line| match line.strip_prefix("ok ") {
            Some(said) => Ok(said.to_owned()),
            None => Err(line.strip_prefix("no").unwrap().trim().to_owned()),
        });
        let answers: Vec<_> = answers.collect();
        assert_eq!(answers.len(), lines.len());
        answers
    }
}
