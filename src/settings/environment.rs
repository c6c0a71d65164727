//! The world around the process.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The world as the process sees it, taken once at the door so that all the
/// rest is a function of it.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// Environment variables.
    pub vars: BTreeMap<OsString, OsString>,
    /// The current folder.
    pub cwd: PathBuf,
    /// `std::env::consts::OS`; its defaults differ per system.
    pub os: String,
    /// The processor's architecture, in Go's words.
    pub arch: String,
}

impl Environment {
    /// The environment of this process. A current folder that cannot be told
    /// (it was removed, or the platform has none) is the root.
    pub fn of_process() -> Environment {
        Environment {
            vars: std::env::vars_os().collect(),
            cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")),
            os: std::env::consts::OS.to_owned(),
            arch: go_arch().to_owned(),
        }
    }

    /// The system and architecture whose toolchains Go runs here, such as
    /// `linux-amd64`; `None` inside a WASI runtime that was told nothing.
    pub fn platform(&self) -> Option<String> {
        let os = match self.os.as_str() {
            "" | "wasi" => return None,
            "macos" => "darwin",
            os => os,
        };
        Some(format!("{os}-{}", self.arch))
    }

    /// A variable, if it is set and not empty: to Go both are the same.
    /// Windows does not tell upper case from lower in the names.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        let value = if self.is_windows() {
            self.vars
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        } else {
            self.vars.get(OsStr::new(name))
        };
        value
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }

    /// A path that a person typed, seen from the current folder and without
    /// `.` and `..` (taken off the text, as Go does it).
    pub fn resolve(&self, path: &Path) -> PathBuf {
        clean(&self.cwd.join(path))
    }

    pub(crate) fn is_windows(&self) -> bool {
        self.os == "windows"
    }

    /// Whether Go on this system takes `path` for absolute.
    pub(crate) fn is_absolute(&self, path: &OsStr) -> bool {
        let bytes = path.as_encoded_bytes();
        if !self.is_windows() {
            return bytes.first() == Some(&b'/');
        }
        match bytes {
            [b'\\' | b'/', b'\\' | b'/', ..] => true,
            [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
            _ => false,
        }
    }
}

/// What Go calls the architecture that this program was compiled for.
pub(crate) fn go_arch() -> &'static str {
    let little = cfg!(target_endian = "little");
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if little => "ppc64le",
        "powerpc64" => "ppc64",
        "mips" if little => "mipsle",
        "mips64" if little => "mips64le",
        "loongarch64" => "loong64",
        arch => arch,
    }
}

/// Takes `.` and `..` off a path's text, as Go's `filepath.Clean`.
pub(crate) fn clean(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut cleaned = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => match cleaned.components().next_back() {
                Some(Component::Normal(_)) => {
                    cleaned.pop();
                }
                Some(Component::RootDir | Component::Prefix(_)) => {}
                _ => cleaned.push(".."),
            },
            part => cleaned.push(part),
        }
    }
    if cleaned.as_os_str().is_empty() {
        cleaned.push(".");
    }
    cleaned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_dots() {
        for (path, cleaned) in [
            ("/a/./b/../c", "/a/c"),
            ("/../a", "/a"),
            ("a/..", "."),
            ("../a/../b", "../b"),
        ] {
            assert_eq!(clean(Path::new(path)), Path::new(cleaned), "{path}");
        }
    }

    #[test]
    fn absolute_is_what_the_system_says() {
        for (os, path, absolute) in [
            ("linux", "/a", true),
            ("linux", "C:\\a", false),
            ("windows", "C:\\a", true),
            ("windows", "c:/a", true),
            ("windows", "\\\\server\\share", true),
            ("windows", "C:a", false),
            ("windows", "\\a", false),
        ] {
            let environment = Environment {
                os: os.to_owned(),
                ..Environment::default()
            };
            assert_eq!(
                environment.is_absolute(OsStr::new(path)),
                absolute,
                "{os} {path}"
            );
        }
    }
}
