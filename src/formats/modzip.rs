//! The rules for names and sizes in a module zip.
//!
//! Source: `golang.org/x/mod/zip/zip.go` (`checkZip`, `collisionChecker`). Go
//! holds a zip against them when it extracts it, not when it hashes it.

mod collisions;

use super::module::{self, ModuleError, ModuleVersion, PathProblem};

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
    /// The entry's name; empty if it is about the whole zip.
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
    /// Number of file entries.
    pub files: u64,
    /// Sum of the declared sizes of well-named files, in bytes.
    pub bytes: u64,
    too_large: bool,
}

/// An entry, as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The name below `path@version/`.
    pub name: &'a [u8],
    /// The declared size of the content.
    pub size: u64,
    /// Whether its attributes make it a folder, link or device. To Go a folder
    /// is what has a final slash, whatever the attributes say.
    pub irregular: bool,
}

/// Looks through the entries of the zip of `module`, whose file has `zip_bytes`
/// bytes. They are asked for by their position, more than once, so that a zip
/// of very many costs no more memory than its list of them.
pub fn review<'a>(
    module: &ModuleVersion,
    zip_bytes: u64,
    count: usize,
    entry: impl Fn(usize) -> Entry<'a>,
) -> ZipReview {
    let mut review = ZipReview::default();
    if let Err(error) = module::check(module) {
        review.violation(b"", error.into());
    }
    if zip_bytes > MAX_ZIP_BYTES {
        review.violation(b"", ZipProblem::ZipTooLarge(zip_bytes));
    }
    let mut named = Vec::with_capacity(count);
    for index in 0..count {
        let entry = entry(index);
        match review.check(&entry) {
            // The prefix alone is the module's own folder.
            Ok(()) if entry.name.is_empty() => {}
            Ok(()) => named.extend(u32::try_from(index)),
            Err(problem) => review.violation(entry.name, problem),
        }
    }
    let path = |index: u32| {
        let name = std::str::from_utf8(entry(index as usize).name).unwrap_or_default();
        match name.strip_suffix('/') {
            Some(path) => (path, true),
            None => (name, false),
        }
    };
    for (index, problem) in collisions::all(named, path) {
        review.violation(entry(index as usize).name, problem);
    }
    review
}

impl ZipReview {
    fn check(&mut self, entry: &Entry<'_>) -> Result<(), ZipProblem> {
        let Entry { name, size, .. } = *entry;
        let is_folder = name.is_empty() || name.ends_with(b"/");
        self.files += u64::from(!is_folder);
        if name.len() > MAX_NAME_BYTES {
            return Err(ZipProblem::NameTooLong(name.len()));
        }
        if name.is_empty() {
            return Ok(());
        }
        let name = std::str::from_utf8(name).map_err(|_| ZipProblem::NotUtf8)?;
        let path = name.strip_suffix('/').unwrap_or(name);
        // A leading slash, "." and ".." are among what this refuses.
        module::check_file_path(path).map_err(|e| ZipProblem::Unsafe(e.problem))?;
        if is_folder {
            return Ok(());
        }
        if entry.irregular {
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
        match self.bytes.checked_add(size) {
            Some(bytes) if bytes <= MAX_ZIP_BYTES => self.bytes = bytes,
            _ if !self.too_large => {
                self.too_large = true;
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
        if self.violations.len() < MAX_LISTED {
            self.violations.push(Violation {
                name: name.to_vec(),
                problem,
            });
        } else {
            self.more += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn module() -> ModuleVersion {
        ModuleVersion::new("x.y/z", "v1.0.0")
    }

    /// A review of entries with these names, sizes and odd attributes.
    fn review_of<N: AsRef<[u8]>>(zip_bytes: u64, entries: &[(N, u64, bool)]) -> ZipReview {
        super::review(&module(), zip_bytes, entries.len(), |index| Entry {
            name: entries[index].0.as_ref(),
            size: entries[index].1,
            irregular: entries[index].2,
        })
    }

    fn review(names: &[&str]) -> ZipReview {
        let entries: Vec<_> = names.iter().map(|name| (name, 10, false)).collect();
        review_of(1000, &entries)
    }

    /// Each violation's name, and its text.
    fn problems(review: &ZipReview) -> Vec<(String, String)> {
        let name = |v: &Violation| String::from_utf8_lossy(&v.name).into_owned();
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
    fn odd_names() {
        let entries = [
            (b"\xff".to_vec(), 1, false),
            (b"link".to_vec(), 1, true),
            (vec![b'a'; 5000], 1, false),
        ];
        let problems: Vec<_> = review_of(1, &entries)
            .violations
            .into_iter()
            .map(|v| v.problem)
            .collect();
        assert_eq!(
            problems,
            [
                ZipProblem::NotUtf8,
                ZipProblem::NotRegular,
                ZipProblem::NameTooLong(5000),
            ]
        );
    }

    #[test]
    fn sizes() {
        let sized = |entries: &[(&str, u64)]| {
            let entries: Vec<_> = entries.iter().map(|(n, s)| (n, *s, false)).collect();
            problems(&review_of(1, &entries))
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
        let none: &[(&str, u64, bool)] = &[];
        assert_eq!(review_of(MAX_ZIP_BYTES + 1, none).violations.len(), 1);
        let misnamed = ModuleVersion::new("x.y/z", "v2.0.0");
        let of_none = |_| Entry {
            name: b"",
            size: 0,
            irregular: false,
        };
        assert_eq!(super::review(&misnamed, 1, 0, of_none).violations.len(), 1);
    }

    #[test]
    fn violations_are_bounded() {
        let many: Vec<_> = (0..250).map(|i| (format!("{i}."), 1, false)).collect();
        let many = review_of(1, &many);
        assert_eq!((many.violations.len(), many.more), (MAX_LISTED, 150));
    }

    proptest! {
        #[test]
        fn never_panics(names in proptest::collection::vec("[a-cA-C./éK]{0,8}", 0..8), raw: Vec<u8>) {
            let named = names.iter().map(|n| (n.as_bytes(), u64::MAX, false));
            let all: Vec<_> = named.chain([(raw.as_slice(), 1, true)]).collect();
            let _ = review_of(1, &all);
        }
    }
}
