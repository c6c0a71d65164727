//! Names in a module's `cache/download/<path>/@v` folder.
//!
//! Source: `modfetch/cache.go` (`CachePath`, `tempFile`, `lockVersion`).
//! Versions contain dots, so names are read from the right.

use super::{ModuleError, ModuleVersion, escape_path, escape_version, unescape_version};
use crate::formats::semver;

/// The files that a version may have in an `@v` folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PieceKind {
    /// `.info`: version and commit time as JSON.
    Info,
    /// `.mod`: the module's `go.mod`.
    Mod,
    /// `.zip`: the module's content.
    Zip,
    /// `.ziphash`: the content's h1.
    ZipHash,
    /// `.lock`: empty, locked during download and extraction, never removed.
    Lock,
    /// `.partial`: empty, there while the tree is being extracted.
    Partial,
}

impl PieceKind {
    /// All kinds.
    pub const ALL: [Self; 6] = [
        Self::Info,
        Self::Mod,
        Self::Zip,
        Self::ZipHash,
        Self::Lock,
        Self::Partial,
    ];

    /// The name's ending, without the dot.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
            Self::ZipHash => "ziphash",
            Self::Lock => "lock",
            Self::Partial => "partial",
        }
    }
}

/// Where a version's file lies under `cache/download` and at a proxy, with slashes.
pub fn piece_name(id: &ModuleVersion, suffix: &str) -> Result<String, ModuleError> {
    let (path, version) = (escape_path(&id.path)?, escape_version(&id.version)?);
    Ok(format!("{path}/@v/{version}.{suffix}"))
}

/// Where a version's record lies in a checksum database's folder.
pub fn lookup_name(id: &ModuleVersion) -> Option<String> {
    let (path, version) = (escape_path(&id.path), escape_version(&id.version));
    Some(format!("lookup/{}@{}", path.ok()?, version.ok()?))
}

/// A file of one version.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VersionFile {
    /// The version, unescaped and canonical.
    pub version: String,
    /// Which of its files.
    pub piece: PieceKind,
}

impl VersionFile {
    /// The file's name in the `@v` folder.
    pub fn file_name(&self) -> Result<String, ModuleError> {
        Ok(format!(
            "{}.{}",
            escape_version(&self.version)?,
            self.piece.suffix()
        ))
    }
}

/// What a name in an `@v` folder stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum AtVName {
    /// `list`: the versions that have a `.mod` here.
    List,
    /// A file of one version.
    Piece(VersionFile),
    /// A temporary file that was never renamed to what it should become.
    TempFile {
        /// The file it should have become; `None` for `list`.
        target: Option<VersionFile>,
    },
    /// Nothing that Go writes.
    Unknown,
}

/// Reads a name in an `@v` folder.
pub fn parse_at_v_name(name: &str) -> AtVName {
    if name == "list" {
        return AtVName::List;
    }
    if let Some(piece) = parse_piece(name) {
        return AtVName::Piece(piece);
    }
    match temp_target(name) {
        Some("list") => AtVName::TempFile { target: None },
        Some(target) => match parse_piece(target) {
            Some(piece) => AtVName::TempFile {
                target: Some(piece),
            },
            None => AtVName::Unknown,
        },
        None => AtVName::Unknown,
    }
}

fn parse_piece(name: &str) -> Option<VersionFile> {
    let (escaped, suffix) = name.rsplit_once('.')?;
    let piece = PieceKind::ALL
        .into_iter()
        .find(|kind| kind.suffix() == suffix)?;
    let version = unescape_version(escaped).ok()?;
    // Go refuses to make such files for any other version.
    semver::is_canonical_module_version(&version).then_some(VersionFile { version, piece })
}

/// The name before `<digits>.tmp`. Today's Go draws up to 9 digits, the
/// temporary files of older versions had up to 20.
fn temp_target(name: &str) -> Option<&str> {
    let numbered = name.strip_suffix(".tmp")?;
    let target = numbered.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = numbered.len() - target.len();
    (1..=20).contains(&digits).then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn piece(version: &str, piece: PieceKind) -> VersionFile {
        VersionFile {
            version: version.to_owned(),
            piece,
        }
    }

    #[test]
    fn names() {
        use PieceKind::*;
        let cases = [
            ("list", AtVName::List),
            ("v1.2.3.info", AtVName::Piece(piece("v1.2.3", Info))),
            ("v1.2.3.mod", AtVName::Piece(piece("v1.2.3", Mod))),
            ("v1.2.3.zip", AtVName::Piece(piece("v1.2.3", Zip))),
            ("v1.2.3.ziphash", AtVName::Piece(piece("v1.2.3", ZipHash))),
            ("v1.2.3.lock", AtVName::Piece(piece("v1.2.3", Lock))),
            ("v1.2.3.partial", AtVName::Piece(piece("v1.2.3", Partial))),
            ("v1.0.0-!r!c1.zip", AtVName::Piece(piece("v1.0.0-RC1", Zip))),
            (
                "v2.0.0+incompatible.mod",
                AtVName::Piece(piece("v2.0.0+incompatible", Mod)),
            ),
            (
                "v1.0.0-a.zip.info",
                AtVName::Piece(piece("v1.0.0-a.zip", Info)),
            ),
            (
                "v1.2.3.zip123456789.tmp",
                AtVName::TempFile {
                    target: Some(piece("v1.2.3", Zip)),
                },
            ),
            (
                "v1.2.3.info7.tmp",
                AtVName::TempFile {
                    target: Some(piece("v1.2.3", Info)),
                },
            ),
            ("list5.tmp", AtVName::TempFile { target: None }),
            ("v1.2.3.zip.tmp", AtVName::Unknown),
            ("v1.2.3.zip123.tmpx", AtVName::Unknown),
            ("v1.2.3", AtVName::Unknown),
            ("v1.2.info", AtVName::Unknown),
            ("v1.2.3+meta.info", AtVName::Unknown),
            ("master.info", AtVName::Unknown),
            ("v1.0.0-RC1.zip", AtVName::Unknown),
            (".info", AtVName::Unknown),
            ("", AtVName::Unknown),
            ("gocachevet-ledger.json", AtVName::Unknown),
        ];
        for (name, want) in cases {
            assert_eq!(parse_at_v_name(name), want, "{name}");
        }
    }

    proptest! {
        #[test]
        fn pieces_round_trip(version in "v[1-9]\\.[0-9]\\.[0-9](-[A-Za-z][A-Za-z0-9.-]{0,8}[a-z])?", kind in 0usize..6) {
            prop_assume!(semver::is_canonical_module_version(&version));
            let file = piece(&version, PieceKind::ALL[kind]);
            prop_assert_eq!(parse_at_v_name(&file.file_name().unwrap()), AtVName::Piece(file));
        }

        #[test]
        fn never_panics(name in "\\PC{0,40}", almost in "v1\\.[0-9.]{0,3}[a-z0-9.!é]{0,20}(\\.tmp)?") {
            let _ = (parse_at_v_name(&name), parse_at_v_name(&almost));
        }
    }
}
