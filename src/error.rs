//! Why a command ended without a verdict. The kind decides the exit code and the
//! hint; the sources, kept to the top, make the text.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// What an error came from.
pub type Source = Box<dyn Error + Send + Sync>;

/// Why a command ended without a verdict.
///
/// No text repeats its source: [`CommandError::text`] joins them.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// What was asked for cannot be: exit code 2.
    #[error(transparent)]
    Usage(Source),
    /// What a person wrote is wrong, in a file or behind an option: exit code 2.
    #[error("{at}")]
    Input {
        /// The file, or the option, as it is shown.
        at: String,
        /// What is wrong.
        source: Source,
    },
    /// A file could not be read or written: exit code 3.
    #[error("{}", crate::findings::display_path(path))]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The work could not be done: exit code 3.
    #[error(transparent)]
    Work(Source),
    /// A step of the work failed: exit code 3.
    #[error("{doing}")]
    Failed {
        /// The step, or what it was about.
        doing: String,
        /// Why.
        source: Source,
    },
    /// Nobody reads on; no error at all.
    #[error("broken pipe")]
    BrokenPipe,
}

/// What is said of `ENOSYS`, wazero's answer to a write below a read-only mount.
const NOT_WRITABLE: &str = "the runtime has handed over that folder read-only: hand it over writable (for wazero: without `:ro`)";

impl CommandError {
    /// Something wrong in what a person wrote, in a file or behind an option.
    pub fn input<E: Into<Source>>(at: impl Into<String>) -> impl Fn(E) -> CommandError {
        let at = at.into();
        move |source| CommandError::Input {
            at: at.clone(),
            source: source.into(),
        }
    }

    /// A file that could not be read or written.
    pub fn file(path: impl AsRef<Path>) -> impl Fn(io::Error) -> CommandError {
        let path = path.as_ref().to_owned();
        move |source| CommandError::File {
            path: path.clone(),
            source,
        }
    }

    /// A step that failed.
    pub fn failed<E: Into<Source>>(doing: impl Into<String>) -> impl Fn(E) -> CommandError {
        let doing = doing.into();
        move |source| CommandError::Failed {
            doing: doing.clone(),
            source: source.into(),
        }
    }

    /// 2 wrong usage or configuration, 3 the work could not be done; nobody
    /// reading on is no failure.
    pub fn exit_code(&self) -> u8 {
        match self {
            CommandError::Usage(_) | CommandError::Input { .. } => 2,
            CommandError::File { .. } | CommandError::Work(_) | CommandError::Failed { .. } => 3,
            CommandError::BrokenPipe => 0,
        }
    }

    /// The error with all that it came from.
    pub fn text(&self) -> String {
        chain(self)
    }

    /// What to do about it, where the kind of the error tells.
    pub fn hint(&self) -> Option<&'static str> {
        let mut source: Option<&(dyn Error + 'static)> = Some(self);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<io::Error>() {
                return match (error.kind(), error.raw_os_error()) {
                    (_, Some(52)) if cfg!(target_family = "wasm") => Some(NOT_WRITABLE),
                    (io::ErrorKind::StorageFull, _) => Some("make room on that file system"),
                    (io::ErrorKind::NotFound, _) => {
                        Some("check the path, and that its folder is there")
                    }
                    (io::ErrorKind::PermissionDenied, _) => Some(
                        "this user may not do that there: see the owner and mode of the file and its folder",
                    ),
                    _ => None,
                };
            }
            source = error.source();
        }
        None
    }
}

/// An error with all that it came from.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> CommandError {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CommandError::BrokenPipe,
            _ => CommandError::Failed {
                doing: "writing the result".to_owned(),
                source: error.into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_and_the_sources_reach_the_top() {
        let full = || io::Error::from(io::ErrorKind::StorageFull);
        let pipe = io::Error::from(io::ErrorKind::BrokenPipe);
        let cases = [
            (CommandError::Usage("no".into()), 2, "no", false),
            (
                CommandError::input("--x")("is odd"),
                2,
                "--x: is odd",
                false,
            ),
            (
                CommandError::file("a/b")(full()),
                3,
                "a/b: no storage space",
                true,
            ),
            (
                CommandError::failed("packing")(CommandError::file("c")(full())),
                3,
                "packing: c: no storage space",
                true,
            ),
            (CommandError::from(pipe), 0, "broken pipe", false),
        ];
        for (error, code, text, hint) in cases {
            assert_eq!(error.exit_code(), code, "{error:?}");
            assert_eq!(error.text(), text, "{error:?}");
            assert_eq!(error.hint().is_some(), hint, "{error:?}");
        }
    }
}
