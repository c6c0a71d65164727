//! The two caches' folders.
//!
//! Source: `cmd/go/internal/cfg/cfg.go` (`GOMODCACHE`, `gopathDir`),
//! `cmd/go/internal/modfetch/cache.go` (`checkCacheDir`),
//! `cmd/go/internal/cache/default.go` (`DefaultDir`, `initDefaultCache`) and
//! `cmd/go/main.go` (the checks of GOPATH).

use super::disk::{Disk, ThisMachine};
use super::settings::{GoSettings, SettingOrigin, go_settings_from, user_cache_dir};
use super::{Caches, Located};
use crate::error::CommandError;
use crate::findings::display_path;
use crate::settings::{Environment, Options};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Why Go itself would refuse to work with these settings. Exit code 2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocateError {
    /// `GOMODCACHE` is a relative path.
    #[error("GOMODCACHE entry is relative; must be absolute path: {0:?} (or give --modcache)")]
    RelativeModCache(PathBuf),
    /// The first folder of `GOPATH` is a relative path.
    #[error("GOPATH entry is relative; must be absolute path: {0:?} (or give --modcache)")]
    RelativeGopath(PathBuf),
    /// The first folder of `GOPATH` has a `~` that nobody expanded.
    #[error("GOPATH entry cannot start with shell metacharacter '~': {0:?} (or give --modcache)")]
    TildeInGopath(PathBuf),
    /// `GOCACHE` is a relative path.
    #[error("GOCACHE is not an absolute path: {0:?} (or give --gocache)")]
    RelativeGocache(PathBuf),
    /// `GOCACHE` is `off`, which Go has refused since 1.12.
    #[error(
        "build cache is disabled by GOCACHE=off, but required as of Go 1.12 (or give --gocache)"
    )]
    GocacheOff,
    /// An option names a cache that is not there: the work cannot be done.
    #[error("{0}; name a folder that is there, or leave {1} out for what Go itself would use")]
    Absent(String, &'static str),
}

/// Why there is no place for a cache, or nothing at its place. No error: it is noted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoCache {
    /// Nothing says where modules would be.
    #[error("neither GOMODCACHE nor GOPATH is set")]
    NoGopath,
    /// Nothing says where build outputs would be.
    #[error("GOCACHE is not defined and {0}")]
    Undefined(&'static str),
    /// Something else is there.
    #[error("{0} is not a folder")]
    NotAFolder(String),
    /// Nothing is there.
    #[error("{0} does not exist")]
    Missing(String),
}

/// Finds both caches: as the options say, else as Go would.
///
/// A cache that is not where Go would have it is `None`, and a note says where it
/// was looked for and what named that place. One that is not where an option says,
/// and folders that Go would refuse, are an error.
pub fn caches(environment: &Environment, options: &Options) -> Result<Caches, LocateError> {
    named_are_there(caches_so_far(environment, options)?, options)
}

/// The same before Go has run, when what is not there yet is no cause for complaint.
pub fn caches_so_far(environment: &Environment, options: &Options) -> Result<Caches, LocateError> {
    caches_on(environment, options, &ThisMachine)
}

fn named_are_there(caches: Caches, options: &Options) -> Result<Caches, LocateError> {
    let named = [
        (&options.caches.modcache, &caches.modcache, "--modcache"),
        (&options.caches.gocache, &caches.gocache, "--gocache"),
    ];
    let absent = named
        .into_iter()
        .find(|(named, found, _)| named.is_some() && found.is_none());
    match absent {
        None => Ok(caches),
        Some((_, _, option)) => {
            let source = format!("({option})");
            let mut notes = caches.notes.iter().filter(|note| note.contains(&source));
            let why = notes.next().cloned().unwrap_or_default();
            Err(LocateError::Absent(why, option))
        }
    }
}

fn caches_on(
    environment: &Environment,
    options: &Options,
    disk: &dyn Disk,
) -> Result<Caches, LocateError> {
    let settings = go_settings_from(environment, disk);
    let mut notes = Vec::new();
    if let (Some(file), Some(error)) = (&settings.env_file, &settings.env_file_error) {
        notes.push(format!("Go's env file {} {error}", display_path(file)));
    }
    let (modcache, gocache) = places(environment, options, &settings)?;
    let mut there = |what: &str, place: Place| {
        place
            .and_then(|located| is_there(located, disk))
            .map_err(|why| notes.push(format!("no {what}: {why}")))
            .ok()
    };
    Ok(Caches {
        modcache: there("module cache", modcache),
        gocache: there("build cache", gocache),
        notes,
    })
}

/// Where the caches are or will be, whether or not there is anything yet; or why
/// there is no place for them.
pub fn expected(
    environment: &Environment,
    options: &Options,
) -> Result<(Expected, Expected), LocateError> {
    let settings = go_settings_from(environment, &ThisMachine);
    let (modcache, gocache) = places(environment, options, &settings)?;
    let path = |place: Place| place.map(|located| located.path);
    Ok((path(modcache), path(gocache)))
}

fn places(
    environment: &Environment,
    options: &Options,
    settings: &GoSettings,
) -> Result<(Place, Place), LocateError> {
    let flag = |path: &Option<PathBuf>, source: &str| {
        path.as_ref().map(|path| Located {
            path: environment.resolve(path),
            source: source.to_owned(),
        })
    };
    let modcache = match flag(&options.caches.modcache, "--modcache") {
        Some(given) => Ok(given),
        None => modcache(environment, settings)?,
    };
    let gocache = match flag(&options.caches.gocache, "--gocache") {
        Some(given) => Ok(given),
        None => gocache(environment, settings)?,
    };
    Ok((modcache, gocache))
}

/// The folder of a cache, or why there is none.
pub type Expected = Result<PathBuf, NoCache>;

/// The place of a cache, or why there is none.
type Place = Result<Located, NoCache>;

fn modcache(environment: &Environment, settings: &GoSettings) -> Result<Place, LocateError> {
    let (path, origin) = settings.get("GOMODCACHE");
    if origin == SettingOrigin::Default {
        let gopath = settings.gopath();
        let (_, named) = settings.get("GOPATH");
        if gopath.as_encoded_bytes().starts_with(b"~") {
            return Err(LocateError::TildeInGopath(gopath.into()));
        }
        if path.is_empty() {
            return Ok(Err(NoCache::NoGopath));
        }
        if !environment.is_absolute(&path) {
            return Err(LocateError::RelativeGopath(gopath.into()));
        }
        return Ok(Ok(located(&path, "GOPATH", named, settings)));
    }
    if !environment.is_absolute(&path) {
        return Err(LocateError::RelativeModCache(path.into()));
    }
    Ok(Ok(located(&path, "GOMODCACHE", origin, settings)))
}

fn gocache(environment: &Environment, settings: &GoSettings) -> Result<Place, LocateError> {
    let (path, origin) = settings.get("GOCACHE");
    if path.is_empty() {
        let why = user_cache_dir(environment).err();
        return Ok(Err(NoCache::Undefined(why.unwrap_or("no cache folder"))));
    }
    if path == "off" {
        return Err(LocateError::GocacheOff);
    }
    if !environment.is_absolute(&path) {
        return Err(LocateError::RelativeGocache(path.into()));
    }
    Ok(Ok(located(&path, "GOCACHE", origin, settings)))
}

fn located(path: &OsStr, key: &str, origin: SettingOrigin, settings: &GoSettings) -> Located {
    let file = |path: Option<PathBuf>| path.map_or_else(String::new, |path| display_path(&path));
    Located {
        path: crate::settings::clean(Path::new(path)),
        source: match origin {
            SettingOrigin::Variable => key.to_owned(),
            SettingOrigin::EnvFile => format!("{key} in {}", file(settings.env_file.clone())),
            SettingOrigin::GoEnv => format!(
                "{key} in {}",
                file(settings.goroot.as_ref().map(|goroot| goroot.join("go.env")))
            ),
            SettingOrigin::Default => "default".to_owned(),
        },
    }
}

/// A folder that cannot even be looked at stays: reading it will tell why.
fn is_there(located: Located, disk: &dyn Disk) -> Place {
    let place = format!("{} ({})", display_path(&located.path), located.source);
    match disk.is_dir(&located.path) {
        Ok(true) => Ok(located),
        Ok(false) => Err(NoCache::NotAFolder(place)),
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
            ) =>
        {
            Err(NoCache::Missing(place))
        }
        Err(_) => Ok(located),
    }
}

impl From<LocateError> for CommandError {
    fn from(error: LocateError) -> CommandError {
        match error {
            LocateError::Absent(..) => CommandError::Work(error.into()),
            _ => CommandError::Usage(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::testing::{FakeDisk, environment};

    fn at(path: &str, source: &str) -> Option<Located> {
        Some(Located {
            path: path.into(),
            source: source.to_owned(),
        })
    }

    #[test]
    fn the_module_cache_is_where_go_has_it() {
        let disk = || {
            ["/mc", "/h/go/pkg/mod", "/p/pkg/mod", "/q/pkg/mod"]
                .into_iter()
                .fold(FakeDisk::default(), FakeDisk::dir)
                .file("/env", "GOMODCACHE=/mc\n")
                .file("/env-gopath", "GOPATH=/q\n")
        };
        for (os, vars, expected) in [
            (
                "linux",
                [("HOME", "/h")].as_slice(),
                at("/h/go/pkg/mod", "default"),
            ),
            ("macos", &[("HOME", "/h")], at("/h/go/pkg/mod", "default")),
            ("windows", &[("UserProfile", "/h")], None), // not absolute there
            (
                "linux",
                &[("HOME", "/h"), ("GOPATH", "/p")],
                at("/p/pkg/mod", "GOPATH"),
            ),
            (
                "linux",
                &[("GOPATH", "/p:/h/go")],
                at("/p/pkg/mod", "GOPATH"),
            ),
            ("linux", &[("HOME", "/h"), ("GOPATH", ":/p")], None),
            (
                "linux",
                &[("GOPATH", "/p"), ("GOMODCACHE", "/mc/")],
                at("/mc", "GOMODCACHE"),
            ),
            (
                "linux",
                &[("HOME", "/h"), ("GOMODCACHE", "")],
                at("/h/go/pkg/mod", "default"),
            ),
            (
                "linux",
                &[("GOENV", "/env"), ("GOPATH", "/p")],
                at("/mc", "GOMODCACHE in /env"),
            ),
            (
                "linux",
                &[("GOENV", "/env"), ("GOMODCACHE", "/p/pkg/mod")],
                at("/p/pkg/mod", "GOMODCACHE"),
            ),
            (
                "linux",
                &[("GOENV", "/env-gopath")],
                at("/q/pkg/mod", "GOPATH in /env-gopath"),
            ),
            ("linux", &[("HOME", "/h"), ("GOROOT", "/h/go")], None),
            ("linux", &[], None),
        ] {
            let mut options = Options::default();
            options.caches.gocache = Some("/none".into());
            let found = caches_on(&environment(os, vars), &options, &disk());
            let modcache = found.ok().and_then(|caches| caches.modcache);
            assert_eq!(modcache, expected, "{os} {vars:?}");
        }
    }

    #[test]
    fn the_build_cache_is_where_go_has_it() {
        let disk = || {
            [
                "/gc",
                "/h/.cache/go-build",
                "/x/go-build",
                "/h/Library/Caches/go-build",
                "C:\\l/go-build",
            ]
            .into_iter()
            .fold(FakeDisk::default(), FakeDisk::dir)
            .file("/env", "GOCACHE=/gc")
        };
        for (os, vars, expected) in [
            (
                "linux",
                [("HOME", "/h")].as_slice(),
                at("/h/.cache/go-build", "default"),
            ),
            (
                "linux",
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                at("/x/go-build", "default"),
            ),
            ("linux", &[("HOME", "/h"), ("XDG_CACHE_HOME", "x")], None),
            (
                "linux",
                &[("HOME", "/h"), ("GOCACHE", "/gc")],
                at("/gc", "GOCACHE"),
            ),
            ("linux", &[("GOENV", "/env")], at("/gc", "GOCACHE in /env")),
            (
                "macos",
                &[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")],
                at("/h/Library/Caches/go-build", "default"),
            ),
            (
                "windows",
                &[("LOCALAPPDATA", "C:\\l")],
                at("C:\\l/go-build", "default"),
            ),
            ("linux", &[], None),
        ] {
            let mut options = Options::default();
            options.caches.modcache = Some("/none".into());
            let found = caches_on(&environment(os, vars), &options, &disk()).unwrap();
            assert_eq!(found.gocache, expected, "{os} {vars:?}");
        }
    }

    #[test]
    fn settings_that_go_refuses_are_refused() {
        let both = [("HOME", "/h"), ("GOMODCACHE", "/mc")];
        for (vars, error) in [
            (
                ("GOMODCACHE", "mc"),
                LocateError::RelativeModCache("mc".into()),
            ),
            (("GOPATH", "p:/q"), LocateError::RelativeGopath("p".into())),
            (
                ("GOPATH", "~/go"),
                LocateError::TildeInGopath("~/go".into()),
            ),
            (("GOCACHE", "off"), LocateError::GocacheOff),
            (("GOCACHE", "gc"), LocateError::RelativeGocache("gc".into())),
        ] {
            let environment_with = |vars: &[(&str, &str)]| environment("linux", vars);
            let found = caches_on(
                &environment_with(&[("HOME", "/h"), vars]),
                &Options::default(),
                &FakeDisk::default(),
            );
            assert_eq!(found, Err(error), "{vars:?}");

            // What the options name is not asked of Go's settings.
            let mut options = Options::default();
            options.caches.modcache = Some("mc".into());
            options.caches.gocache = Some("gc".into());
            let disk = FakeDisk::default().dir("/work/mc").dir("/work/gc");
            let found = caches_on(&environment_with(&[vars]), &options, &disk).unwrap();
            assert_eq!(found.modcache, at("/work/mc", "--modcache"));
            assert_eq!(found.gocache, at("/work/gc", "--gocache"));
        }
        assert!(
            caches_on(
                &environment("linux", &both),
                &Options::default(),
                &FakeDisk::default()
            )
            .is_ok()
        );
    }

    #[test]
    fn a_cache_that_is_not_there_is_said_with_what_named_it() {
        let disk = FakeDisk::default().file("/h/go/pkg/mod", "");
        let mut options = Options::default();
        options.caches.gocache = Some("gc".into());
        let found = caches_on(&environment("linux", &[("HOME", "/h")]), &options, &disk).unwrap();
        assert_eq!((found.modcache, found.gocache), (None, None));
        assert_eq!(
            found.notes,
            [
                "no module cache: /h/go/pkg/mod (default) is not a folder",
                "no build cache: /work/gc (--gocache) does not exist",
            ]
        );
        let found = caches_on(&environment("linux", &[]), &Options::default(), &disk).unwrap();
        assert_eq!(
            found.notes,
            [
                "no module cache: neither GOMODCACHE nor GOPATH is set",
                "no build cache: GOCACHE is not defined and neither $XDG_CACHE_HOME nor $HOME are defined",
            ]
        );
    }
}
