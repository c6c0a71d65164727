//! Artifactory's Go repositories, through its REST interface.
//!
//! Asked is the Artifactory Query Language (`POST /api/search/aql`), which
//! tells downloads and the last of them per file; deleted is by path
//! (`DELETE /REPOSITORY/PATH`). A local Go repository keeps the files of the
//! GOPROXY protocol under their own names.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{Mirror, Oddity, StoredFile, StoredVersion};
use crate::formats::module::{AtVName, ModuleVersion, PieceKind, parse_at_v_name, unescape_path};
use crate::services::eviction::Extent;
use crate::services::heat::{Heat, WINDOW};
use crate::services::remote::client::{Fault, Http, Unusable, escape, valid_name};

/// Rows asked for at a time.
const PAGE: usize = 1000;

/// A repository with more files is taken for a list without end.
const MAX_ROWS: usize = 2_000_000;

/// A Go repository of an Artifactory server.
pub struct Artifactory {
    http: Http,
    repository: String,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    path: String,
    name: String,
    size: u64,
    created: DateTime<Utc>,
    #[serde(default)]
    stats: Vec<Stats>,
}

#[derive(Deserialize, Clone, Copy, Default)]
struct Stats {
    #[serde(default)]
    downloads: u64,
    downloaded: Option<DateTime<Utc>>,
}

/// Downloads per version, as the server counts them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Downloads(BTreeMap<ModuleVersion, (u64, Option<DateTime<Utc>>)>);

impl Downloads {
    /// The heat of a version.
    ///
    /// The server counts since the file was stored. Of that the window gets
    /// its share by time, at least one if the last download lies within it.
    pub fn heat(&self, version: &StoredVersion, now: DateTime<Utc>) -> Heat {
        let (downloads, last) = self.0.get(&version.id).copied().unwrap_or_default();
        let mut heat = Heat::of(
            version.stored,
            &last.into_iter().collect::<Vec<_>>(),
            true,
            now,
        );
        if last.is_some_and(|last| now - last <= WINDOW) {
            let age = (now - version.stored).max(TimeDelta::seconds(1));
            let share = (WINDOW.num_seconds() as f64 / age.num_seconds() as f64).min(1.0);
            let count = (downloads as f64 * share).min(f64::from(u32::MAX)) as u32;
            heat.count = heat.count.max(count);
            heat.exact = share >= 1.0;
        }
        heat
    }
}

impl Artifactory {
    /// Speaks to the server behind `http` about one repository.
    ///
    /// # Errors
    /// When the name cannot be one.
    pub fn new(http: Http, repository: &str) -> Result<Self, Unusable> {
        if !valid_name(repository) {
            return Err(Unusable::Repository(repository.to_owned()));
        }
        Ok(Self {
            http,
            repository: repository.to_owned(),
        })
    }

    /// Lists what the repository holds.
    ///
    /// # Errors
    /// Any [`Fault`]; half a list is none, since a plan needs the whole.
    pub fn list(&self) -> Result<(Mirror, Downloads), Fault> {
        let mut files = Files::default();
        let mut offset = 0;
        loop {
            // `valid_name` lets no quote through.
            let query = format!(
                "items.find({{\"repo\":\"{}\",\"type\":\"file\"}})\
                 .include(\"path\",\"name\",\"size\",\"created\",\"stat.downloads\",\"stat.downloaded\")\
                 .sort({{\"$asc\":[\"path\",\"name\"]}}).offset({offset}).limit({PAGE})",
                self.repository
            );
            let answer: Answer = self.http.query("/api/search/aql", &query)?;
            let rows = answer.results.len();
            let before = files.rows;
            for row in answer.results {
                files.add(row);
            }
            if rows < PAGE {
                return Ok(files.done());
            }
            if files.rows == before {
                return Err(Fault::Endless(format!(
                    "rows from {offset} on bring nothing new"
                )));
            }
            offset += rows;
            if offset > MAX_ROWS {
                return Err(Fault::Endless(format!("more than {MAX_ROWS} rows")));
            }
        }
    }

    /// Deletes a version, or its zip alone.
    ///
    /// # Errors
    /// The first [`Fault`]; a file that is gone already is none.
    pub fn delete(&self, version: &StoredVersion, part: Extent) -> Result<(), Fault> {
        for file in version.part(part) {
            let path = escape(&file.path.to_string_lossy());
            match self.http.delete(&format!("/{}/{path}", self.repository)) {
                Ok(()) | Err(Fault::NotFound) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Files {
    versions: BTreeMap<ModuleVersion, StoredVersion>,
    downloads: Downloads,
    oddities: Vec<Oddity>,
    seen: std::collections::HashSet<(String, String)>,
    rows: usize,
}

impl Files {
    fn add(&mut self, row: Row) {
        if !self.seen.insert((row.path.clone(), row.name.clone())) {
            return;
        }
        self.rows += 1;
        let place = PathBuf::from(format!("{}/{}", row.path, row.name));
        let module = row
            .path
            .strip_suffix("/@v")
            .and_then(|module| unescape_path(module).ok());
        let (Some(module), name) = (module, parse_at_v_name(&row.name)) else {
            return self.odd(place);
        };
        let file = match name {
            AtVName::Piece(file) if file.piece < PieceKind::ZipHash => file,
            AtVName::List => return,
            _ => return self.odd(place),
        };
        let id = ModuleVersion::new(module, file.version);
        let version = self
            .versions
            .entry(id.clone())
            .or_insert_with(|| StoredVersion::empty(id.clone()));
        let stored = StoredFile {
            path: place,
            bytes: row.size,
        };
        version.add(file.piece, stored, row.created);
        if file.piece != PieceKind::Info {
            let stats = row.stats.first().copied().unwrap_or_default();
            let (downloads, last) = self.downloads.0.entry(id).or_default();
            *downloads = (*downloads).max(stats.downloads);
            *last = (*last).max(stats.downloaded);
        }
    }

    fn odd(&mut self, path: PathBuf) {
        self.oddities.push(Oddity {
            path,
            what: "not a file of any version".to_owned(),
            unreadable: false,
        });
    }

    fn done(self) -> (Mirror, Downloads) {
        let mirror = Mirror {
            versions: self.versions.into_values().collect(),
            oddities: self.oddities,
        };
        (mirror, self.downloads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::mirror::testing::now;

    #[test]
    fn downloads_in_the_window_are_estimated_from_all() {
        let id: ModuleVersion = "golang.org/x/mod@v0.9.0".parse().unwrap();
        let mut version = StoredVersion::empty(id.clone());
        let days = |days| now() - TimeDelta::days(days);
        for (stored, downloads, last, count, exact) in [
            (70, 100, Some(1), 10, true),
            (70, 3, Some(1), 1, true),
            (70, 100, Some(8), 0, true),
            (70, 0, None, 0, true),
            (2, 5, Some(1), 5, true),
        ] {
            version.stored = days(stored);
            let of = Downloads([(id.clone(), (downloads, last.map(days)))].into());
            let heat = of.heat(&version, now());
            assert_eq!(heat.count, count, "{stored} {downloads} {last:?}");
            // An estimate is not to be counted on.
            assert_eq!(
                heat.exact,
                exact && (stored <= 7 || count == 0),
                "{stored} {downloads}"
            );
        }
    }
}
