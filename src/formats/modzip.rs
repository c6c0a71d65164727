//! The rules for names and sizes in a module zip.
//!
//! Source: `golang.org/x/mod/zip/zip.go` (`checkZip`, `collisionChecker`). Go
//! holds a zip against them when it extracts it, not when it hashes it.

mod collisions;

use super::module::{self, ModuleError, ModuleVersion, PathProblem};
use collisions::Collisions;

/// The largest module zip, and the largest sum of its files' sizes, in bytes.
pub const MAX_ZIP_BYTES: u64 = 500 << 20;

/// The largest `go.mod` in a module zip, in bytes.
pub const MAX_GO_MOD_BYTES: u64 = 16 << 20;

/// The largest `LICENSE` in a module zip's root, in bytes.
pub const MAX_LICENSE_BYTES: u64 = 16 << 20;

/// The longest name that is looked at, in bytes. Go has no such limit; no
/// common system can extract a longer one.
pub const MAX_NAME_BYTES: usize = 4096;

/// How many violations are listed; the others are only counted.
pub const MAX_LISTED: usize = 100;

/// A rule that a zip breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The entry's name as stored; empty if it is about the whole zip.
    pub name: Vec<u8>,
    /// The rule.
    pub problem: ZipProblem,
}

/// The rules for module zips, each by its breach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipProblem {
    /// The zip's own module version is none.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// The zip file is larger than [`MAX_ZIP_BYTES`].
    #[error("zip file of {0} bytes; the limit is {MAX_ZIP_BYTES}")]
    ZipTooLarge(u64),
    /// The files together are larger than [`MAX_ZIP_BYTES`].
    #[error("content is too large; the limit is {MAX_ZIP_BYTES} bytes")]
    ContentTooLarge,
    /// The name does not start with `path@version/`.
    #[error("name does not start with {0:?}")]
    Prefix(String),
    /// The name is not UTF-8.
    #[error("name is not UTF-8")]
    NotUtf8,
    /// The name is longer than [`MAX_NAME_BYTES`].
    #[error("name of {0} bytes")]
    NameTooLong(usize),
    /// The name has elements such as `..`, reserved names or characters not allowed.
    #[error("unsafe name: {0}")]
    Unsafe(PathProblem),
    /// Two names differ only in case.
    #[error("differs only in case from {0:?}")]
    CaseCollision(String),
    /// One name is a file and a folder.
    #[error("is both a file and a folder")]
    FileAndFolder,
    /// Two files have one name.
    #[error("several files of this name")]
    Duplicate,
    /// A link, device or the like, or a folder whose name lacks the final slash.
    #[error("not a regular file")]
    NotRegular,
    /// A `go.mod` below the root.
    #[error("go.mod not in the module's root")]
    GoModNotAtRoot,
    /// A `go.mod` with upper-case letters in its name.
    #[error("go.mod not in lower case")]
    GoModCase,
    /// A `go.mod` larger than [`MAX_GO_MOD_BYTES`].
    #[error("go.mod of {0} bytes; the limit is {MAX_GO_MOD_BYTES}")]
    GoModTooLarge(u64),
    /// A `LICENSE` larger than [`MAX_LICENSE_BYTES`].
    #[error("LICENSE of {0} bytes; the limit is {MAX_LICENSE_BYTES}")]
    LicenseTooLarge(u64),
}

/// What came of looking through a zip's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ZipReview {
    /// The first [`MAX_LISTED`] violations.
    pub violations: Vec<Violation>,
    /// How many more there are.
    pub more: usize,
    /// Names of folder entries, as stored. They are allowed, but Go hashes each
    /// as an empty file, which an extracted tree can never show.
    pub folders: Vec<Vec<u8>>,
    /// Number of file entries.
    pub files: u64,
    /// Sum of the declared sizes of well-named files, in bytes.
    pub bytes: u64,
}

/// Looks through the entries of a zip one by one.
#[derive(Debug)]
pub struct ZipRules {
    prefix: String,
    collisions: Collisions,
    review: ZipReview,
    too_large_said: bool,
}

impl ZipRules {
    /// Rules for the zip of `module`, whose file has `zip_bytes` bytes.
    pub fn new(module: &ModuleVersion, zip_bytes: u64) -> Self {
        let mut rules = Self {
            prefix: module.zip_prefix(),
            collisions: Collisions::default(),
            review: ZipReview::default(),
            too_large_said: false,
        };
        if let Err(error) = module::check(module) {
            rules.violation(b"", error.into());
        }
        if zip_bytes > MAX_ZIP_BYTES {
            rules.violation(b"", ZipProblem::ZipTooLarge(zip_bytes));
        }
        rules
    }

    /// Looks at an entry: its name as stored, its declared uncompressed size,
    /// and whether its attributes make it a folder, link or device. To Go a
    /// folder is what has a final slash, whatever the attributes say.
    pub fn add(&mut self, name: &[u8], size: u64, irregular: bool) {
        if let Err(problem) = self.check(name, size, irregular) {
            self.violation(name, problem);
        }
    }

    /// What came of it.
    pub fn finish(self) -> ZipReview {
        self.review
    }

    fn check(&mut self, name: &[u8], size: u64, irregular: bool) -> Result<(), ZipProblem> {
        let is_folder = name.ends_with(b"/");
        if is_folder {
            self.review.folders.push(name.to_vec());
        } else {
            self.review.files += 1;
        }
        if name.len() > MAX_NAME_BYTES {
            return Err(ZipProblem::NameTooLong(name.len()));
        }
        let Some(inner) = name.strip_prefix(self.prefix.as_bytes()) else {
            return Err(ZipProblem::Prefix(self.prefix.clone()));
        };
        if inner.is_empty() {
            return Ok(());
        }
        let inner = std::str::from_utf8(inner).map_err(|_| ZipProblem::NotUtf8)?;
        let path = inner.strip_suffix('/').unwrap_or(inner);
        // A leading slash, "." and ".." are among what this refuses.
        module::check_file_path(path).map_err(|e| ZipProblem::Unsafe(e.problem))?;
        self.collisions.add(path, is_folder)?;
        if is_folder {
            return Ok(());
        }
        if irregular {
            return Err(ZipProblem::NotRegular);
        }
        let base = path.rsplit('/').next().unwrap_or(path);
        if collisions::fold(base) == "go.mod" {
            if base != path {
                return Err(ZipProblem::GoModNotAtRoot);
            }
            if base != "go.mod" {
                return Err(ZipProblem::GoModCase);
            }
        }
        match self.review.bytes.checked_add(size) {
            Some(bytes) if bytes <= MAX_ZIP_BYTES => self.review.bytes = bytes,
            _ if !self.too_large_said => {
                self.too_large_said = true;
                self.violation(b"", ZipProblem::ContentTooLarge);
            }
            _ => {}
        }
        match path {
            "go.mod" if size > MAX_GO_MOD_BYTES => Err(ZipProblem::GoModTooLarge(size)),
            "LICENSE" if size > MAX_LICENSE_BYTES => Err(ZipProblem::LicenseTooLarge(size)),
            _ => Ok(()),
        }
    }

    fn violation(&mut self, name: &[u8], problem: ZipProblem) {
        if self.review.violations.len() < MAX_LISTED {
            self.review.violations.push(Violation {
                name: name.to_vec(),
                problem,
            });
        } else {
            self.review.more += 1;
        }
    }
}

/// Looks through all entries of a zip; see [`ZipRules`].
pub fn review_names<N: AsRef<[u8]>>(
    module: &ModuleVersion,
    zip_bytes: u64,
    entries: impl IntoIterator<Item = (N, u64, bool)>,
) -> ZipReview {
    let mut rules = ZipRules::new(module, zip_bytes);
    for (name, size, irregular) in entries {
        rules.add(name.as_ref(), size, irregular);
    }
    rules.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn module() -> ModuleVersion {
        ModuleVersion::new("x.y/z", "v1.0.0")
    }

    fn review(names: &[&str]) -> ZipReview {
        review_names(
            &module(),
            1000,
            names
                .iter()
                .map(|n| (format!("x.y/z@v1.0.0/{n}"), 10, false)),
        )
    }

    /// Each violation's name below the prefix, and its text.
    fn problems(review: &ZipReview) -> Vec<(String, String)> {
        let name = |v: &Violation| String::from_utf8_lossy(&v.name).replace("x.y/z@v1.0.0/", "");
        review
            .violations
            .iter()
            .map(|v| (name(v), v.problem.to_string()))
            .collect()
    }

    #[test]
    fn a_sound_zip() {
        let sound = review(&[
            "go.mod",
            "LICENSE",
            "a/b.go",
            "a/",
            "a/c d.go",
            "日本.txt",
            "",
        ]);
        assert_eq!(sound.violations, []);
        assert_eq!(sound.files, 5);
        assert_eq!(sound.bytes, 50);
        assert_eq!(
            sound.folders,
            [b"x.y/z@v1.0.0/a/".to_vec(), b"x.y/z@v1.0.0/".to_vec()]
        );
    }

    #[test]
    fn each_rule() {
        for (names, offender, want) in [
            (
                &["../../etc/passwd"][..],
                "../../etc/passwd",
                "unsafe name: path element of dots only",
            ),
            (
                &["/etc/passwd"],
                "/etc/passwd",
                "unsafe name: empty path element",
            ),
            (&["a//b"], "a//b", "unsafe name: double slash"),
            (&["./a"], "./a", "unsafe name: path element of dots only"),
            (&["a\\b"], "a\\b", "unsafe name: invalid character '\\\\'"),
            (
                &["nul.go"],
                "nul.go",
                "unsafe name: path element \"nul\" is reserved on Windows",
            ),
            (&["a.go", "a.go"], "a.go", "several files of this name"),
            (
                &["a.go", "A.go"],
                "A.go",
                "differs only in case from \"a.go\"",
            ),
            (&["K/x", "k/y"], "k/y", "differs only in case from \"K\""),
            (&["a", "a/b"], "a/b", "is both a file and a folder"),
            (&["a/b", "a"], "a", "is both a file and a folder"),
            (&["a", "a/"], "a/", "is both a file and a folder"),
            (
                &["sub/go.mod"],
                "sub/go.mod",
                "go.mod not in the module's root",
            ),
            (
                &["sub/GO.mod"],
                "sub/GO.mod",
                "go.mod not in the module's root",
            ),
            (&["GO.MOD"], "GO.MOD", "go.mod not in lower case"),
        ] {
            let problems = problems(&review(names));
            assert_eq!(
                problems,
                [(offender.to_owned(), want.to_owned())],
                "{names:?}"
            );
        }
    }

    #[test]
    fn names_outside_the_prefix_or_odd() {
        let entries = [
            (b"x.y/z@v1.0.1/a".to_vec(), 1, false),
            (b"x.y/z@v1.0.0/\xff".to_vec(), 1, false),
            (b"x.y/z@v1.0.0/link".to_vec(), 1, true),
            (
                [b"x.y/z@v1.0.0/".to_vec(), vec![b'a'; 5000]].concat(),
                1,
                false,
            ),
        ];
        let problems: Vec<_> = review_names(&module(), 1, entries)
            .violations
            .into_iter()
            .map(|v| v.problem)
            .collect();
        assert_eq!(
            problems,
            [
                ZipProblem::Prefix("x.y/z@v1.0.0/".to_owned()),
                ZipProblem::NotUtf8,
                ZipProblem::NotRegular,
                ZipProblem::NameTooLong(5013),
            ]
        );
    }

    #[test]
    fn sizes() {
        let sized = |entries: &[(&str, u64)]| {
            let entries = entries
                .iter()
                .map(|(n, s)| (format!("x.y/z@v1.0.0/{n}"), *s, false));
            problems(&review_names(&module(), 1, entries))
        };
        assert_eq!(sized(&[("a", MAX_ZIP_BYTES)]), []);
        assert_eq!(
            sized(&[("a", MAX_ZIP_BYTES), ("b", 1), ("c", u64::MAX)]).len(),
            1
        );
        assert_eq!(sized(&[("go.mod", MAX_GO_MOD_BYTES + 1)]).len(), 1);
        assert_eq!(
            sized(&[
                ("LICENSE", MAX_LICENSE_BYTES + 1),
                ("a/LICENSE", MAX_LICENSE_BYTES + 1)
            ])
            .len(),
            1
        );
        assert_eq!(
            ZipRules::new(&module(), MAX_ZIP_BYTES + 1)
                .finish()
                .violations
                .len(),
            1
        );
        let misnamed = ModuleVersion::new("x.y/z", "v2.0.0");
        assert_eq!(ZipRules::new(&misnamed, 1).finish().violations.len(), 1);
    }

    #[test]
    fn violations_are_bounded() {
        let many = review_names(&module(), 1, (0..250).map(|i| (i.to_string(), 1, false)));
        assert_eq!((many.violations.len(), many.more), (MAX_LISTED, 150));
    }

    proptest! {
        #[test]
        fn never_panics(names in proptest::collection::vec("(x\\.y/z@v1\\.0\\.0/)?[a-cA-C./éK]{0,8}", 0..8), raw: Vec<u8>) {
            let named = names.iter().map(|n| (n.as_bytes(), u64::MAX, false));
            let _ = review_names(&module(), 1, named.chain([(raw.as_slice(), 1, true)]));
        }
    }
}
