//! `pack`: bundles made of caches that the real go filled, carried to where
//! there is no network, and built from; and bundles that somebody tampered with.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::bundle::{Packed, archive, entries, entry, forged, sha256};
use support::{GoEnv, Project, Run, Scratch, TOOLCHAIN, copy_tree, make_writable, toolchain_cache};

/// The same command in a network namespace of its own, which has no network.
fn without_network(command: &Command) -> Command {
    let mut alone = Command::new("unshare");
    alone
        .arg("-rn")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            alone.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        alone.current_dir(dir);
    }
    alone
}

#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!(
            "this test needs {:?} in PATH: {error}",
            command.get_program()
        )
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{said}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Unpacks a bundle at a new place and builds and tests there without a network.
#[track_caller]
fn build_elsewhere(project: &Path, bundle: &Path, packages: &[&str]) {
    let mut there = GoEnv::new();
    there.with_std();
    // Nothing is turned off for the bundle's sake: Go asks the checksum database
    // for whatever go.sum does not have.
    there.set("GOSUMDB", "sum.golang.org");
    let sources = there.dir().join("sources");
    copy_tree(project, &sources);
    let carried = there.dir().join(bundle.file_name().unwrap());
    fs::copy(bundle, &carried).unwrap();
    let unpacked = there.dir().join("unpacked");
    let carried = carried.to_str().unwrap();
    let run = |args: &[&str]| there.gocachevet().arg("pack").args(args).run();
    run(&["--check", carried]).expect_code(0);
    run(&["--into", unpacked.to_str().unwrap(), carried]).expect_code(0);
    if unpacked.join("proxy").exists() {
        there.set("GOPROXY", format!("file://{}/proxy", unpacked.display()));
    } else {
        there.set("GOPROXY", "off");
        there.set("GOMODCACHE", unpacked.join("modcache"));
    }
    for command in ["build", "test"] {
        let args = [&[command], packages].concat();
        succeed(&mut without_network(&there.command(&sources, args)));
    }
    make_writable(there.dir());
}

#[test]
fn the_namespace_has_no_network() {
    let mut command = Command::new("cat");
    let devices = succeed(&mut without_network(command.arg("/proc/net/dev")));
    let names: Vec<&str> = devices
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    assert_eq!(names, ["lo"]);
}

#[test]
fn modules_build_and_test_without_a_network() {
    for kind in Project::ALL {
        let packed = Packed::of(kind);
        for (name, shape) in [("a.tar.zst", "modcache"), ("b.tar", "proxy")] {
            let bundle = packed.bundle(name, &["--shape", shape]);
            build_elsewhere(&packed.project, &bundle, kind.packages());
        }
    }
}

/// A module that only git has, and a project that needs it.
fn private(env: &mut GoEnv) -> PathBuf {
    let module = env.dir().join("git/greet.git");
    fs::create_dir_all(&module).unwrap();
    fs::write(
        module.join("go.mod"),
        "module corp.example/greet.git\n\ngo 1.21\n",
    )
    .unwrap();
    fs::write(
        module.join("greet.go"),
        "package greet\n\nfunc Hello() string { return \"hello\" }\n",
    )
    .unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(&module).env("HOME", &env.home);
        succeed(
            command
                .args(["-c", "user.name=x", "-c", "user.email=x@y.z"])
                .args(args),
        );
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "First"]);
    git(&["tag", "v1.0.0"]);
    let rule = format!(
        "[url \"file://{}/\"]\n\tinsteadOf = https://corp.example/\n",
        module.parent().unwrap().display()
    );
    fs::write(env.home.join(".gitconfig"), rule).unwrap();
    env.set("GOPRIVATE", "corp.example");

    let project = env.dir().join("src/private");
    fs::create_dir_all(&project).unwrap();
    fs::write(
        project.join("go.mod"),
        "module corp.example/app\n\ngo 1.21\n\nrequire (\n\tcorp.example/greet.git v1.0.0\n\tgithub.com/pkg/errors v0.9.1\n)\n",
    )
    .unwrap();
    fs::write(
        project.join("app_test.go"),
        "package app\n\nimport (\n\t\"testing\"\n\n\t\"corp.example/greet.git\"\n\t\"github.com/pkg/errors\"\n)\n\nfunc TestGreeting(t *testing.T) {\n\tif greet.Hello() != \"hello\" {\n\t\tt.Fatal(errors.New(\"no greeting\"))\n\t}\n}\n",
    )
    .unwrap();
    project
}

#[test]
fn a_private_module_comes_along() {
    let mut env = GoEnv::new();
    let project = private(&mut env);
    env.go(&project, ["mod", "tidy"]);
    let packed = Packed { env, project };
    for (name, shape) in [("a.tar.zst", "modcache"), ("b.tar.zst", "proxy")] {
        let bundle = packed.bundle(name, &["--shape", shape]);
        let manifest = packed.check(&bundle).expect_code(0);
        assert_eq!(manifest.json()["modules"], 2);
        build_elsewhere(&packed.project, &bundle, &["./..."]);
    }
}

#[test]
fn a_bundle_for_one_system_holds_what_builds_for_it_reach() {
    let env = GoEnv::new();
    let project = env.dir().join("src/systems");
    fs::create_dir_all(project.join("deep")).unwrap();
    let write = |name: &str, content: &str| fs::write(project.join(name), content).unwrap();
    write(
        "go.mod",
        "module example.com/systems\n\ngo 1.21\n\nrequire (\n\tgithub.com/cespare/xxhash/v2 v2.3.0\n\tgithub.com/google/uuid v1.6.0\n\tgithub.com/pkg/errors v0.9.1\n\tgolang.org/x/sync v0.7.0\n)\n",
    );
    let import = |path: &str| format!("package systems\n\nimport _ {path:?}\n");
    write("all.go", &import("github.com/google/uuid"));
    write("some_windows.go", &import("github.com/pkg/errors"));
    let tagged = import("golang.org/x/sync/errgroup");
    write(
        "tagged.go",
        &format!("//go:build darwin || plan9\n\n{tagged}"),
    );
    write("all_test.go", &import("github.com/cespare/xxhash/v2"));
    env.go(&project, ["mod", "tidy"]);
    let packed = Packed { env, project };
    let packs = |name: &str, args: &[&str]| -> Vec<String> {
        let folder = packed.bundle(name, args);
        let manifest = fs::read(folder.join("gocachevet-pack.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let modules = manifest["modules"].as_array().unwrap().iter();
        modules
            .map(|module| {
                let path = module["path"].as_str().unwrap();
                path.rsplit('/')
                    .find(|part| *part != "v2")
                    .unwrap()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(packs("all", &[]), ["xxhash", "uuid", "errors", "sync"]);
    assert_eq!(
        packs("windows", &["--platform", "windows/amd64"]),
        ["xxhash", "uuid", "errors"]
    );
    assert_eq!(
        packs(
            "two",
            &["--platform", "darwin/arm64", "--platform", "linux/amd64"]
        ),
        ["xxhash", "uuid", "sync"]
    );
    let bundle = packed.bundle("linux.tar", &["--platform", "linux/amd64"]);
    assert_eq!(packed.check(&bundle).json()["modules"], 2);
    build_elsewhere(&packed.project, &bundle, &["./..."]);
}

/// An environment that asked the checksum database for two modules. The local
/// proxy knows the tiles that whoever filled it asked for, meeting the tree
/// heads in one order: so one of both orders works.
fn asked() -> GoEnv {
    let modules = [
        "github.com/pkg/errors@v0.9.1",
        "github.com/google/uuid@v1.6.0",
    ];
    for order in [modules, [modules[1], modules[0]]] {
        let mut env = GoEnv::new();
        env.with_sumdb();
        let asked = |module: &str| env.try_go(env.dir(), ["mod", "download", module]);
        if order.iter().all(|module| asked(module).status.success()) {
            return env;
        }
    }
    panic!("the local proxy answers for the checksum database in neither order")
}

#[test]
fn records_of_the_checksum_database_come_along() {
    let mut env = asked();
    env.set("GOSUMDB", "off");
    let project = env.dir().join("src/plain");
    fs::create_dir_all(&project).unwrap();
    let go_mod = "module example.com/plain\n\ngo 1.21\n\nrequire (\n\tgithub.com/google/uuid v1.6.0\n\tgithub.com/pkg/errors v0.9.1\n)\n";
    fs::write(project.join("go.mod"), go_mod).unwrap();
    let main = "package main\n\nimport (\n\t_ \"github.com/google/uuid\"\n\t_ \"github.com/pkg/errors\"\n)\n\nfunc main() {}\n";
    fs::write(project.join("main.go"), main).unwrap();
    env.go(&project, ["mod", "tidy"]);
    let sums = fs::read_to_string(project.join("go.sum")).unwrap();
    assert_eq!(sums.lines().count(), 4);
    env.set("GOSUMDB", "sum.golang.org");
    let packed = Packed { env, project };
    let bundle = packed.bundle("b.tar.zst", &["--shape", "proxy"]);

    // Without go.sum Go asks the database for every line of it.
    let mut there = GoEnv::new();
    let unpacked = there.dir().join("unpacked");
    packed.unpack(&unpacked, &bundle).expect_code(0);
    there.set("GOPROXY", format!("file://{}/proxy", unpacked.display()));
    there.set("GOSUMDB", "sum.golang.org");
    let project = there.dir().join("sources");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("go.mod"), go_mod).unwrap();
    fs::write(project.join("main.go"), main).unwrap();
    let fetch = there.command(&project, ["mod", "tidy"]);
    succeed(&mut without_network(&fetch));
    let asked = fs::read_to_string(project.join("go.sum")).unwrap();
    assert_eq!(asked, sums);
}

#[test]
fn what_is_missing_is_listed_whole_and_fetched_by_the_line_that_is_told() {
    let packed = Packed::hello();
    let download = packed.env.modcache.join("cache/download");
    make_writable(&packed.env.modcache);
    fs::remove_file(download.join("gopkg.in/yaml.v3/@v/v3.0.1.zip")).unwrap();
    fs::remove_file(download.join("github.com/cespare/xxhash/v2/@v/v2.3.0.mod")).unwrap();
    let bundle = packed.path("b.tar");
    let args = ["-o", bundle.to_str().unwrap()];
    let report = packed.pack(&args).expect_code(1).json();
    let missing: Vec<String> = report["missing"]
        .as_array()
        .unwrap()
        .iter()
        .map(|missing| format!("{} {}", missing["module"], missing["piece"]).replace('"', ""))
        .collect();
    assert_eq!(
        missing,
        ["github.com/cespare/xxhash/v2 mod", "gopkg.in/yaml.v3 zip"]
    );
    assert!(!bundle.exists());

    let fetch = report["fetch"].as_str().unwrap();
    let words: Vec<&str> = fetch.split(' ').collect();
    assert_eq!(words[0], "go");
    packed.env.go(packed.env.dir(), &words[1..]);
    packed.pack(&args).expect_code(0);
}

#[test]
fn a_damaged_cache_is_not_packed() {
    let packed = Packed::hello();
    let zip = packed
        .env
        .modcache
        .join("cache/download/gopkg.in/yaml.v3/@v/v3.0.1.zip");
    let other = packed
        .env
        .modcache
        .join("cache/download/github.com/cespare/xxhash/v2/@v/v2.3.0.mod");
    make_writable(&packed.env.modcache);
    let mut bytes = fs::read(&zip).unwrap();
    // In the middle of a packed file.
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&zip, bytes).unwrap();
    fs::write(&other, "module github.com/cespare/xxhash/v2\n\ngo 1.12\n").unwrap();
    let bundle = packed.path("b.tar");
    let report = packed
        .pack(&["-o", bundle.to_str().unwrap()])
        .expect_code(1);
    let said = report.json()["damaged"].to_string();
    for part in [
        "yaml.v3/@v/v3.0.1.zip",
        "v2.3.0.mod",
        "go.sum's line for its go.mod",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!bundle.exists());
    assert_eq!(
        fs::read_dir(packed.env.dir())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_string_lossy()
                    .contains("part")
            })
            .count(),
        0
    );
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let packed = Packed::of(Project::Work);
    let other = Packed::of(Project::Work);
    for (name, again) in [("a.tar.zst", "b.tar.zst"), ("a.tar", "b.tar")] {
        let first = packed.bundle(name, &["--jobs", "1"]);
        // Another cache, another folder, another number of threads.
        let second = other.bundle(again, &["--jobs", "4"]);
        assert!(
            fs::read(first).unwrap() == fs::read(second).unwrap(),
            "{name}"
        );
    }
    let digest = |run: Run| {
        run.expect_code(0).json()["digest"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let folder = packed.bundle("folder", &[]);
    let expected = digest(packed.check(&folder));
    assert_eq!(digest(packed.check(&packed.path("a.tar"))), expected);
    let manifest = fs::read(folder.join("gocachevet-pack.json")).unwrap();
    assert_eq!(sha256(&manifest), expected);

    // Compressed, the manifest lists its frames as well.
    let bundle = packed.path("a.tar.zst");
    let expected = digest(packed.check(&bundle));
    let bundle = bundle.to_str().unwrap();
    packed
        .pack(&["--check", bundle, "--digest", &expected])
        .expect_code(0);
    let other = "0".repeat(64);
    let run = packed
        .pack(&["--check", bundle, "--digest", &other])
        .expect_code(1);
    assert!(run.stdout.contains("another bundle"), "{run}");
}

#[test]
fn a_changed_bit_in_a_frame_is_seen_before_it_is_unpacked() {
    let packed = Packed::hello();
    let bundle = packed.bundle("b.tar.zst", &[]);
    let whole = fs::read(&bundle).unwrap();
    let unpacked = packed.path("unpacked");
    packed.unpack(&unpacked, &bundle).expect_code(0);
    let manifest = fs::read(unpacked.join("gocachevet-pack.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let frames = manifest["frames"].as_array().unwrap();
    let lengths: Vec<usize> = frames
        .iter()
        .map(|frame| frame["bytes"].as_u64().unwrap().try_into().unwrap())
        .collect();
    // Small files, zips, and the tar's end.
    assert_eq!(lengths.len(), 3);
    let mut at = whole.len() - lengths.iter().sum::<usize>();
    for (frame, length) in lengths.iter().enumerate() {
        let mut changed = whole.clone();
        changed[at + length / 2] ^= 1;
        fs::write(&bundle, &changed).unwrap();
        packed.assert_refused(
            &bundle,
            &format!("frame {frame} is not what the manifest says"),
        );
        at += length;
    }
    // Another one in its place, as long as it should be.
    let (first, second) = (lengths[0], lengths[1]);
    let start = whole.len() - lengths.iter().sum::<usize>();
    let mut swapped = whole[..start].to_vec();
    swapped.extend(&whole[start + first..start + first + second]);
    swapped.extend(&whole[start..start + first]);
    swapped.extend(&whole[start + first + second..]);
    fs::write(&bundle, &swapped).unwrap();
    packed.assert_refused(&bundle, "frame 0 is not what the manifest says");
    fs::write(&bundle, &whole[..whole.len() - 1]).unwrap();
    packed.assert_refused(&bundle, "is cut short");
}

#[test]
fn tar_and_zstd_open_a_bundle() {
    let packed = Packed::hello();
    let bundle = packed.bundle("b.tar.zst", &[]);
    let by_hand = packed.path("by-hand");
    fs::create_dir(&by_hand).unwrap();
    let mut tar = Command::new("tar");
    succeed(
        tar.arg("--zstd")
            .arg("-xf")
            .arg(&bundle)
            .current_dir(&by_hand),
    );
    packed.check(&by_hand).expect_code(0);
}

#[test]
fn a_missing_a_changed_and_an_extra_piece_are_refused() {
    let packed = Packed::hello();
    let whole = entries(&packed.bundle("whole.tar", &[]));
    let path = packed.path("changed.tar");
    let same = archive(&path, &whole, |_| ());
    packed.check(&same).expect_code(0);

    for at in 1..whole.len() {
        let mut less = whole.clone();
        let (name, _) = less.remove(at);
        archive(&path, &less, |_| ());
        packed.assert_refused(&path, &format!("\"{name}\""));
    }
    let zip = whole
        .iter()
        .position(|(name, _)| name.ends_with("v3.0.1.zip"))
        .unwrap();
    let mut changed = whole.clone();
    changed[zip].1[1000] ^= 1;
    archive(&path, &changed, |_| ());
    packed.assert_refused(&path, "not what the manifest says");
    changed[zip].1.pop();
    archive(&path, &changed, |_| ());
    packed.assert_refused(&path, "bytes, not");
    let mut more = whole.clone();
    more.push((
        "modcache/cache/download/evil.example/@v/v1.0.0.zip".into(),
        b"x".to_vec(),
    ));
    archive(&path, &more, |_| ());
    packed.assert_refused(&path, "is not in the manifest");
    let mut twice = whole.clone();
    twice.push(whole[zip].clone());
    archive(&path, &twice, |_| ());
    packed.assert_refused(&path, "is there twice");
    archive(&path, &whole[1..], |_| ());
    packed.assert_refused(&path, "stands where");
    archive(&path, &[], |_| ());
    packed.assert_refused(&path, "holds no bundle");
}

#[test]
fn a_tampered_folder_is_refused() {
    let packed = Packed::hello();
    let folder = packed.bundle("folder", &[]);
    packed.check(&folder).expect_code(0);
    let piece = folder.join("modcache/cache/download/gopkg.in/yaml.v3/@v/v3.0.1.mod");
    let content = fs::read(&piece).unwrap();

    fs::remove_file(&piece).unwrap();
    packed.assert_refused(&folder, "is missing");
    fs::write(&piece, "changed").unwrap();
    packed.assert_refused(&folder, "bytes, not");
    fs::remove_file(&piece).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &piece).unwrap();
    packed.assert_refused(&folder, "is a symbolic link");
    fs::remove_file(&piece).unwrap();
    fs::write(&piece, content).unwrap();
    packed.check(&folder).expect_code(0);
    fs::write(folder.join("modcache/extra"), "x").unwrap();
    packed.assert_refused(&folder, "is not in the manifest");
}

#[test]
fn hostile_archives_are_refused() {
    use tar::EntryType as T;
    let packed = Packed::hello();
    let whole = entries(&packed.bundle("whole.tar", &[]));
    let path = packed.path("hostile.tar");
    for (kind, name, words) in [
        (T::Regular, "/etc/cron.d/evil", "an absolute path"),
        (T::Regular, "../evil", "leads out of the bundle"),
        (T::Regular, "modcache/../../evil", "leads out of the bundle"),
        (T::Regular, "modcache//evil", "not a clean path"),
        (T::Regular, "modcache/./evil", "not a clean path"),
        (T::Regular, "modcache/EVIL", "upper-case"),
        (T::Regular, "modcache/a\\b", "no Go cache has"),
        (T::Regular, "elsewhere/evil", "no part of a bundle"),
        (T::Symlink, "modcache/link", "a symbolic link"),
        (T::Link, "modcache/link", "a hard link"),
        (T::Char, "modcache/device", "a device"),
        (T::Block, "modcache/device", "a device"),
        (T::Fifo, "modcache/pipe", "a pipe"),
        (T::Directory, "modcache/folder/", "a folder entry"),
        (T::XHeader, "modcache/header", "not an ordinary file"),
        (T::GNUSparse, "modcache/sparse", "not an ordinary file"),
    ] {
        archive(&path, &whole, |bytes| entry(bytes, kind, name, b""));
        packed.assert_refused(&path, words);
    }
    // A name of a megabyte is not read to its end.
    let long = vec![b'a'; 1 << 20];
    archive(&path, &whole, |bytes| {
        entry(bytes, T::GNULongName, "././@LongLink", &long)
    });
    packed.assert_refused(&path, "a name is too long");
    // Behind the end, where other readers may still look.
    archive(&path, &whole, |bytes| {
        bytes.resize(bytes.len() + 1024, 0);
        entry(bytes, T::Regular, "modcache/hidden", b"x");
    });
    packed.assert_refused(&path, "behind the archive's end");
    // Cut short.
    let bytes = fs::read(packed.path("whole.tar")).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    packed.check(&path).expect_code(1);
    let zst = fs::read(packed.bundle("whole.tar.zst", &[])).unwrap();
    fs::write(&path, &zst[..zst.len() / 2]).unwrap();
    packed.check(&path).expect_code(1);
    fs::write(&path, [&zst[..], &zst[..]].concat()).unwrap();
    packed.assert_refused(&path, "behind the archive's end");
}

#[test]
fn forged_manifests_are_refused() {
    let packed = Packed::hello();
    let whole = entries(&packed.bundle("whole.tar", &[]));
    let file = |path: &str| serde_json::json!({ "path": path, "bytes": 1, "sha256": sha256(b"x") });
    for (path, words) in [
        ("/abs", "an absolute path"),
        ("zz/../../up", "leads out"),
        ("proxy/A", "upper-case"),
        ("sbom.cdx.json", "twice"),
        ("sbom.cdx.json/below", "no part of a bundle"),
    ] {
        let bundle = forged(&packed, &whole, |manifest, entries| {
            let files = manifest["files"].as_array_mut().unwrap();
            files.push(file(path));
            files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
            entries.push((
                path.trim_start_matches('/').replace("..", "x"),
                b"x".to_vec(),
            ));
        });
        packed.assert_refused(&bundle, words);
    }
    let bundle = forged(&packed, &whole, |manifest, _| {
        let files = manifest["files"].as_array_mut().unwrap();
        let at = files
            .iter()
            .position(|file| file["path"].as_str().unwrap().ends_with(".zip"));
        let below = format!("{}/below", files[at.unwrap()]["path"].as_str().unwrap());
        files.push(file(&below));
        files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
    });
    packed.assert_refused(&bundle, "as a file and as a folder");
    let bundle = forged(&packed, &whole, |manifest, _| {
        let version = &mut manifest["modules"][0]["version"];
        *version = "v9.9.9".into();
    });
    packed.assert_refused(&bundle, "but not its zip");
    let bundle = forged(&packed, &whole, |manifest, _| {
        manifest["schema"] = "other".into()
    });
    packed.assert_refused(&bundle, "is of the form");
    let bundle = forged(&packed, &whole, |manifest, _| manifest["more"] = 1.into());
    packed.assert_refused(&bundle, "unknown field");
}

#[test]
fn a_zip_that_is_not_the_modules_is_refused() {
    let packed = Packed::hello();
    let whole = entries(&packed.bundle("whole.tar", &[]));
    // A manifest that agrees with a zip of somebody's own, but not with the h1 it names.
    let bundle = forged(&packed, &whole, |manifest, entries| {
        let zips: Vec<usize> = (0..entries.len())
            .filter(|&at| entries[at].0.ends_with(".zip"))
            .collect();
        let content = entries[zips[0]].1.clone();
        let target = entries[zips[1]].0.clone();
        entries[zips[1]].1 = content.clone();
        let files = manifest["files"].as_array_mut().unwrap();
        let listed = files
            .iter_mut()
            .find(|file| file["path"] == target.as_str())
            .unwrap();
        listed["sha256"] = sha256(&content).into();
        listed["bytes"] = content.len().into();
        let modules = manifest["modules"].as_array_mut().unwrap();
        let target = modules
            .iter_mut()
            .find(|module| target.contains(&*module["version"].as_str().unwrap().to_owned()))
            .unwrap();
        target["bytes"] = content.len().into();
    });
    packed.assert_refused(&bundle, "breaks a rule of Go's");
}

#[test]
fn the_bill_of_materials_is_valid_and_names_what_is_packed() {
    use cyclonedx_bom::models::bom::{Bom, SpecVersion};
    use cyclonedx_bom::validation::Validate;
    for (kind, modules) in [(Project::Hello, 3), (Project::Work, 3)] {
        let packed = Packed::of(kind);
        let folder = packed.bundle("folder", &[]);
        let bytes = fs::read(folder.join("sbom.cdx.json")).unwrap();
        let bom = Bom::parse_from_json_v1_5(&bytes[..]).unwrap();
        let result = bom.validate_version(SpecVersion::V1_5);
        assert!(result.passed(), "{result:?}");
        let json: Value = serde_json::from_slice(&bytes).unwrap();
        let manifest = fs::read(folder.join("gocachevet-pack.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let listed = manifest["modules"].as_array().unwrap();
        assert_eq!(listed.len(), modules, "{}", kind.name());
        let components = json["components"].as_array().unwrap();
        for module in listed {
            let component = components
                .iter()
                .find(|component| component["name"] == module["path"])
                .unwrap();
            assert_eq!(component["version"], module["version"]);
            assert_eq!(component["properties"][0]["value"], module["h1"]);
        }
        let needed = json["dependencies"].as_array().unwrap();
        let any = |dependency: &Value| !dependency["dependsOn"].as_array().unwrap().is_empty();
        assert!(needed.iter().any(any), "nothing depends on anything");
    }
}

#[test]
fn nothing_is_overwritten() {
    let packed = Packed::hello();
    let bundle = packed.bundle("b.tar", &[]);
    let run = packed
        .pack(&["-o", bundle.to_str().unwrap()])
        .expect_code(2);
    assert!(run.stderr.contains("is there already"), "{run}");
    let dir = packed.path("full");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("mine"), "mine").unwrap();
    let run = packed.unpack(&dir, &bundle).expect_code(3);
    assert!(run.stderr.contains("is not empty"), "{run}");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    fs::remove_file(dir.join("mine")).unwrap();
    packed.unpack(&dir, &bundle).expect_code(0);
}

#[test]
fn what_the_job_built_comes_along_if_asked_for() {
    let mut env = GoEnv::new();
    env.set("GOFLAGS", "-buildvcs=false -trimpath").with_std();
    let project = env.project(Project::Hello);
    let packed = Packed { env, project };
    let bundle = packed.path("b.tar.zst");
    let args = ["--with-gocache", "-o", bundle.to_str().unwrap()];
    packed.env.go(&packed.project, ["mod", "download"]);
    let run = packed.pack(&args).expect_code(2);
    assert!(run.stderr.contains("gocachevet mark"), "{run}");
    let state = packed.path("state");
    let marked = |args: &[&str]| {
        let run = packed.env.gocachevet().dir(&packed.project);
        run.args(args)
            .arg("--state")
            .arg(&state)
            .run()
            .expect_code(0)
    };
    marked(&["mark"]);
    packed.env.go(&packed.project, ["build", "./..."]);
    marked(&[&["pack"], &args[..]].concat());

    let mut there = GoEnv::new();
    let unpacked = there.dir().join("unpacked");
    packed.unpack(&unpacked, &bundle).expect_code(0);
    there
        .set("GOFLAGS", "-buildvcs=false -trimpath")
        .set("GOPROXY", "off")
        .set("GOMODCACHE", unpacked.join("modcache"))
        .set("GOCACHE", unpacked.join("gocache"));
    let project = there.project(Project::Hello);
    let build = there.command(&project, ["build", "-v", "./..."]);
    let output = without_network(&build).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    // With -v Go names what it compiles.
    assert_eq!(said, "", "compiled again");
    make_writable(there.dir());
}

#[test]
fn the_toolchain_comes_along_if_asked_for() {
    let mut env = GoEnv::new();
    copy_tree(
        &toolchain_cache().join("cache"),
        &env.modcache.join("cache"),
    );
    let project = env.dir().join("src/new");
    fs::create_dir_all(&project).unwrap();
    let go_mod = format!("module example.com/new\n\ngo 1.21\n\ntoolchain {TOOLCHAIN}\n");
    fs::write(project.join("go.mod"), go_mod).unwrap();
    env.set("GOPROXY", "off");
    let packed = Packed { env, project };
    let without = packed.bundle("without.tar", &[]);
    assert_eq!(packed.check(&without).json()["modules"], 0);
    let bundle = packed.bundle("b.tar", &["--toolchain"]);
    assert_eq!(packed.check(&bundle).expect_code(0).json()["modules"], 1);
    let run = packed.pack(&["--toolchain", "--platform", "plan9/386", "-o", "none.tar"]);
    let report = run.expect_code(1).json();
    let fetch = report["fetch"].as_str().unwrap();
    assert!(
        fetch.ends_with(&format!("{TOOLCHAIN}.plan9-386")),
        "{fetch}"
    );

    let mut there = GoEnv::new();
    let unpacked = there.dir().join("unpacked");
    packed.unpack(&unpacked, &bundle).expect_code(0);
    there
        .set("GOPROXY", "off")
        .set("GOMODCACHE", unpacked.join("modcache"))
        .set("GOSUMDB", "sum.golang.org")
        .set("GOTOOLCHAIN", TOOLCHAIN);
    let version = there.command(there.dir(), ["version"]);
    let said = succeed(&mut without_network(&version));
    assert!(said.contains(TOOLCHAIN), "{said}");
    make_writable(there.dir());
}

#[test]
fn people_are_told_in_words() {
    let packed = Packed::hello();
    let run = |args: &[&str]| {
        packed
            .env
            .gocachevet()
            .dir(&packed.project)
            .arg("pack")
            .args(args)
            .run()
    };
    let said = run(&["-o", "b.tar.zst"]).expect_code(0).stdout;
    assert!(said.contains("3 module versions"), "{said}");
    let nowhere = Scratch::new();
    let run = packed
        .env
        .gocachevet()
        .dir(nowhere.path())
        .args(["pack", "-o", "b.tar"])
        .run();
    let run = run.expect_code(2);
    assert!(
        run.stderr.contains("there is no project to pack for"),
        "{run}"
    );
}
