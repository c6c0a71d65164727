//! Bundles whose manifest somebody wrote: what builds would run of them, though no
//! module that the manifest lists has it, is refused by both ways of reading one.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::path::Path;

use gocachevet::tested::formats::ModuleVersion;
use gocachevet::tested::zip_h1;
use serde_json::{Value, json};
use support::bundle::{Entries, Packed, archive, entries, entry, forged, plant, sha256};
use support::{GoEnv, Project, make_writable, zip};

const MODULE: &str = "github.com/cespare/xxhash/v2";
const PIECES: &str = "modcache/cache/download/github.com/cespare/xxhash/v2/@v/v2.3.0";
/// What the project would run.
const PLANTED: &str = "package xxhash\n\nimport \"fmt\"\n\nfunc Sum64(b []byte) uint64 {\n\tfmt.Println(\"PLANTED\")\n\treturn 0\n}\n";
const GO_MOD: &str = "module github.com/cespare/xxhash/v2\n\ngo 1.11\n";

fn planted_zip() -> Vec<u8> {
    let id = format!("{MODULE}@v2.3.0");
    zip(&id, &[("go.mod", GO_MOD), ("xxhash.go", PLANTED)])
}

fn whole() -> (Packed, Entries) {
    let packed = Packed::hello();
    let whole = entries(&packed.bundle("whole.tar", &[]));
    (packed, whole)
}

/// The manifest's entry of the module.
fn module(manifest: &mut Value) -> &mut Value {
    let modules = manifest["modules"].as_array_mut().unwrap();
    let mut modules = modules.iter_mut();
    modules.find(|module| module["path"] == MODULE).unwrap()
}

/// What `go run` says that has these files for its module cache, and no network.
fn run_from(bundle: &Path) -> String {
    let mut env = GoEnv::new();
    env.with_std().set("GOPROXY", "off");
    for (name, content) in entries(bundle) {
        let path = env.dir().join("bundle").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    env.set("GOMODCACHE", env.dir().join("bundle/modcache"));
    let project = env.project(Project::Hello);
    let said = env.go(&project, ["run", "."]);
    make_writable(env.dir());
    said
}

#[test]
fn what_go_would_run_is_refused() {
    let (packed, whole) = whole();
    let zip = planted_zip();
    let file = packed.path("planted.zip");
    fs::write(&file, &zip).unwrap();
    let id = ModuleVersion::new(MODULE, "v2.3.0");
    let h1 = zip_h1(&id, fs::File::open(file).unwrap()).unwrap();
    type Forge<'a> = Box<dyn Fn(&mut Value, &mut Entries) + 'a>;
    let cases: [(&str, Forge<'_>); 4] = [
        // Another zip under the right hash: Go believes the `.ziphash` beside it.
        (
            "but the manifest says h1:",
            Box::new(|manifest, entries| {
                plant(manifest, entries, &format!("{PIECES}.zip"), &zip);
                module(manifest)["bytes"] = zip.len().into();
            }),
        ),
        // Listed as it is, while its `.ziphash` says what go.sum says.
        (
            "v2.3.0.ziphash\\\": it says something else than the manifest",
            Box::new(|manifest, entries| {
                plant(manifest, entries, &format!("{PIECES}.zip"), &zip);
                module(manifest)["bytes"] = zip.len().into();
                module(manifest)["h1"] = h1.to_string().into();
            }),
        ),
        // Not listed at all.
        (
            "it belongs to no module that the manifest lists",
            Box::new(|manifest, entries| {
                plant(manifest, entries, &format!("{PIECES}.zip"), &zip);
                let modules = manifest["modules"].as_array_mut().unwrap();
                modules.retain(|module| module["path"] != MODULE);
            }),
        ),
        // A tree, which Go takes for what the zip holds.
        (
            "a bundle holds no extracted tree",
            Box::new(|manifest, entries| {
                let tree = format!("modcache/{MODULE}@v2.3.0");
                plant(
                    manifest,
                    entries,
                    &format!("{tree}/go.mod"),
                    GO_MOD.as_bytes(),
                );
                plant(
                    manifest,
                    entries,
                    &format!("{tree}/xxhash.go"),
                    PLANTED.as_bytes(),
                );
            }),
        ),
    ];
    for (words, forge) in cases {
        let bundle = forged(&packed, &whole, forge);
        let said = run_from(&bundle);
        assert!(said.contains("PLANTED"), "go did not run it: {said}");
        packed.assert_refused(&bundle, words);
    }
}

#[test]
fn what_belongs_to_no_listed_module_is_refused() {
    let (packed, whole) = whole();
    for path in [
        "modcache/cache/download/evil.example/a/@v/v1.0.0.zip",
        "modcache/cache/download/evil.example/a/@v/v1.0.0.ziphash",
        "modcache/cache/download/evil.example/a/@v/v1.0.0.mod",
        "modcache/cache/download/evil.example/a/@v/v1.0.0.info",
        // Beside what is listed.
        &format!("{PIECES}.lock"),
        &format!("{PIECES}.partial"),
        "modcache/cache/download/github.com/cespare/xxhash/v2/@v/list",
        "modcache/cache/download/github.com/cespare/xxhash/v2/@v/v2.3.1.info",
        "modcache/cache/lock",
        "modcache/cache/vcs/0123/config",
        "modcache/cache/download/sumdb/sum.golang.org/latest",
        "modcache/cache/download/sumdb/sum.golang.org/supported",
        "modcache/cache/download/sumdb/sum.golang.org/lookup/evil.example/a@v1.0.0",
        "modcache/cache/download/sumdb/sum.golang.org/tile/8/0/000",
        // Of the other shape.
        "proxy/gopkg.in/yaml.v3/@v/list",
        "gocache/trim.txt",
        "gocache/fuzz/x",
    ] {
        let bundle = forged(&packed, &whole, |manifest, entries| {
            plant(manifest, entries, path, b"x");
        });
        packed.assert_refused(&bundle, &format!("lists \\\"{path}\\\": it "));
    }
}

#[test]
fn pieces_that_are_not_their_modules_are_refused() {
    let (packed, whole) = whole();
    let info = |version: &str| json!({ "Version": version }).to_string().into_bytes();
    for (path, content, words) in [
        (
            format!("{PIECES}.mod"),
            format!("{GO_MOD}// planted\n").into_bytes(),
            "but the module's go.mod is h1:",
        ),
        (
            format!("{PIECES}.ziphash"),
            vec![b'x'; 47],
            "it says something else",
        ),
        (
            format!("{PIECES}.ziphash"),
            b"h1:".to_vec(),
            "it has 3 bytes, not 47",
        ),
        (format!("{PIECES}.info"), info("v2.3.1"), "v2.3.1"),
        (format!("{PIECES}.info"), b"x".to_vec(), "v2.3.0.info"),
        (
            format!("{PIECES}.info"),
            vec![b' '; 1 << 17],
            "the limit is 65536",
        ),
    ] {
        let bundle = forged(&packed, &whole, |manifest, entries| {
            plant(manifest, entries, &path, &content);
        });
        packed.assert_refused(&bundle, words);
    }
    let proxy = entries(&packed.bundle("proxy.tar", &["--shape", "proxy"]));
    let list = "proxy/gopkg.in/yaml.v3/@v/list";
    let bundle = forged(&packed, &proxy, |manifest, entries| {
        plant(manifest, entries, list, b"v3.0.2\n");
    });
    packed.assert_refused(&bundle, "it says something else than the manifest");
    let bundle = forged(&packed, &proxy, |manifest, entries| {
        let path = "proxy/github.com/cespare/xxhash/v2/@v/v2.3.0.zip";
        plant(manifest, entries, path, &planted_zip());
        module(manifest)["bytes"] = planted_zip().len().into();
    });
    packed.assert_refused(&bundle, "but the manifest says h1:");
}

#[test]
fn a_list_that_is_not_in_order_is_refused() {
    let (packed, whole) = whole();
    for (list, words) in [("modules", "the module"), ("go_mods", "the go.mod of")] {
        let bundle = forged(&packed, &whole, |manifest, _| {
            let list = manifest[list].as_array_mut().unwrap();
            list.push(list[0].clone());
        });
        packed.assert_refused(&bundle, &format!("lists {words} github.com"));
    }
    let bundle = forged(&packed, &whole, |manifest, _| {
        manifest["go_mods"] = json!([{ "path": "a.example/a", "version": "v1.0.0", "h1": "h1:" }]);
    });
    packed.assert_refused(&bundle, "but not its go.mod");
}

#[test]
fn build_outputs_are_held_against_their_names_and_nothing_more_is_said_of_them() {
    let (packed, whole) = whole();
    let content = b"!<arch>\nanything";
    let output = sha256(content);
    let action = "ab".repeat(32);
    let entry = |output: &str, bytes: usize| format!("v1 {action} {output} {bytes:20} {:20}\n", 1);
    let at = |id: &str, kind: &str| format!("gocache/{}/{id}-{kind}", &id[..2]);
    let with = |entry: String, output: &str| {
        forged(&packed, &whole, |manifest, entries| {
            plant(manifest, entries, &at(&action, "a"), entry.as_bytes());
            plant(manifest, entries, &at(output, "d"), content);
        })
    };
    let bundle = with(entry(&output, content.len()), &output);
    let report = packed.check(&bundle).expect_code(0).json();
    let notes = report["notes"].to_string();
    assert!(notes.contains("2 files of a build cache"), "{notes}");
    let into = packed.path("into");
    let report = packed.unpack(&into, &bundle).expect_code(0).json();
    assert_eq!(report["notes"].to_string(), notes);

    let other = sha256(b"x");
    let bundle = with(entry(&output, content.len()), &other);
    packed.assert_refused(&bundle, "its name is not the SHA-256 of its content");
    let bundle = with(entry(&other, content.len()), &output);
    packed.assert_refused(
        &bundle,
        &format!("names the output {other}, which is not there"),
    );
    let bundle = with(entry(&output, 1), &output);
    packed.assert_refused(&bundle, "says that its output has 1 bytes");
    let long = format!("{}\n", entry(&output, content.len()));
    packed.assert_refused(&with(long, &output), "it has 176 bytes, not 175");
}

#[test]
fn a_small_bundle_does_not_become_a_large_one() {
    const MUCH: usize = 64 << 20;
    let (packed, whole) = whole();
    let path = packed.path("small.tar.zst");
    let pressed = |tar: &Path| {
        let tar = fs::read(tar).unwrap();
        let zst = zstd::encode_all(&tar[..], 3).unwrap();
        assert!(zst.len() < 1 << 20, "{} bytes", zst.len());
        fs::write(&path, zst).unwrap();
    };
    // As a build output, whose name is the hash of whatever it holds.
    let zeros = vec![0; MUCH];
    let output = sha256(&zeros);
    let listed = forged(&packed, &whole, |manifest, entries| {
        let path = format!("gocache/{}/{output}-d", &output[..2]);
        plant(manifest, entries, &path, &zeros);
    });
    pressed(&listed);
    packed.assert_refused(&path, "unpacks to more than");
    // Not listed, so that it would only be skipped.
    let beside = packed.path("beside.tar");
    archive(&beside, &whole, |bytes| {
        entry(bytes, tar::EntryType::Regular, "modcache/beside", &zeros);
    });
    pressed(&beside);
    let said = packed.check(&path).expect_code(1).json()["damaged"].to_string();
    assert!(said.contains("is not in the manifest"), "{said}");
    assert!(said.contains("unpacks to more than"), "{said}");
    // Before the manifest.
    let before = packed.path("before.tar");
    archive(&before, &[("modcache/before".to_owned(), zeros)], |_| ());
    pressed(&before);
    packed.assert_refused(&path, "stands where");
    // A zip as large as it says, which is larger than any module's.
    let claimed = forged(&packed, &whole, |manifest, _| {
        module(manifest)["bytes"] = (600u64 << 20).into();
        let path = format!("{PIECES}.zip");
        let files = manifest["files"].as_array_mut().unwrap();
        let file = files.iter_mut().find(|file| file["path"] == path.as_str());
        file.unwrap()["bytes"] = (600u64 << 20).into();
    });
    packed.assert_refused(&claimed, "the limit is 524288000");
}
