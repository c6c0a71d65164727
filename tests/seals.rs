//! Sealed snapshots: what somebody who can write to the store, or to a machine's
//! caches, plants in them; and that the real go builds the same program all the same.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use support::bundle::sha256;
use support::{GoEnv, Project, Run, complaints, copy_tree, copy_tree_fresh, make_writable};

const KEY: &str = "SEAL_KEY";

/// A pair of keys, as the program makes it.
struct Pair {
    secret: String,
    public: String,
}

fn pair(name: &str) -> Pair {
    let run = support::gocachevet().args(["seal", "--new-key", name]);
    let run = run.run().expect_code(0);
    let public = run.stderr.trim().rsplit_once(' ').unwrap().1.to_owned();
    Pair {
        secret: run.stdout.trim().to_owned(),
        public,
    }
}

/// A project and a store, and caches that are always in the same place.
struct Job {
    env: GoEnv,
    project: PathBuf,
    store: PathBuf,
    keys: Pair,
}

/// A function that is no inlined part of whoever calls it, so that its package's
/// output alone decides what it does.
const GREET: &str = "package greet

import \"github.com/BurntSushi/toml\"

type Greeting struct{ Name string }

//go:noinline
func Parse(text string) (g Greeting, err error) {
\t_, err = toml.Decode(text, &g)
\treturn g, err
}
";

impl Job {
    fn new() -> Job {
        let mut env = GoEnv::new();
        env.set("GOFLAGS", "-buildvcs=false -trimpath");
        let project = env.project(Project::Hello);
        fs::write(project.join("greet/greet.go"), GREET).unwrap();
        let store = env.dir().join("store");
        Job {
            env,
            project,
            store,
            keys: pair("ci.example/1"),
        }
    }

    /// One whose first job, on an empty machine, built and sealed.
    fn sealed() -> Job {
        let job = Job::new();
        job.restore(&[]).expect_code(0);
        job.build();
        let saved = job.save(&[]);
        assert_eq!(saved["kind"], "base", "{saved}");
        assert_eq!(saved["sealed_by"], "ci.example/1");
        job
    }

    fn command(&self, command: &str, args: &[&str]) -> support::Gocachevet {
        let run = self.env.gocachevet().dir(&self.project);
        run.env("GOFLAGS", "-buildvcs=false -trimpath")
            .env(KEY, &self.keys.secret)
            .arg(command)
            .args(["-f", "json", "--state"])
            .arg(self.state())
            .args(args)
    }

    fn moved(&self, command: &str, args: &[&str]) -> support::Gocachevet {
        let run = self.command(command, args).arg("--store").arg(&self.store);
        run.args(["--key", "test"])
    }

    fn state(&self) -> PathBuf {
        self.env.dir().join("state")
    }

    /// What this job's key sealed.
    fn restore(&self, args: &[&str]) -> Run {
        let args = [&["--sealed-by", &self.keys.public], args].concat();
        self.moved("restore", &args).run()
    }

    fn restore_anything(&self) -> Value {
        self.moved("restore", &[]).run().expect_code(0).json()
    }

    fn save(&self, args: &[&str]) -> Value {
        let args = [&["--seal-key-env", KEY], args].concat();
        let report = self.moved("save", &args).run().expect_code(0).json();
        report["snapshot"]["saved"].clone()
    }

    fn save_unsealed(&self) -> Value {
        let report = self.moved("save", &[]).run().expect_code(0).json();
        report["snapshot"]["saved"].clone()
    }

    fn check(&self) -> Run {
        let args = ["--sealed-by", &self.keys.public];
        self.command("check", &args).run()
    }

    /// The next job's machine has nothing.
    fn forget_caches(&self) {
        for cache in [&self.env.modcache, &self.env.gocache] {
            if cache.exists() {
                make_writable(cache);
                fs::remove_dir_all(cache).unwrap();
            }
        }
    }

    /// Builds with what is there and what the proxy has. Gives the program.
    #[track_caller]
    fn build(&self) -> Vec<u8> {
        // Instead of compiling the standard library, which takes too long.
        if !self.env.gocache.join("00").exists() {
            let _ = fs::remove_dir_all(&self.env.gocache);
            copy_tree_fresh(&support::std_cache(), &self.env.gocache);
        }
        self.env.go(&self.project, ["mod", "download"]);
        let program = self.env.dir().join("program");
        let out = program.to_str().unwrap();
        self.env.go(&self.project, ["build", "-o", out, "."]);
        fs::read(&program).unwrap()
    }

    /// What is compiled anew by a build without a network.
    fn compiled(&self) -> String {
        let mut go = self.env.command(&self.project, ["build", "-v", "./..."]);
        let output = go.env("GOPROXY", "off").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    fn says(&self) -> String {
        let output = Command::new(self.env.dir().join("program")).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    /// Makes the entry of the package's action name what a changed source compiles
    /// to, as anybody can who can write to the cache.
    fn poison(&self) {
        let greet = self.project.join("greet/greet.go");
        let exported = || {
            let list = ["list", "-export", "-f", "{{.Export}}", "./greet"];
            PathBuf::from(self.env.go(&self.project, list).trim())
        };
        let clean = output_of(&exported());
        let changed = GREET.replace("return g, err", "g.Name = \"planted\"\n\treturn g, err");
        fs::write(&greet, changed).unwrap();
        let planted = exported();
        fs::write(&greet, GREET).unwrap();
        let bytes = fs::metadata(&planted).unwrap().len();
        let mut found = 0;
        for entry in walkdir::WalkDir::new(&self.env.gocache) {
            let path = entry.unwrap().into_path();
            if path.to_str().unwrap().ends_with("-a") {
                let text = fs::read_to_string(&path).unwrap();
                if text.contains(&clean) {
                    fs::write(&path, renamed(&text, &output_of(&planted), bytes)).unwrap();
                    found += 1;
                }
            }
        }
        assert!(found > 0, "no entry names {clean}");
    }

    fn head(&self) -> PathBuf {
        self.store.join("keys/test/main")
    }

    fn digests(&self) -> Vec<String> {
        let head: Value = serde_json::from_slice(&fs::read(self.head()).unwrap()).unwrap();
        let bundles = head["bundles"].as_array().unwrap().iter();
        bundles.map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    fn set_head(&self, bundles: &[String]) {
        let head = json!({
            "schema": "gocachevet.head/1",
            "bundles": bundles,
            "before": [],
            "counter": 9,
            "saved": 9,
        });
        fs::write(self.head(), head.to_string()).unwrap();
    }

    fn bundle(&self, digest: &str) -> PathBuf {
        self.store.join("bundles").join(digest)
    }

    /// Somebody edits the newest bundle, manifest and all, and leaves its seal.
    fn forge(&self, edit: impl FnOnce(&mut Bundle)) {
        let mut digests = self.digests();
        let mut bundle = Bundle::read(&self.bundle(&digests.pop().unwrap()));
        edit(&mut bundle);
        let (digest, bytes) = bundle.packed();
        fs::write(self.bundle(&digest), bytes).unwrap();
        digests.push(digest);
        self.set_head(&digests);
    }

    /// Another package, which has to be compiled.
    fn edit(&self, name: &str) {
        let dir = self.project.join(name);
        fs::create_dir_all(&dir).unwrap();
        let source = format!("package {name}\n\nfunc Name() string {{ return \"{name}\" }}\n");
        fs::write(dir.join(format!("{name}.go")), source).unwrap();
        self.env.go(&self.project, ["build", "./..."]);
    }
}

fn output_of(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.strip_suffix("-d").unwrap().to_owned()
}

/// An entry that names another output.
fn renamed(entry: &str, output: &str, bytes: u64) -> String {
    let fields: Vec<&str> = entry.split_whitespace().collect();
    format!("v1 {} {output} {bytes:20} {:>20}\n", fields[1], fields[4])
}

/// A bundle, taken apart by somebody who is free to write what he likes.
struct Bundle {
    manifest: Value,
    files: BTreeMap<String, Vec<u8>>,
    /// The frame that decoders skip.
    seal: Vec<u8>,
}

impl Bundle {
    fn read(path: &Path) -> Bundle {
        let bytes = fs::read(path).unwrap();
        let first = zstd::zstd_safe::find_frame_compressed_size(&bytes).unwrap();
        let behind = &bytes[first..];
        let length = u32::from_le_bytes(behind[4..8].try_into().unwrap());
        let plain = zstd::decode_all(&bytes[..]).unwrap();
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(&plain[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            files.insert(path, content);
        }
        let manifest = files.remove("gocachevet-pack.json").unwrap();
        Bundle {
            manifest: serde_json::from_slice(&manifest).unwrap(),
            files,
            seal: match behind.starts_with(b"\x50\x2a\x4d\x18") {
                true => behind[..8 + length as usize].to_vec(),
                false => Vec::new(),
            },
        }
    }

    fn put(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.to_owned(), content.to_vec());
    }

    /// An entry of the cache, by the output that it names.
    fn entry_of(&self, output: &str) -> String {
        let names = |(path, content): &(&String, &Vec<u8>)| {
            path.ends_with("-a") && String::from_utf8_lossy(content).contains(output)
        };
        self.files.iter().find(names).unwrap().0.clone()
    }

    /// The manifest's digest, and the bundle: all entries in a frame of their own.
    fn packed(mut self) -> (String, Vec<u8>) {
        let listed = self.manifest["files"].as_array().unwrap();
        let used = listed[0]["used"].clone();
        let is_entry = |path: &str| path.ends_with("-a");
        let mut frames = Vec::new();
        for entries in [false, true] {
            let mut tar = Vec::new();
            let files = self
                .files
                .iter()
                .filter(|(path, _)| is_entry(path) == entries);
            for (path, content) in files {
                member(&mut tar, path, content);
            }
            frames.push(tar);
        }
        frames.push(vec![0; 1024]);
        let files = self.files.iter().map(|(path, content)| {
            json!({
                "path": path,
                "bytes": content.len(),
                "sha256": sha256(content),
                "frame": u8::from(is_entry(path)),
                "used": used,
            })
        });
        self.manifest["files"] = files.collect();
        let packed: Vec<Vec<u8>> = frames.iter().map(|it| compress(it)).collect();
        let listed = frames.iter().zip(&packed).map(|(plain, packed)| {
            json!({ "bytes": packed.len(), "unpacked": plain.len(), "sha256": sha256(packed) })
        });
        self.manifest["frames"] = listed.collect();
        let manifest = serde_json::to_vec_pretty(&self.manifest).unwrap();
        let mut first = Vec::new();
        member(&mut first, "gocachevet-pack.json", &manifest);
        let bytes = [compress(&first), self.seal, packed.concat()].concat();
        (sha256(&manifest), bytes)
    }
}

fn member(tar: &mut Vec<u8>, path: &str, content: &[u8]) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, path, content).unwrap();
    let bytes = builder.into_inner().unwrap();
    tar.extend(&bytes[..bytes.len() - 1024]);
}

fn compress(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).unwrap()
}

#[track_caller]
fn assert_says(run: &Run, rule: &str) {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap();
    let said = findings.iter().any(|finding| finding["rule"] == rule);
    assert!(said, "{rule} is not in {run}");
}

#[test]
fn a_sealed_snapshot_serves_the_next_job_and_grows_by_sealed_deltas() {
    let job = Job::sealed();
    job.forget_caches();
    let report = job.restore(&[]).expect_code(0).json();
    let restored = &report["snapshot"]["restored"];
    assert_eq!(restored["sealed_by"], "ci.example/1");
    assert_eq!(complaints(&report), Vec::<String>::new());
    let verification = &report["verification"];
    assert_eq!(verification["bytes_consistent"], 0, "{report:#}");
    assert!(verification["bytes_proven"].as_u64().unwrap() > 1_000_000);
    assert_eq!(job.compiled(), "");
    assert_eq!(job.save(&[])["reason"], "nothing new was used");
    job.edit("one");
    let saved = job.save(&[]);
    assert_eq!(
        (&saved["kind"], &saved["sealed_by"]),
        (&json!("delta"), &json!("ci.example/1"))
    );
    job.forget_caches();
    let report = job.restore(&[]).expect_code(0).json();
    assert!(report["snapshot"]["restored"]["delta"].is_string());
    assert_eq!(job.compiled(), "");
    // By hand as well.
    let dir = job.env.dir().join("by-hand");
    fs::create_dir(&dir).unwrap();
    let mut tar = Command::new("tar");
    let tar = tar
        .arg("--zstd")
        .arg("-xmf")
        .arg(job.bundle(&job.digests()[0]));
    assert!(tar.current_dir(&dir).status().unwrap().success());
    assert!(dir.join("gocache/00").exists());
}

#[test]
fn the_secret_key_shows_nowhere() {
    let job = Job::new();
    job.restore(&[]).expect_code(0);
    job.build();
    // The key itself may have a `+`, too.
    let secret = job.keys.secret.splitn(5, '+').nth(4).unwrap().to_owned();
    let not_said = |run: &Run| {
        assert!(!format!("{}{}", run.stdout, run.stderr).contains(&secret));
    };
    let run = job.moved("save", &["-vv", "--seal-key-env", KEY]).run();
    not_said(&run.expect_code(0));
    for entry in walkdir::WalkDir::new(job.env.dir()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let content = fs::read(entry.path()).unwrap();
            let found = content
                .windows(secret.len())
                .any(|it| it == secret.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
    let run = job
        .moved("save", &["--seal-key-env", &job.keys.secret])
        .run();
    not_said(&run.expect_code(2));
    let broken = job.keys.secret.replace("PRIVATE", "PUBLIC");
    let run = job
        .moved("save", &["--seal-key-env", KEY])
        .env(KEY, broken)
        .run();
    assert!(run.stderr.contains("malformed key"), "{run}");
    not_said(&run.expect_code(2));
    // By another way, where no environment has it.
    job.edit("one");
    let run = job.moved("save", &["--seal-key-fd", "0"]).env(KEY, "");
    let run = run.stdin(job.keys.secret.clone()).run().expect_code(0);
    assert_eq!(run.json()["snapshot"]["saved"]["sealed_by"], "ci.example/1");
    not_said(&run);
}

#[test]
fn a_new_secret_key_is_a_file_of_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let seal = || {
        support::gocachevet()
            .dir(dir.path())
            .args(["seal", "--new-key", "a"])
    };
    let run = seal().args(["--secret-file", "k"]).run().expect_code(0);
    let file = dir.path().join("k");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let secret = fs::read_to_string(&file).unwrap();
    assert!(secret.starts_with("PRIVATE+KEY+a+") && run.stdout.starts_with("a+"));
    assert!(!run.stdout.contains("PRIVATE"));
    seal().args(["--secret-file", "k"]).run().expect_code(3);
    assert_eq!(fs::read_to_string(&file).unwrap(), secret);
    support::gocachevet()
        .args(["seal", "--new-key", "a b"])
        .run()
        .expect_code(2);
    support::gocachevet().arg("seal").run().expect_code(2);
}

#[test]
fn without_a_seal_nothing_comes_that_nothing_proves() {
    let job = Job::new();
    job.restore_anything();
    let good = job.build();
    assert_eq!(job.save_unsealed()["sealed_by"], Value::Null);
    job.forget_caches();
    assert_says(&job.restore(&[]).expect_code(1), "seal-missing");
    assert!(!job.env.modcache.join("cache").exists());
    assert!(!job.env.gocache.join("00").exists());
    let report = job
        .restore(&["--on-unsealed", "warn"])
        .expect_code(0)
        .json();
    assert_eq!(report["verdict"], "warn");
    assert!(job.env.gocache.join("00").exists());
    // What such a job makes is sealed by nobody.
    job.edit("one");
    let run = job
        .moved("save", &["--seal-key-env", KEY])
        .run()
        .expect_code(1);
    assert_says(&run, "seal-missing");
    job.forget_caches();
    let report = job
        .restore(&["--on-unsealed", "skip"])
        .expect_code(0)
        .json();
    assert_eq!(
        report["verification"]["proven_by"]["go_sum"], 3,
        "{report:#}"
    );
    assert_eq!(report["verification"]["bytes_consistent"], 0);
    assert!(!job.env.gocache.join("00").exists());
    let versions = job.env.modcache.join("cache/download/gopkg.in/yaml.v3/@v");
    assert!(versions.join("v3.0.1.zip").exists());
    assert!(!versions.join("v3.0.1.info").exists());
    // The modules are proven and the rest was made here: from now on it is sealed.
    assert_eq!(job.build(), good);
    assert_eq!(job.save(&[])["kind"], "base");
    job.forget_caches();
    assert_eq!(
        complaints(&job.restore(&[]).expect_code(0).json()),
        Vec::<String>::new()
    );
    assert_eq!(job.build(), good);
}

#[test]
fn jobs_without_the_key_restore_what_is_sealed_and_save_nothing_sealed() {
    let job = Job::sealed();
    job.forget_caches();
    job.restore(&["--ref", "pull/1"]).expect_code(0);
    job.edit("one");
    let args = ["--ref", "pull/1", "--seal-key-env", KEY];
    let run = job.moved("save", &args).env(KEY, "").run().expect_code(0);
    assert_eq!(run.json()["snapshot"]["saved"]["kind"], "none");
    // Nor is a branch's unsealed delta in the way of what is sealed.
    let run = job.moved("save", &["--ref", "pull/1"]).run().expect_code(0);
    assert_eq!(run.json()["snapshot"]["saved"]["kind"], "delta");
    job.forget_caches();
    let report = job.restore(&["--ref", "pull/1"]).expect_code(0).json();
    assert_eq!(report["verdict"], "warn");
    assert_eq!(report["snapshot"]["restored"]["ref"], "main");
}

#[test]
fn a_manifest_that_another_key_signed_is_refused() {
    let job = Job::sealed();
    let other = pair("ci.example/1");
    let run = job.moved("restore", &["--sealed-by", &other.public]).run();
    assert_says(&run.expect_code(1), "seal-invalid");
    // While keys are changed both are named.
    job.forget_caches();
    job.restore(&["--sealed-by", &other.public]).expect_code(0);
    let run = job.moved("restore", &["--sealed-by", "nonsense"]).run();
    assert!(run.expect_code(2).stderr.contains("malformed key"));
}

#[test]
fn seals_of_another_branch_or_time_do_not_count() {
    let job = Job::sealed();
    job.forget_caches();
    let run = job.restore(&["--sealed-ref", "release/*"]).expect_code(1);
    assert_says(&run, "seal-wrong-ref");
    let run = job.restore(&["--seal-max-age", "0s"]);
    std::thread::sleep(std::time::Duration::from_secs(2));
    let run = match run.code {
        Some(1) => run,
        _ => job.restore(&["--seal-max-age", "0s"]).expect_code(1),
    };
    assert_says(&run, "seal-expired");
    let args = ["--sealed-by", &job.keys.public];
    let here = |name| {
        job.moved("restore", &args)
            .env("GITHUB_REPOSITORY", name)
            .run()
    };
    assert!(!job.env.gocache.join("00").exists());
    here("o/r").expect_code(0);
    job.edit("one");
    let run = job.moved("save", &["--seal-key-env", KEY]);
    run.env("GITHUB_REPOSITORY", "o/r").run().expect_code(0);
    job.forget_caches();
    assert_says(&here("o/other").expect_code(1), "seal-wrong-ref");
    here("o/r").expect_code(0);
    let fitting = [
        "--sealed-ref",
        "ma*",
        "--seal-max-age",
        "1h",
        "--seal-min-counter",
        "1",
    ];
    job.forget_caches();
    job.restore(&fitting).expect_code(0);
}

#[test]
fn an_older_sealed_snapshot_is_told_by_its_counter() {
    let job = Job::sealed();
    let older = job.digests();
    job.edit("one");
    job.save(&[]);
    job.set_head(&older);
    job.forget_caches();
    let run = job.restore(&["--seal-min-counter", "1"]).expect_code(1);
    assert_says(&run, "seal-rolled-back");
    // By nothing else.
    job.restore(&[]).expect_code(0);
}

#[test]
fn caches_on_disk_are_held_against_what_was_sealed() {
    let job = Job::sealed();
    // Into these nothing was restored.
    assert_says(&job.check().expect_code(1), "seal-missing");
    job.forget_caches();
    job.restore(&[]).expect_code(0);
    job.check().expect_code(0);
    let tree = job.env.modcache.join("github.com/cespare/xxhash/v2@v2.3.0");
    make_writable(&tree);
    fs::write(tree.join("more.go"), "package xxhash\n").unwrap();
    assert_says(&job.check().expect_code(1), "seal-broken-unit");
    fs::remove_file(tree.join("more.go")).unwrap();
    job.check().expect_code(0);
    // What a build makes is told as such.
    job.edit("one");
    let run = job.check();
    assert!(
        run.stdout.contains("made since the sealed snapshot"),
        "{run}"
    );
    job.poison();
    let run = job.check().expect_code(1);
    assert_says(&run, "seal-broken-unit");
    let other = pair("other");
    let run = job.command("check", &["--sealed-by", &other.public]).run();
    assert_says(&run.expect_code(1), "seal-invalid");
    // Units that were there before.
    job.forget_caches();
    job.edit("two");
    job.restore(&[]).expect_code(0);
    assert_says(&job.check().expect_code(1), "seal-missing");
}

#[test]
fn the_bundle_of_a_digest_is_restored_and_no_other() {
    let job = Job::sealed();
    job.edit("one");
    job.save(&[]);
    let digests = job.digests();
    job.set_head(&digests[..1]);
    job.forget_caches();
    let run = job.moved("restore", &["--digest", &digests[1]]).run();
    let report = run.expect_code(0).json();
    let restored = &report["snapshot"]["restored"];
    assert_eq!(restored["base"], *digests[0]);
    assert_eq!(restored["delta"], *digests[1]);
    assert_eq!(job.compiled(), "");
    job.forget_caches();
    fs::write(
        job.bundle(&digests[1]),
        fs::read(job.bundle(&digests[0])).unwrap(),
    )
    .unwrap();
    let run = job.moved("restore", &["--digest", &digests[1]]).run();
    assert_says(&run.expect_code(1), "seal-missing");
    assert!(!job.env.gocache.join("00").exists());
}

/// What is planted in the store, by name.
type Planting = (&'static str, fn(&Job));

/// Of what a restore leaves out, or is stopped by.
const IN_THE_STORE: &[Planting] = &[
    ("an action entry that names another output", |job| {
        job.forge(|bundle| {
            let outputs = bundle.files.iter().filter(|(path, _)| path.ends_with("-d"));
            let outputs: Vec<_> = outputs.map(|(path, it)| (path.clone(), it.len())).collect();
            let of = |at: usize| output_of(Path::new(&outputs[at].0));
            let entry = bundle.entry_of(&of(0));
            let text = String::from_utf8(bundle.files[&entry].clone()).unwrap();
            let text = renamed(&text, &of(1), outputs[1].1 as u64);
            bundle.put(&entry, text.as_bytes());
        });
    }),
    ("an output and the entry that names it", |job| {
        swap_output(job);
    }),
    ("an output in place", |job| {
        // Without a look at the manifest: the frame is not what it lists.
        let path = job.bundle(&job.digests()[0]);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    }),
    ("a module version more", |job| {
        job.forge(|bundle| {
            let zip = support::zip("example.com/planted@v1.0.0", &[("go.mod", "module x\n")]);
            let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            let modules = bundle.manifest["modules"].as_array_mut().unwrap();
            modules.insert(
                0,
                json!({
                    "path": "example.com/planted",
                    "version": "v1.0.0",
                    "h1": h1,
                    "bytes": zip.len(),
                }),
            );
            modules.sort_by_key(|it| it["path"].as_str().unwrap().to_owned());
            let at = "modcache/cache/download/example.com/planted/@v/v1.0.0.zip";
            bundle.put(at, &zip);
            bundle.put(&format!("{at}hash"), h1.as_bytes());
        });
    }),
    ("a zip and its .ziphash", |job| {
        job.forge(|bundle| {
            let at = "modcache/cache/download/gopkg.in/yaml.v3/@v/v3.0.1.zip";
            let mut zip = bundle.files[at].clone();
            let last = zip.len() - 30;
            zip[last] ^= 1;
            bundle.put(at, &zip);
            let h1 = "h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
            bundle.put(&format!("{at}hash"), h1.as_bytes());
            let modules = bundle.manifest["modules"].as_array_mut().unwrap();
            let module = modules
                .iter_mut()
                .find(|it| it["path"] == "gopkg.in/yaml.v3");
            module.unwrap()["h1"] = json!(h1);
        });
    }),
    ("an edited manifest", |job| {
        job.forge(|bundle| bundle.manifest["snapshot"]["counter"] = json!(99));
    }),
    ("a manifest that another key signed", |job| {
        let other = pair("ci.example/1");
        job.forget_caches();
        job.set_head(&job.digests());
        fs::remove_file(job.head()).unwrap();
        job.restore_anything();
        job.build();
        job.poison();
        let run = job.moved("save", &["--seal-key-env", KEY]);
        run.env(KEY, &other.secret).run().expect_code(0);
    }),
    ("a delta on another base", |job| {
        let base = job.digests().remove(0);
        job.edit("one");
        job.save(&[]);
        let delta = job.digests().remove(1);
        job.forge(|bundle| bundle.manifest["snapshot"]["counter"] = json!(1));
        let other = job.digests().pop().unwrap();
        assert_ne!(other, base);
        job.set_head(&[other, delta]);
    }),
    ("an older sealed snapshot", |job| {
        let older = job.digests();
        job.edit("one");
        assert_eq!(job.save(&[])["kind"], "delta");
        job.set_head(&older);
    }),
    ("another branch's seal", |job| {
        job.edit("one");
        let saved = job.save(&["--ref", "feature"]);
        assert_eq!(saved["kind"], "delta");
        fs::copy(job.store.join("keys/test/feature"), job.head()).unwrap();
    }),
    ("an unsealed snapshot", |job| {
        job.forget_caches();
        fs::remove_file(job.head()).unwrap();
        job.restore_anything();
        job.build();
        job.poison();
        job.save_unsealed();
    }),
    ("a truncated bundle", |job| {
        let path = job.bundle(&job.digests()[0]);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 100]).unwrap();
    }),
    ("units behind the archive's end", |job| {
        let path = job.bundle(&job.digests()[0]);
        let mut tar = Vec::new();
        member(
            &mut tar,
            "modcache/example.com/planted@v1.0.0/x.go",
            b"package x",
        );
        let bytes = [fs::read(&path).unwrap(), compress(&tar)].concat();
        fs::write(&path, bytes).unwrap();
    }),
];

/// The entry of `greet` names what another source compiles to, which came along.
fn swap_output(job: &Job) {
    let list = ["list", "-export", "-f", "{{.Export}}", "./greet"];
    let clean = output_of(Path::new(job.env.go(&job.project, list).trim()));
    job.poison();
    let planted = PathBuf::from(job.env.go(&job.project, list).trim());
    let (name, content) = (output_of(&planted), fs::read(&planted).unwrap());
    assert_ne!(name, clean);
    job.forge(|bundle| {
        let entry = bundle.entry_of(&clean);
        let text = String::from_utf8(bundle.files[&entry].clone()).unwrap();
        let text = renamed(&text, &name, content.len() as u64);
        bundle.put(&entry, text.as_bytes());
        bundle.put(&format!("gocache/{}/{name}-d", &name[..2]), &content);
    });
}

#[test]
fn a_planted_output_is_linked_where_no_seal_is_asked_for() {
    let job = Job::sealed();
    swap_output(&job);
    job.forget_caches();
    assert_eq!(complaints(&job.restore_anything()), Vec::<String>::new());
    job.build();
    assert!(job.says().contains("planted"), "{}", job.says());
}

#[test]
fn nothing_that_is_planted_in_the_store_reaches_the_program() {
    let job = Job::sealed();
    let good = job.build();
    let whole = job.env.dir().join("whole");
    copy_tree(&job.store, &whole);
    let asked = ["--sealed-ref", "main", "--seal-min-counter"];
    for (name, plant) in IN_THE_STORE {
        job.forget_caches();
        fs::remove_dir_all(&job.store).unwrap();
        copy_tree(&whole, &job.store);
        job.restore(&[&asked[..], &["0"]].concat()).expect_code(0);
        job.build();
        plant(&job);
        job.forget_caches();
        // What is older than one that was seen is told by its counter.
        let least = match *name {
            "an older sealed snapshot" => "1",
            _ => "0",
        };
        let asked = [&asked[..], &[least]].concat();
        let run = job.restore(&asked);
        let restored = run.json()["snapshot"]["restored"].clone();
        let is_stopped = run.code == Some(1);
        let is_left_out = run.code == Some(0)
            && (restored.is_null() || restored["skipped"].as_u64().unwrap() > 0);
        assert!(is_stopped || is_left_out, "{name}: {run}");
        assert!(!is_stopped || restored.is_null(), "{name}: {run}");
        if is_stopped {
            let skip = [&asked[..], &["--on-unsealed", "skip"]].concat();
            job.restore(&skip).expect_code(0);
        }
        let planted = job
            .env
            .modcache
            .join("cache/download/example.com/planted/@v/v1.0.0.zip");
        assert!(!planted.exists(), "{name}");
        assert!(job.build() == good, "{name}: another program comes out");
        assert!(!job.says().contains("planted"), "{name}");
    }
}

#[test]
fn a_job_that_holds_the_key_seals_nothing_that_was_planted() {
    let job = Job::sealed();
    let (good, head) = (job.build(), fs::read(job.head()).unwrap());
    let refused = |what: &str| {
        job.edit(what);
        let run = job.moved("save", &["--seal-key-env", KEY]).run();
        assert_says(&run.expect_code(1), "seal-missing");
        assert_eq!(fs::read(job.head()).unwrap(), head, "{what}");
    };
    // A restore that asked for no seal brought it.
    job.forget_caches();
    job.restore(&[]).expect_code(0);
    job.build();
    job.poison();
    job.save_unsealed();
    fs::write(job.head(), &head).unwrap();
    job.forget_caches();
    job.restore_anything();
    refused("one");
    // It was on the machine already, and the restore left it as it was.
    job.forget_caches();
    job.build();
    job.poison();
    job.restore(&[]).expect_code(0);
    refused("two");
    // Another job of this machine made it, after this one's restore of long ago.
    job.forget_caches();
    let restore = job.moved("restore", &["--sealed-by", &job.keys.public]);
    restore.env("GITHUB_RUN_ID", "1").run().expect_code(0);
    refused("three");
    // Somebody's unsealed delta is not merged.
    job.forget_caches();
    job.restore(&[]).expect_code(0);
    job.edit("four");
    job.poison();
    assert_eq!(job.save_unsealed()["kind"], "delta");
    let planted = job.digests();
    fs::write(job.head(), &head).unwrap();
    job.forget_caches();
    job.restore(&[]).expect_code(0);
    job.set_head(&planted);
    job.edit("five");
    let saved = job.save(&[]);
    assert_eq!(saved["kind"], "base", "{saved}");
    job.forget_caches();
    job.restore(&[]).expect_code(0);
    assert!(job.build() == good, "another program comes out");
}
