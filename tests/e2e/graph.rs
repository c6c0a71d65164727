//! The module graph against the real `go` on real public modules: `go list -m all`, `go mod graph`
//! and the `.mod` files that it reads must be exactly ours.
//!
//! Modules come from the module proxy once and are kept in `GOCACHEVET_TEST_DIR`, or below
//! `target/`: their `.mod` files, no source.

// Helpers outside of test functions fail a test just as well.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use crate::support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gocachevet::tested::formats::gomod::{self, GoMod as File, Replacement};
use gocachevet::tested::formats::{ModuleVersion, escape_path, escape_version};
use gocachevet::tested::graph::{CachedGoMods, Graph, MainModules, Standing, load};
use support::{Dice, full_campaign};

/// A `go.mod` as `go mod edit -json` tells it, or that `go` refuses it.
fn go_mod_edit(text: &str) -> Option<serde_json::Value> {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("go.mod"), text).unwrap();
    let mut command = Command::new("go");
    command
        .args(["mod", "edit", "-json"])
        .current_dir(dir.path())
        .env("GOTOOLCHAIN", "local");
    let output = command
        .output()
        .expect("the go command is needed for this test");
    output
        .status
        .success()
        .then(|| serde_json::from_slice(&output.stdout).unwrap())
}

/// The same form, from our own reading.
fn as_go_tells(file: &File) -> serde_json::Value {
    use serde_json::{Map, Value, json};
    fn list<T>(items: &[T], shown: impl Fn(&T) -> Value) -> Value {
        if items.is_empty() {
            Value::Null
        } else {
            items.iter().map(shown).collect()
        }
    }
    fn module(path: &str, version: Option<&str>) -> Value {
        match version {
            Some(version) => json!({"Path": path, "Version": version}),
            None => json!({"Path": path}),
        }
    }
    let versioned =
        |module: &ModuleVersion| json!({"Path": module.path, "Version": module.version});
    let mut told = Map::new();
    told.insert(
        "Module".into(),
        module(file.module.as_deref().unwrap_or_default(), None),
    );
    let optional = [("Go", &file.go), ("Toolchain", &file.toolchain)];
    for (key, value) in optional {
        if let Some(value) = value {
            told.insert(key.into(), json!(value));
        }
    }
    let require = |r: &gomod::Require| {
        let mut told = versioned(&r.module);
        if r.indirect {
            told["Indirect"] = json!(true);
        }
        told
    };
    let replace = |r: &gomod::Replace| {
        let new = match &r.with {
            Replacement::Module(with) => versioned(with),
            Replacement::Dir(dir) => module(dir, None),
        };
        json!({"Old": module(&r.path, r.version.as_deref()), "New": new})
    };
    told.insert("Require".into(), list(&file.require, require));
    told.insert("Exclude".into(), list(&file.exclude, versioned));
    told.insert("Replace".into(), list(&file.replace, replace));
    let retract = |r: &gomod::Retract| json!({"Low": r.low, "High": r.high});
    told.insert("Retract".into(), list(&file.retract, retract));
    told.insert(
        "Tool".into(),
        list(&file.tool, |path| json!({"Path": path})),
    );
    told.insert(
        "Ignore".into(),
        list(&file.ignore, |path| json!({"Path": path})),
    );
    if !file.godebug.is_empty() {
        let godebug = list(
            &file.godebug,
            |(key, value)| json!({"Key": key, "Value": value}),
        );
        told.insert("GoDebug".into(), godebug);
    }
    told.into()
}

#[test]
fn odd_go_mod_files_are_read_or_refused_as_go_does() {
    let texts = [
        "module m // comment\n",
        "module \"m\"\r\ngo 1.21rc1\r\n// x\r\n",
        "module \"m\\x41\\u00e9\\101\"\n",
        "module \"m\\q\"\n",
        "module `m`\n",
        "module 'm'\n",
        "module (\n\tm\n)\n",
        "module m\nrequire (\n)\nrequire ()\nexclude ( // x\n\n\t// y\n\ta v1.0.0 // z\n)\n",
        "module m\nrequire a v1.0.0 // indirect\nrequire b v1.0.0 // indirect; x\n",
        "module m\nrequire a v1.0.0 //indirect\nrequire b v1.0.0 // indirect x\n",
        "module m\nrequire https://a v1.0.0\n",
        "module m\nrequire ( a v1.0.0 )\n",
        "module m\nrequire (\n\ta v1.0.0 )\n",
        "module m\nrequire (\n\ta v1.0.0\n) x\n",
        "module m\nrequire (\n",
        "module m\nrequire x (\n)\n",
        "module m\n)\n",
        "module m /* x */\n",
        "module m\nrequire a/v2 v2.0.0+incompatible\n",
        "module m\nrequire a v2.0.0+incompatible\n",
        "module m\nrequire gopkg.in/a.v1 v0.0.0-20161208181325-20d25e280405\n",
        "module m\nrequire gopkg.in/a.v2-unstable v2.0.0\n",
        "module m\nrequire a/v1 v1.0.0\n",
        "module m\nreplace a => ../x\nreplace b v1.0.0 => c v1.2.3\nreplace c => /x/y\n",
        "module m\nreplace a => x\n",
        "module m\nreplace a v1.0.0 v1.0.0 => ./x\n",
        "module m\nreplace a => ./x => y\n",
        "module m\nreplace => => ./x\n",
        "module m\nreplace a => .\\x\n",
        "module m\nretract v1.0.0\nretract [v1.0.0,v1.2.0]\nretract (\n\t[ v1.3.0 , v1.4.0 ]\n)\n",
        "module m\nretract v1.0.0 x\n",
        "module m\nretract [v1.0.0\n",
        "module m\ngo 1.24\ntoolchain default\ntool a/b\nignore ./x\ngodebug a=b=c\n",
        "module m\ntoolchain go1\n",
        "module m\ntoolchain go2\n",
        "module m\ngodebug a\n",
        "module m\ngo 1.21\ngo 1.21\n",
        "module m\ngo 1.021\n",
        "module m\ntool \"\"\n",
        "module m\nfuture x\n",
        "module m\u{feff}\n",
        "module m\u{a0}x\n",
        "module é\n",
        "(\n",
        "module m\nrequire \"a\nb\" v1.0.0\n",
        "module m, x\n",
    ];
    for text in texts {
        let ours = gomod::parse(text.as_bytes());
        let told = ours.as_ref().ok().map(as_go_tells);
        assert_eq!(told, go_mod_edit(text), "{text:?} {ours:?}");
    }
}

/// The module cache that all tests of a run fill and share.
fn shared_modcache() -> PathBuf {
    let kept = std::env::var_os("GOCACHEVET_TEST_DIR").map(PathBuf::from);
    let dir = kept
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")))
        .join("gomodcache");
    fs::create_dir_all(&dir).unwrap();
    dir.canonicalize().unwrap()
}

/// Runs `go` and gives what it printed.
fn go(dir: &Path, modcache: &Path, proxy: Option<&str>, args: &[&str]) -> String {
    let mut command = Command::new("go");
    command
        .args(args)
        .current_dir(dir)
        .env("GOMODCACHE", modcache)
        .env("GOTOOLCHAIN", "local")
        .env("GOSUMDB", "off")
        .env("GOENV", "off")
        .env("GOFLAGS", "-modcacherw")
        .env_remove("GOWORK");
    if let Some(proxy) = proxy {
        command.env("GOPROXY", proxy);
    }
    let output = command
        .output()
        .expect("the go command is needed for this test");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "go {args:?} in {}: {errors}",
        dir.display()
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A public project's own `go.mod`, taken from the proxy.
fn go_mod_of(module: &str, version: &str) -> String {
    let modcache = shared_modcache();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("go.mod"), "module fetch\n").unwrap();
    let wanted = format!("{module}@{version}");
    let format = "-f={{.GoMod}}";
    let path = go(
        dir.path(),
        &modcache,
        None,
        &["list", "-m", format, &wanted],
    );
    fs::read_to_string(path.trim()).unwrap()
}

fn build_list(graph: &Graph) -> String {
    let line = |selected: &gocachevet::tested::graph::Selected| {
        let ModuleVersion { path, version } = &selected.module;
        let with = match &selected.replacement {
            None => String::new(),
            Some(Replacement::Dir(_)) => " => folder".to_owned(),
            Some(Replacement::Module(with)) => format!(" => {} {}", with.path, with.version),
        };
        format!("{path} {version}{with}\n")
    };
    graph.build_list().iter().map(line).collect()
}

fn edges(graph: &Graph) -> String {
    let name = |module: &ModuleVersion| match module.version.as_str() {
        "" => module.path.clone(),
        version => format!("{}@{version}", module.path),
    };
    graph
        .edges()
        .map(|(from, to)| format!("{} {}\n", name(from), name(to)))
        .collect()
}

/// The `.mod` files of a module cache.
fn mod_files(modcache: &Path) -> BTreeSet<String> {
    let download = modcache.join("cache/download");
    let files = walkdir::WalkDir::new(&download)
        .into_iter()
        .map(Result::unwrap);
    files
        .filter(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "mod")
        })
        .map(|file| {
            file.path()
                .strip_prefix(&download)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

/// A project in a temporary folder whose module cache holds what `go mod graph` read, nothing else.
struct Case {
    dir: tempfile::TempDir,
    modcache: PathBuf,
    graph: Graph,
}

const LIST: &str = "-f={{.Path}} {{.Version}}{{with .Replace}} => {{if .Version}}{{.Path}} \
    {{.Version}}{{else}}folder{{end}}{{end}}";

/// Whether `go list` may write a `go.mod` that it finds behind its requirements.
#[derive(PartialEq)]
enum GoMod {
    Tidy,
    Behind,
    /// Without a `go` line, which `go list` would add, with another meaning.
    WithoutGo,
}

/// Writes a project, and compares its graph with that of `go`.
fn compare(files: &[(&str, &str)], state: GoMod) -> Case {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let shared = shared_modcache();
    let file = |name: &str| dir.path().join(name);
    let root = if file("go.work").exists() {
        file("go.work")
    } else {
        file("go.mod")
    };
    let project = MainModules::read(&root).unwrap();

    go(dir.path(), &shared, None, &["mod", "graph"]);
    let modcache = dir.path().join("modcache");
    let proxy = format!("file://{}", shared.join("cache/download").display());
    let go_edges = go(dir.path(), &modcache, Some(&proxy), &["mod", "graph"]);

    let graph = load(&project, &CachedGoMods::new(&modcache)).unwrap();
    assert!(graph.broken().is_empty(), "{:?}", graph.broken());
    assert_eq!(graph.missing_go_mods(), &BTreeSet::new());
    assert!(graph.is_complete());
    assert_eq!(edges(&graph), go_edges);
    let name = |module: &ModuleVersion| {
        let path = escape_path(&module.path).unwrap();
        format!("{path}/@v/{}.mod", escape_version(&module.version).unwrap())
    };
    let needed: BTreeSet<String> = graph.needed_go_mods().iter().map(name).collect();
    assert_eq!(needed, mod_files(&modcache));

    if state != GoMod::WithoutGo {
        let work = root.ends_with("go.work");
        let mode = if work { "-mod=readonly" } else { "-mod=mod" };
        let listed = go(
            dir.path(),
            &shared,
            None,
            &["list", mode, "-m", LIST, "all"],
        );
        assert_eq!(build_list(&graph), listed);
    }
    assert_eq!(graph.raised().is_empty(), state != GoMod::Behind);
    Case {
        dir,
        modcache,
        graph,
    }
}

#[test]
fn a_pruned_project_with_hundreds_of_modules() {
    // It replaces two modules by others and excludes three versions.
    let file = go_mod_of("github.com/prometheus/prometheus", "v0.55.0");
    let case = compare(&[("go.mod", &file)], GoMod::Tidy);
    assert!(
        case.graph.build_list().len() > 100,
        "{}",
        case.graph.build_list().len()
    );

    let why = case.graph.why("golang.org/x/text", None).unwrap();
    assert_eq!(
        why.first().unwrap().path,
        "github.com/prometheus/prometheus"
    );
    assert_eq!(why.len(), 2);
}

#[test]
fn an_old_project_without_pruning() {
    let file = go_mod_of("github.com/spf13/cobra", "v1.1.3");
    let case = compare(&[("go.mod", &file)], GoMod::Tidy);
    assert!(
        case.graph.build_list().len() > 100,
        "{}",
        case.graph.build_list().len()
    );

    // Required by viper alone, and by way of several others at lower versions.
    let why = case.graph.why("gopkg.in/ini.v1", None).unwrap();
    let why: Vec<_> = why.iter().map(|module| module.path.as_str()).collect();
    assert_eq!(
        why,
        [
            "github.com/spf13/cobra",
            "github.com/spf13/viper",
            "gopkg.in/ini.v1"
        ]
    );
    let superseded =
        |m: &&ModuleVersion| matches!(case.graph.standing(m), Standing::Superseded { .. });
    assert!(case.graph.modules().filter(superseded).count() > 100);
}

#[test]
fn a_workspace_of_two_members_with_a_local_replacement() {
    // The second member is one that the first and others require at several versions: it stands
    // above them, and Go reads their files all the same.
    let case = compare(
        &[
            (
                "go.work",
                "go 1.22.0\ntoolchain go1.23.1\nuse ./app\nuse ./pflag\n\
                 replace example.com/fork => ./fork\n",
            ),
            (
                "app/go.mod",
                "module example.com/app\ngo 1.21.5\nrequire (\n\texample.com/fork v1.2.3\n\
                 \tgithub.com/spf13/cobra v1.7.0\n\tgithub.com/spf13/pflag v1.0.3\n)\n",
            ),
            (
                "pflag/go.mod",
                "module github.com/spf13/pflag\ngo 1.16\n\
                 require github.com/prometheus/client_golang v1.12.0\n\
                 replace example.com/other v1.0.0 => ../fork\n",
            ),
            (
                "fork/go.mod",
                "module example.com/original\ngo 1.20\nrequire (\n\texample.com/other v1.0.0\n\
                 \tgithub.com/spf13/cobra v1.8.1\n)\nreplace x => ./ignored\n",
            ),
        ],
        GoMod::Tidy,
    );
    let mains: Vec<_> = case
        .graph
        .build_list()
        .iter()
        .filter(|m| m.is_main())
        .collect();
    assert_eq!(mains.len(), 2);
    assert_eq!(
        case.graph.selected("github.com/spf13/cobra"),
        Some("v1.8.1")
    );
    let local = |path: &str| {
        let mut list = case.graph.build_list().iter();
        list.find(|m| m.module.path == path)
            .unwrap()
            .cached()
            .is_none()
    };
    assert!(local("example.com/fork") && local("example.com/other"));
    let why = case
        .graph
        .why("github.com/prometheus/client_golang", None)
        .unwrap();
    assert_eq!(why.first().unwrap().path, "github.com/spf13/pflag");
}

#[test]
fn a_module_replaced_by_another_and_one_at_one_version() {
    let case = compare(
        &[(
            "go.mod",
            "module example.com/main\ngo 1.21\nrequire (\n\tgithub.com/cosmos/gorocksdb v1.2.0\n\
             \tgithub.com/gogo/protobuf v1.3.2\n\tgithub.com/stretchr/testify v1.7.0\n)\n\
             replace github.com/gogo/protobuf => github.com/regen-network/protobuf v1.3.3-alpha.regen.1\n\
             replace github.com/stretchr/testify v1.7.0 => github.com/stretchr/testify v1.8.4\n",
        )],
        GoMod::Tidy,
    );
    let cached = case
        .graph
        .build_list()
        .iter()
        .find(|m| m.module.path.ends_with("gogo/protobuf"));
    assert_eq!(
        cached.unwrap().cached().unwrap().path,
        "github.com/regen-network/protobuf"
    );
}

#[test]
fn excluded_versions_are_passed_over() {
    let with = "module example.com/main\ngo 1.21\nrequire (\n\tgithub.com/spf13/viper v1.12.0\n\
                \tgithub.com/stretchr/testify v1.7.1\n)\n";
    let yaml = |case: &Case| case.graph.selected("gopkg.in/yaml.v3").unwrap().to_owned();
    let case = compare(&[("go.mod", with)], GoMod::Tidy);
    assert_eq!(yaml(&case), "v3.0.0");
    let excluded = format!("{with}exclude gopkg.in/yaml.v3 v3.0.0\n");
    let case = compare(&[("go.mod", &excluded)], GoMod::Tidy);
    assert_eq!(yaml(&case), "v3.0.0-20200313102051-9f266ea9e77c");
}

#[test]
fn a_pruned_project_behind_its_requirements_is_raised() {
    compare(
        &[(
            "go.mod",
            "module example.com/main\ngo 1.18\nrequire (\n\tgithub.com/spf13/cobra v1.8.1\n\
             \tgithub.com/spf13/pflag v1.0.3\n\tgithub.com/spf13/viper v1.18.2\n\
             \tgolang.org/x/text v0.3.0\n\tgolang.org/x/sys v0.1.0\n\tgolang.org/x/sys v0.2.0\n)\n",
        )],
        GoMod::Behind,
    );
}

#[test]
fn an_old_project_behind_its_requirements_is_raised() {
    compare(
        &[(
            "go.mod",
            "module example.com/main\ngo 1.15\nrequire (\n\tgithub.com/spf13/cobra v1.1.3\n\
             \tgithub.com/spf13/pflag v1.0.3\n\tgithub.com/spf13/viper v1.6.0 // indirect\n\
             \tgolang.org/x/text v0.3.0 // indirect\n)\n",
        )],
        GoMod::Behind,
    );
}

#[test]
fn a_project_without_a_go_line_counts_as_old() {
    let text = "module example.com/main\nrequire github.com/spf13/cobra v1.7.0\n";
    compare(&[("go.mod", text)], GoMod::WithoutGo);
}

#[test]
fn a_missing_file_is_named() {
    let text = "module example.com/main\ngo 1.20\nrequire github.com/spf13/cobra v1.7.0\n";
    let case = compare(&[("go.mod", text)], GoMod::Tidy);
    let file = case
        .modcache
        .join("cache/download/github.com/spf13/cobra/@v/v1.7.0.mod");
    fs::remove_file(file).unwrap();
    let project = MainModules::read(&case.dir.path().join("go.mod")).unwrap();
    let graph = load(&project, &CachedGoMods::new(&case.modcache)).unwrap();
    let missing: Vec<_> = graph
        .missing_go_mods()
        .iter()
        .map(|m| m.path.as_str())
        .collect();
    assert_eq!(missing, ["github.com/spf13/cobra"]);
    assert!(!graph.is_complete());
}

const MODULES: usize = 7;
const VERSIONS: &[&str] = &["v1.0.0", "v1.1.0-rc.1", "v1.1.0", "v1.2.0", "v1.10.0"];

/// A go.mod that requires some of the modules, of a Go with pruning or without.
fn random_go_mod(name: &str, dice: &mut Dice) -> String {
    let go = ["1.15", "1.16", "1.17", "1.18", "1.21"][dice.roll(5)];
    let mut text = format!("module example.com/{name}\n\ngo {go}\n");
    for other in 0..MODULES {
        // No more than one of three, so that not everything is one cycle.
        if dice.roll(3) == 0 && name != format!("m{other}") {
            let version = VERSIONS[dice.roll(VERSIONS.len())];
            let indirect = ["", " // indirect"][dice.roll(2)];
            text += &format!("require example.com/m{other} {version}{indirect}\n");
        }
    }
    text
}

/// A proxy's folder that has every version's go.mod, and no source.
fn random_proxy(folder: &Path, dice: &mut Dice) {
    for module in 0..MODULES {
        let versions = folder.join(format!("example.com/m{module}/@v"));
        fs::create_dir_all(&versions).unwrap();
        for version in VERSIONS {
            let text = random_go_mod(&format!("m{module}"), dice);
            fs::write(versions.join(format!("{version}.mod")), text).unwrap();
            let info = format!("{{\"Version\":\"{version}\",\"Time\":\"2020-01-02T03:04:05Z\"}}");
            fs::write(versions.join(format!("{version}.info")), info).unwrap();
        }
        fs::write(versions.join("list"), VERSIONS.join("\n")).unwrap();
    }
}

#[test]
fn random_graphs_have_the_build_list_that_go_selects() {
    let mut dice = Dice::new("graph");
    let (mut raised, mut deep) = (0, 0);
    let count = if full_campaign() { 1000 } else { 25 };
    for number in 0..count {
        let dir = tempfile::tempdir().unwrap();
        let [proxy, modcache] = ["proxy", "modcache"].map(|name| dir.path().join(name));
        random_proxy(&proxy, &mut dice);
        let main = random_go_mod("main", &mut dice);
        fs::write(dir.path().join("go.mod"), &main).unwrap();
        let url = format!("file://{}", proxy.display());
        let go = |args: &[&str]| go(dir.path(), &modcache, Some(&url), args);
        let project = MainModules::read(&dir.path().join("go.mod")).unwrap();
        let go_edges = go(&["mod", "graph"]);
        let graph = load(&project, &CachedGoMods::new(&modcache)).unwrap();
        assert!(graph.is_complete(), "{number}: {main}");
        assert_eq!(edges(&graph), go_edges, "{number}: {main}");
        let listed = go(&["list", "-mod=mod", "-m", LIST, "all"]);
        assert_eq!(build_list(&graph), listed, "{number}: {main}");
        raised += usize::from(!graph.raised().is_empty());
        deep += usize::from(graph.build_list().len() > 4);
    }
    println!("{count} graphs, {raised} raised, {deep} of more than four modules");
    assert!(raised > 0 && deep > count / 4, "{raised} {deep}");
}
