//! Go's settings, as the `go` command would see them.
//!
//! Source: `cmd/go/internal/cfg/cfg.go` (`Getenv`, `EnvFile`, `initEnvCache`,
//! `readEnvFile`, `EnvOrAndChanged`), `os/file.go` (`UserCacheDir`,
//! `UserConfigDir`) and `go/build/build.go` (`defaultGOPATH`).

use super::disk::{Disk, ThisMachine};
use crate::formats::goenv::{EnvFile, MAX_ENV_BYTES};
use crate::settings::{Environment, clean};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// What gave a setting its value, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingOrigin {
    /// A variable of the process's environment.
    Variable,
    /// The user's file, which `go env -w` writes.
    EnvFile,
    /// `go.env` in the Go installation.
    GoEnv,
    /// Built into the `go` command.
    Default,
}

/// All settings of the `go` command, and what gave each its value.
#[derive(Clone, Debug, Default)]
pub struct GoSettings {
    environment: Environment,
    /// The user's file, whether or not it could be read; `None` if switched
    /// off or there is no folder for it.
    pub env_file: Option<PathBuf>,
    /// Why the user's file was not read, where it is there.
    pub env_file_error: Option<String>,
    /// The Go installation, if one could be found without running it.
    pub goroot: Option<PathBuf>,
    user: EnvFile,
    installed: EnvFile,
}

/// Reads the settings from the environment and the files that Go reads.
pub fn go_settings(environment: &Environment) -> GoSettings {
    go_settings_from(environment, &ThisMachine)
}

pub(super) fn go_settings_from(environment: &Environment, disk: &dyn Disk) -> GoSettings {
    let mut settings = GoSettings {
        environment: environment.clone(),
        env_file: env_file(environment),
        ..GoSettings::default()
    };
    if let Some(file) = &settings.env_file {
        match disk.read(&environment.cwd.join(file), MAX_ENV_BYTES) {
            Ok(data) => settings.user = EnvFile::parse(&data),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => settings.env_file_error = Some(error.to_string()),
        }
    }
    settings.goroot = find_goroot(environment, settings.user.get("GOROOT"), disk);
    if let Some(goroot) = &settings.goroot
        && let Ok(data) = disk.read(&goroot.join("go.env"), MAX_ENV_BYTES)
    {
        settings.installed = EnvFile::parse(&data);
    }
    settings
}

impl GoSettings {
    /// The value of `key` and what gave it; empty if nothing did and Go has no
    /// default.
    ///
    /// An empty variable counts as unset. An empty value in the user's file
    /// hides that of the installation, and then the built-in default holds.
    pub fn get(&self, key: &str) -> (OsString, SettingOrigin) {
        if let Some(value) = self.environment.var(key) {
            return (value.to_owned(), SettingOrigin::Variable);
        }
        let (value, origin) = match (self.user.get(key), self.installed.get(key)) {
            (Some(value), _) => (value, SettingOrigin::EnvFile),
            // The installation does not get to say where it is.
            (None, Some(value)) if key != "GOROOT" => (value, SettingOrigin::GoEnv),
            _ => ("", SettingOrigin::Default),
        };
        if !value.is_empty() {
            return (value.into(), origin);
        }
        match self.default_of(key) {
            Some(value) => (value, SettingOrigin::Default),
            None => (OsString::new(), origin),
        }
    }

    /// Every key that a file or a variable sets, sorted: `GO…` variables only.
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self
            .user
            .iter()
            .chain(self.installed.iter())
            .map(|(key, _)| key.to_owned())
            .collect();
        keys.extend(
            self.environment
                .vars
                .keys()
                .filter_map(|key| key.to_str())
                .filter(|key| key.starts_with("GO"))
                .map(str::to_owned),
        );
        keys.sort();
        keys.dedup();
        keys
    }

    /// The first folder of GOPATH, which holds the module cache and the
    /// checksum database's `latest`; empty if Go finds none.
    pub fn gopath(&self) -> OsString {
        let list = self.get("GOPATH").0;
        split_list(&list, self.environment.is_windows())
            .into_iter()
            .next()
            .unwrap_or_default()
    }

    fn default_of(&self, key: &str) -> Option<OsString> {
        let environment = &self.environment;
        Some(match key {
            "GOPATH" => {
                let home = environment.var(if environment.is_windows() {
                    "USERPROFILE"
                } else {
                    "HOME"
                })?;
                let gopath = Path::new(home).join("go");
                if self.goroot.as_deref() == Some(clean(&gopath).as_path()) {
                    return None;
                }
                gopath.into()
            }
            "GOMODCACHE" => {
                let gopath = self.gopath();
                if gopath.is_empty() {
                    return None;
                }
                Path::new(&gopath).join("pkg").join("mod").into()
            }
            "GOCACHE" => user_cache_dir(environment).ok()?.join("go-build").into(),
            "GOROOT" => self.goroot.clone()?.into(),
            "GOENV" => env_file(environment)?.into(),
            "GONOPROXY" | "GONOSUMDB" => self.get("GOPRIVATE").0,
            "GOAUTH" => "netrc".into(),
            "GOFIPS140" => "off".into(),
            "GOTOOLCHAIN" => "auto".into(),
            _ => return None,
        })
    }
}

/// The user's file: `GOENV`, or `go/env` in the configuration folder.
fn env_file(environment: &Environment) -> Option<PathBuf> {
    match environment.var("GOENV") {
        Some(off) if off == "off" => None,
        Some(file) => Some(file.into()),
        None => Some(user_config_dir(environment)?.join("go").join("env")),
    }
}

fn user_config_dir(environment: &Environment) -> Option<PathBuf> {
    let under_home = |dir: &str| Some(Path::new(environment.var("HOME")?).join(dir));
    match environment.os.as_str() {
        "windows" => environment.var("AppData").map(PathBuf::from),
        "macos" | "ios" => under_home("Library/Application Support"),
        _ => match environment.var("XDG_CONFIG_HOME") {
            Some(dir) if environment.is_absolute(dir) => Some(dir.into()),
            Some(_) => None,
            None => under_home(".config"),
        },
    }
}

/// Where the build cache's folder goes by default; the error says in Go's
/// words why there is no such place.
pub(super) fn user_cache_dir(environment: &Environment) -> Result<PathBuf, &'static str> {
    let home = environment.var("HOME").map(Path::new);
    match environment.os.as_str() {
        "windows" => environment
            .var("LocalAppData")
            .map(PathBuf::from)
            .ok_or("%LocalAppData% is not defined"),
        "macos" | "ios" => home
            .map(|home| home.join("Library/Caches"))
            .ok_or("$HOME is not defined"),
        _ => match environment.var("XDG_CACHE_HOME") {
            Some(dir) if environment.is_absolute(dir) => Ok(dir.into()),
            Some(_) => Err("path in $XDG_CACHE_HOME is relative"),
            None => home
                .map(|home| home.join(".cache"))
                .ok_or("neither $XDG_CACHE_HOME nor $HOME are defined"),
        },
    }
}

/// The installation: as named, else the one whose `go` stands first in PATH,
/// else the place where Go's own archives are unpacked.
fn find_goroot(environment: &Environment, user: Option<&str>, disk: &dyn Disk) -> Option<PathBuf> {
    if let Some(named) = environment.var("GOROOT") {
        return Some(clean(Path::new(named)));
    }
    if let Some(named) = user.filter(|named| !named.is_empty()) {
        return Some(clean(Path::new(named)));
    }
    let program = if environment.is_windows() {
        "go.exe"
    } else {
        "go"
    };
    let path = environment.var("PATH").unwrap_or_default();
    let on_path = split_list(path, environment.is_windows())
        .into_iter()
        .filter(|folder| environment.is_absolute(folder))
        .filter_map(|folder| disk.real(&Path::new(&folder).join(program)).ok())
        .filter_map(|program| Some(program.parent()?.parent()?.to_owned()));
    let usual = if environment.is_windows() {
        "C:\\Program Files\\Go"
    } else {
        "/usr/local/go"
    };
    on_path
        .chain([PathBuf::from(usual)])
        .find(|goroot| disk.read(&goroot.join("VERSION"), MAX_ENV_BYTES).is_ok())
}

/// The folders of a list, as Go's `filepath.SplitList`. Bytes that are not
/// UTF-8 survive only in a list of one.
fn split_list(list: &OsStr, windows: bool) -> Vec<OsString> {
    let separator = if windows { ';' } else { ':' };
    let text = list.to_string_lossy();
    if !windows {
        return match (list.is_empty(), text.contains(separator)) {
            (true, _) => Vec::new(),
            (false, false) => vec![list.to_owned()],
            (false, true) => text.split(separator).map(OsString::from).collect(),
        };
    }
    let mut quoted = false;
    text.split(|letter| {
        quoted ^= letter == '"';
        letter == separator && !quoted
    })
    .map(|part| OsString::from(part.replace('"', "")))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::testing::{FakeDisk, environment};

    #[test]
    fn variable_beats_file_beats_installation_beats_default() {
        let disk = FakeDisk::default()
            .file("/h/.config/go/env", "GOPROXY=\nGOSUMDB=off\nGOTOOLCHAIN=go1.25.0\nGOROOT=/go\n")
            .file("/go/go.env", "# c\nGOPROXY=https://p.example,direct\nGOTOOLCHAIN=local\nGOVCS=*:git\nGOROOT=/x\n");
        let environment = environment(
            "linux",
            &[
                ("HOME", "/h"),
                ("GOTOOLCHAIN", ""),
                ("GOSUMDB", "db.example"),
            ],
        );
        let settings = go_settings_from(&environment, &disk);
        for (key, value, origin) in [
            ("GOSUMDB", "db.example", SettingOrigin::Variable),
            ("GOPROXY", "", SettingOrigin::EnvFile),
            ("GOTOOLCHAIN", "go1.25.0", SettingOrigin::EnvFile),
            ("GOVCS", "*:git", SettingOrigin::GoEnv),
            ("GOROOT", "/go", SettingOrigin::EnvFile),
            ("GOAUTH", "netrc", SettingOrigin::Default),
            ("GOPATH", "/h/go", SettingOrigin::Default),
            ("GOINSECURE", "", SettingOrigin::Default),
        ] {
            assert_eq!(settings.get(key), (value.into(), origin), "{key}");
        }
        assert_eq!(
            settings.keys(),
            ["GOPROXY", "GOROOT", "GOSUMDB", "GOTOOLCHAIN", "GOVCS"]
        );
    }

    #[test]
    fn the_env_file_is_where_the_system_keeps_configuration() {
        for (os, vars, file) in [
            (
                "linux",
                [("HOME", "/h"), ("X", "")].as_slice(),
                Some("/h/.config/go/env"),
            ),
            (
                "linux",
                &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")],
                Some("/c/go/env"),
            ),
            ("linux", &[("HOME", "/h"), ("XDG_CONFIG_HOME", "c")], None),
            ("linux", &[("HOME", "")], None),
            ("linux", &[("HOME", "/h"), ("GOENV", "off")], None),
            ("linux", &[("HOME", "/h"), ("GOENV", "/e")], Some("/e")),
            (
                "macos",
                &[("HOME", "/h"), ("XDG_CONFIG_HOME", "/c")],
                Some("/h/Library/Application Support/go/env"),
            ),
            (
                "windows",
                &[("APPDATA", "/appdata")],
                Some("/appdata/go/env"),
            ),
            ("windows", &[("HOME", "/h")], None),
        ] {
            let settings = go_settings_from(&environment(os, vars), &FakeDisk::default());
            assert_eq!(
                settings.env_file.as_deref(),
                file.map(Path::new),
                "{os} {vars:?}"
            );
        }
    }

    #[test]
    fn an_env_file_too_long_is_said_to_be() {
        let disk = FakeDisk::default().file("/e", &"x".repeat(1 + MAX_ENV_BYTES as usize));
        let settings = go_settings_from(&environment("linux", &[("GOENV", "/e")]), &disk);
        assert!(settings.env_file_error.is_some());
    }

    #[test]
    fn the_installation_is_found_by_the_program() {
        let disk = FakeDisk::default()
            .link("/usr/bin/go", "/usr/lib/go-1.26/bin/go")
            .file("/usr/lib/go-1.26/VERSION", "go1.26.8")
            .file("/usr/local/go/VERSION", "go1.25.0");
        for (path, goroot) in [
            ("/bin:/usr/bin", "/usr/lib/go-1.26"),
            ("bin::/bin", "/usr/local/go"),
        ] {
            let settings = go_settings_from(&environment("linux", &[("PATH", path)]), &disk);
            assert_eq!(
                settings.goroot.as_deref(),
                Some(Path::new(goroot)),
                "{path}"
            );
        }
    }

    #[test]
    fn lists_split_as_the_system_does() {
        for (list, windows, parts) in [
            ("/a:/b", false, ["/a", "/b"].as_slice()),
            (":/b", false, &["", "/b"]),
            ("", false, &[]),
            ("C:\\a;D:\\b", true, &["C:\\a", "D:\\b"]),
            ("\"C:\\a;b\";D:\\b", true, &["C:\\a;b", "D:\\b"]),
        ] {
            assert_eq!(split_list(OsStr::new(list), windows), parts, "{list}");
        }
    }
}
