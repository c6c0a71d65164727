//! What is made once per machine: the local module proxy and the compiled
//! standard library.
//!
//! Both lie in `target/test-go`, or where `GOCACHEVET_TEST_DIR` says (a folder
//! that outlives `cargo clean`, or that CI caches), in folders named after what
//! they hold, so a changed list or another Go makes new ones. Test processes
//! exclude each other with a lock file; a folder gets its name when it is
//! complete.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::go::{Project, assert_success, run};
use super::tree::make_writable;

/// The public modules tests can download (the projects' own ones come on top):
/// `path@version` and the zip's checksum, which is checked on arrival.
pub const MODULES: &[(&str, &str)] = &[
    // An upper-case letter in the path, two versions.
    (
        "github.com/BurntSushi/toml@v1.3.2",
        "h1:o7IhLm0Msx3BaB+n3Ag7L8EVlByGnpq14C4YWiu/gL8=",
    ),
    (
        "github.com/BurntSushi/toml@v1.4.0",
        "h1:kuoIxZQy2WRRk1pttg9asf+WVv6tWQuBNVmK8+nqPr0=",
    ),
    // The same with a major version as its last element.
    (
        "github.com/Masterminds/semver/v3@v3.2.1",
        "h1:RN9w6+7QoMeJVGyfmbcgs28Br8cvmnucEXnY0rYXWg0=",
    ),
    (
        "github.com/Masterminds/semver/v3@v3.3.1",
        "h1:QtNSWtVZ3nBfk8mAOu/B6v7FMJ+NHTIgUPi7rj+4nv4=",
    ),
    // Two modules, the second nested in the first one's path.
    (
        "github.com/cespare/xxhash@v1.1.0",
        "h1:a6HrQnmkObjyL+Gs60czilIUGqrzKutQD6XZog3p+ko=",
    ),
    (
        "github.com/cespare/xxhash/v2@v2.3.0",
        "h1:UL815xU9SqsFlibzuggzjXhog7bL6oX9BbNZnL2UFvs=",
    ),
    // A major version above 1 without a go.mod.
    (
        "github.com/gofrs/uuid@v4.4.0+incompatible",
        "h1:3qXRTX8/NbyulANqlc0lchS1gqAVxRgsuW1YrTJupqA=",
    ),
    // A pseudo-version.
    (
        "golang.org/x/exp@v0.0.0-20240719175910-8a7402abbf56",
        "h1:2dVuKD2vS7b0QIHQbpyTISPd0LeHDbnYEryqj5Q1ug8=",
    ),
    // A major version after a dot.
    (
        "gopkg.in/yaml.v3@v3.0.1",
        "h1:fxVm/GzAzEWqLHuvctI91KS9hhNmmWOoWu0XTYJS7CA=",
    ),
    // Small ones.
    (
        "github.com/google/uuid@v1.6.0",
        "h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=",
    ),
    (
        "github.com/pkg/errors@v0.9.1",
        "h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=",
    ),
    // Twenty versions of one module.
    (
        "golang.org/x/sync@v0.1.0",
        "h1:wsuoTGHzEhffawBOhz5CYhcrV4IdKZbEyZjBMuTp12o=",
    ),
    (
        "golang.org/x/sync@v0.2.0",
        "h1:PUR+T4wwASmuSTYdKjYHI5TD22Wy5ogLU5qZCOLxBrI=",
    ),
    (
        "golang.org/x/sync@v0.3.0",
        "h1:ftCYgMx6zT/asHUrPw8BLLscYtGznsLAnjq5RH9P66E=",
    ),
    (
        "golang.org/x/sync@v0.4.0",
        "h1:zxkM55ReGkDlKSM+Fu41A+zmbZuaPVbGMzvvdUPznYQ=",
    ),
    (
        "golang.org/x/sync@v0.5.0",
        "h1:60k92dhOjHxJkrqnwsfl8KuaHbn/5dl0lUPUklKo3qE=",
    ),
    (
        "golang.org/x/sync@v0.6.0",
        "h1:5BMeUDZ7vkXGfEr1x9B4bRcTH4lpkTkpdh0T/J+qjbQ=",
    ),
    (
        "golang.org/x/sync@v0.7.0",
        "h1:YsImfSBoP9QPYL0xyKJPq0gcaJdG3rInoqxTWbfQu9M=",
    ),
    (
        "golang.org/x/sync@v0.8.0",
        "h1:3NFvSEYkUoMifnESzZl15y791HH1qU2xm6eCJU5ZPXQ=",
    ),
    (
        "golang.org/x/sync@v0.9.0",
        "h1:fEo0HyrW1GIgZdpbhCRO0PkJajUS5H9IFUztCgEo2jQ=",
    ),
    (
        "golang.org/x/sync@v0.10.0",
        "h1:3NQrjDixjgGwUOCaF8w2+VYHv0Ve/vGYSbdkTa98gmQ=",
    ),
    (
        "golang.org/x/sync@v0.11.0",
        "h1:GGz8+XQP4FvTTrjZPzNKTMFtSXH80RAzG+5ghFPgK9w=",
    ),
    (
        "golang.org/x/sync@v0.12.0",
        "h1:MHc5BpPuC30uJk597Ri8TV3CNZcTLu6B6z4lJy+g6Jw=",
    ),
    (
        "golang.org/x/sync@v0.13.0",
        "h1:AauUjRAJ9OSnvULf/ARrrVywoJDy0YS2AwQ98I37610=",
    ),
    (
        "golang.org/x/sync@v0.14.0",
        "h1:woo0S4Yywslg6hp4eUFjTVOyKt0RookbpAHG4c1HmhQ=",
    ),
    (
        "golang.org/x/sync@v0.15.0",
        "h1:KWH3jNZsfyT6xfAfKiz6MRNmd46ByHDYaZ7KSkCtdW8=",
    ),
    (
        "golang.org/x/sync@v0.16.0",
        "h1:ycBJEhp9p4vXvUZNszeOq0kGTPghopOL8q0fq3vstxw=",
    ),
    (
        "golang.org/x/sync@v0.17.0",
        "h1:l60nONMj9l5drqw6jlhIELNv9I0A4OFgRsG9k2oT9Ug=",
    ),
    (
        "golang.org/x/sync@v0.18.0",
        "h1:kr88TuHDroi+UVf+0hZnirlk8o8T+4MrK6mr60WkH/I=",
    ),
    (
        "golang.org/x/sync@v0.19.0",
        "h1:vV+1eWNmZ5geRlYjzm2adRgW2/mcpevXNg50YZtPCE4=",
    ),
    (
        "golang.org/x/sync@v0.20.0",
        "h1:e0PTpb7pjO8GAtTs2dQ6jYa5BWYlMuX047Dco/pItO4=",
    ),
];

/// The local module proxy as a value for `GOPROXY`, and the checksum database
/// it answers for as a value for `GOSUMDB`.
pub fn proxy() -> (String, String) {
    static DONE: OnceLock<(String, String)> = OnceLock::new();
    let done = || {
        let dir = made("proxy", &fixtures_id(), fill_proxy);
        let download = dir.join("modcache/cache/download");
        let sumdb = fs::read_to_string(dir.join("gosumdb")).unwrap();
        (format!("file://{}", download.display()), sumdb)
    };
    DONE.get_or_init(done).clone()
}

/// A build cache with the standard library, compiled with or without `-trimpath`: every
/// package of the one is another than that of the other.
pub fn std_cache(trimpath: bool) -> PathBuf {
    static DONE: [OnceLock<PathBuf>; 2] = [OnceLock::new(), OnceLock::new()];
    let done = || {
        let version = stdout(Command::new("go").args(["env", "GOVERSION", "GOROOT"]));
        let name = if trimpath { "std-trimmed" } else { "std" };
        let fill = |dir: &Path| fill_std(dir, trimpath);
        made(name, &id(&[version.as_bytes()]), fill).join("gocache")
    };
    DONE[usize::from(trimpath)].get_or_init(done).clone()
}

/// The toolchain that [`toolchain_cache`] holds: small steps back from what is
/// needed, so that any Go can switch to it.
pub const TOOLCHAIN: &str = "go1.24.0";

/// A module cache in which Go switched to [`TOOLCHAIN`]: downloaded, extracted
/// and started once (which makes its `go.mod` copies).
pub fn toolchain_cache() -> PathBuf {
    static DONE: OnceLock<PathBuf> = OnceLock::new();
    let done = || made("toolchain", &id(&[TOOLCHAIN.as_bytes()]), fill_toolchain).join("modcache");
    DONE.get_or_init(done).clone()
}

fn fill_toolchain(dir: &Path) {
    let mut command = Command::new("go");
    let said = stdout(
        command
            .arg("version")
            .current_dir(dir)
            .env("GOMODCACHE", dir.join("modcache"))
            .env("GOPATH", dir.join("gopath"))
            .env("GOTOOLCHAIN", TOOLCHAIN),
    );
    assert!(said.contains(TOOLCHAIN), "{said}");
}

/// The folder `NAME-ID`, filled by `fill` unless it is there.
fn made(name: &str, id: &str, fill: impl Fn(&Path)) -> PathBuf {
    let root = std::env::var_os("GOCACHEVET_TEST_DIR").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-go"),
        PathBuf::from,
    );
    fs::create_dir_all(&root).unwrap();
    let root = root.canonicalize().unwrap();
    let dir = root.join(format!("{name}-{id}"));
    let lock = File::create(root.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    if !dir.exists() {
        let part = root.join(format!("{name}.part"));
        make_writable(&part);
        let _ = fs::remove_dir_all(&part);
        fs::create_dir(&part).unwrap();
        fill(&part);
        fs::rename(&part, &dir).unwrap();
    }
    dir
}

/// A name for the fixtures as they are now.
fn fixtures_id() -> String {
    let mut parts: Vec<Vec<u8>> = vec![format!("{MODULES:?}").into()];
    for project in Project::ALL {
        for entry in walkdir::WalkDir::new(project.source()).sort_by_file_name() {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                parts.push(fs::read(entry.path()).unwrap());
            }
        }
    }
    id(&parts)
}

fn id<T: AsRef<[u8]>>(parts: &[T]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(Sha256::digest(part));
    }
    let digest = hasher.finalize();
    digest.iter().take(6).map(|b| format!("{b:02x}")).collect()
}

/// `go` with caches in `dir`, but the machine's own home and settings: it is
/// the one command here that talks to the real proxy, in whatever way works on
/// this machine.
fn go(dir: &Path, at: &Path, args: &[&str]) -> String {
    let mut command = Command::new("go");
    command
        .args(args)
        .current_dir(at)
        .env("GOMODCACHE", dir.join("modcache"))
        .env("GOCACHE", dir.join("gocache"))
        .env("GOPATH", dir.join("gopath"))
        .env("GOFLAGS", "-buildvcs=false")
        .env("GOTOOLCHAIN", "local")
        .env("CGO_ENABLED", "0");
    stdout(&mut command)
}

fn stdout(command: &mut Command) -> String {
    let output = run(command);
    assert_success(command, &output);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn fill_proxy(dir: &Path) {
    let mut args = vec!["mod", "download", "-json"];
    args.extend(MODULES.iter().map(|(module, _)| *module));
    let said = go(dir, dir, &args);
    for (module, sum) in MODULES {
        let (path, version) = module.split_once('@').unwrap();
        let found = serde_json::Deserializer::from_str(&said)
            .into_iter::<serde_json::Value>()
            .map(Result::unwrap)
            .find(|m| m["Path"] == path && m["Version"] == version)
            .unwrap_or_else(|| panic!("{module} was not downloaded:\n{said}"));
        assert_eq!(found["Sum"], *sum, "checksum of {module}");
    }
    for project in Project::ALL {
        // Checked by each project's go.sum. In copies: `go` may write there.
        let at = dir.join("src").join(project.name());
        super::tree::copy_tree(&project.source(), &at);
        go(dir, &at, &["mod", "download"]);
        go(dir, &at, &["mod", "graph"]);
        if project != Project::Work {
            // The modules that only the tests of dependencies need.
            go(dir, &at, &["mod", "tidy"]);
        }
    }
    // A proxy says by this file that it answers for a checksum database.
    let sumdb = go(dir, dir, &["env", "GOSUMDB"]);
    let name = sumdb.split(['+', ' ']).next().unwrap();
    let latest = dir.join("gopath/pkg/sumdb").join(name).join("latest");
    let answers = dir.join("modcache/cache/download/sumdb").join(name);
    if answers.exists() {
        fs::write(answers.join("supported"), "").unwrap();
        fs::copy(latest, answers.join("latest")).unwrap();
    }
    fs::write(dir.join("gosumdb"), name).unwrap();
}

/// Compiles what the projects and their tests import of the standard library,
/// by building and testing a package that imports just that.
fn fill_std(dir: &Path, trimpath: bool) {
    let seed = dir.join("seed");
    fs::create_dir(&seed).unwrap();
    fs::write(seed.join("go.mod"), "module seed\n\ngo 1.21\n").unwrap();
    let imports: String = STD
        .iter()
        .map(|name| format!("import _ {name:?}\n"))
        .collect();
    let main = format!("package main\n{imports}func main() {{}}\n");
    fs::write(seed.join("main.go"), main).unwrap();
    let test = "package main\nimport \"testing\"\nfunc TestSeed(*testing.T) {}\n";
    fs::write(seed.join("main_test.go"), test).unwrap();
    let flag = format!("-trimpath={trimpath}");
    go(dir, &seed, &["build", &flag, "-o", "/dev/null", "."]);
    go(dir, &seed, &["test", &flag, "."]);
    // Go's last-trim time is this folder's, not that of the caches made of it.
    let _ = fs::remove_file(dir.join("gocache/trim.txt"));
}

/// What the projects import of the standard library (what these import in turn
/// comes along). One that is missing here costs time, nothing else.
const STD: &[&str] = &[
    "bufio",
    "crypto/md5",
    "crypto/rand",
    "crypto/sha1",
    "database/sql",
    "encoding/base64",
    "encoding/json",
    "fmt",
    "io/ioutil",
    "log",
    "math/bits",
    "net",
    "os",
    "regexp",
];
