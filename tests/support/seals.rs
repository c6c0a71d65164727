//! Jobs that seal what they save, and what somebody who can write to the store, or
//! to a machine's caches, plants in them.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bundle::sha256;
use super::{
    GoEnv, Gocachevet, Project, Run, add_package, copy_tree_fresh, gocachevet, std_cache, zip,
};
use serde_json::{Value, json};

pub const KEY: &str = "SEAL_KEY";

/// A pair of keys, as the program makes it.
pub struct Pair {
    pub secret: String,
    pub public: String,
}

pub fn pair(name: &str) -> Pair {
    let run = gocachevet().args(["seal", "--new-key", name]);
    let run = run.run().expect_code(0);
    let public = run.stderr.trim().rsplit_once(' ').unwrap().1.to_owned();
    Pair {
        secret: run.stdout.trim().to_owned(),
        public,
    }
}

/// A project and a store, and caches that are always in the same place.
pub struct Job {
    pub env: GoEnv,
    pub project: PathBuf,
    pub store: PathBuf,
    /// Whose snapshots.
    pub name: String,
    /// As CI says, if it does.
    pub repository: Option<String>,
    pub keys: Pair,
}

impl Job {
    pub fn new() -> Job {
        let mut env = GoEnv::new();
        env.set("GOFLAGS", "-buildvcs=false -trimpath");
        let project = env.project(Project::Hello);
        let store = env.dir().join("store");
        Job {
            env,
            project,
            store,
            name: "test".to_owned(),
            repository: None,
            keys: pair("ci.example/1"),
        }
    }

    /// One whose first job, on an empty machine, built and sealed.
    pub fn sealed() -> Job {
        let job = Job::new();
        job.restore(&[]).expect_code(0);
        job.build();
        let saved = job.save(&[]);
        assert_eq!(saved["kind"], "base", "{saved}");
        assert_eq!(saved["sealed_by"], "ci.example/1");
        job
    }

    pub fn command(&self, command: &str, args: &[&str]) -> Gocachevet {
        let mut run = self.env.gocachevet().dir(&self.project);
        if let Some(repository) = &self.repository {
            run = run.env("GITHUB_REPOSITORY", repository);
        }
        run.env("GOFLAGS", "-buildvcs=false -trimpath")
            .env(KEY, &self.keys.secret)
            .arg(command)
            .args(["-f", "json", "--state"])
            .arg(self.state())
            .args(args)
    }

    pub fn moved(&self, command: &str, args: &[&str]) -> Gocachevet {
        let run = self.command(command, args).arg("--store").arg(&self.store);
        run.args(["--key", &self.name])
    }

    pub fn state(&self) -> PathBuf {
        self.env.dir().join("state")
    }

    /// What this job's key sealed.
    pub fn restore(&self, args: &[&str]) -> Run {
        let args = [&["--sealed-by", &self.keys.public], args].concat();
        self.moved("restore", &args).run()
    }

    pub fn restore_anything(&self) -> Value {
        self.moved("restore", &[]).run().expect_code(0).json()
    }

    pub fn save(&self, args: &[&str]) -> Value {
        let args = [&["--seal-key-env", KEY], args].concat();
        let report = self.moved("save", &args).run().expect_code(0).json();
        report["snapshot"]["saved"].clone()
    }

    pub fn save_unsealed(&self) -> Value {
        let report = self.moved("save", &[]).run().expect_code(0).json();
        report["snapshot"]["saved"].clone()
    }

    pub fn check(&self) -> Run {
        let args = ["--sealed-by", &self.keys.public];
        self.command("check", &args).run()
    }

    /// Builds with what is there and what the proxy has. Gives the program.
    #[track_caller]
    pub fn build(&self) -> Vec<u8> {
        // Instead of compiling the standard library, which takes too long.
        if !self.env.gocache.join("00").exists() {
            let _ = fs::remove_dir_all(&self.env.gocache);
            copy_tree_fresh(&std_cache(true), &self.env.gocache);
        }
        self.env.go(&self.project, ["mod", "download"]);
        let program = self.env.dir().join("program");
        let out = program.to_str().unwrap();
        self.env.go(&self.project, ["build", "-o", out, "."]);
        fs::read(&program).unwrap()
    }

    /// What is compiled anew by a build without a network.
    pub fn compiled(&self) -> String {
        let mut go = self.env.command(&self.project, ["build", "-v", "./..."]);
        let output = go.env("GOPROXY", "off").output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    pub fn says(&self) -> String {
        let output = Command::new(self.env.dir().join("program")).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }

    /// Makes the entry of the package's action name what a changed source compiles
    /// to, as anybody can who can write to the cache.
    pub fn poison(&self) {
        let greet = self.project.join("greet/greet.go");
        let exported = || {
            let list = ["list", "-export", "-f", "{{.Export}}", "./greet"];
            PathBuf::from(self.env.go(&self.project, list).trim())
        };
        let clean = output_of(&exported());
        let source = fs::read_to_string(&greet).unwrap();
        let changed = source.replace("return g, err", "g.Name = \"planted\"\n\treturn g, err");
        fs::write(&greet, changed).unwrap();
        let planted = exported();
        fs::write(&greet, source).unwrap();
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

    pub fn heads(&self) -> PathBuf {
        self.store.join("keys").join(&self.name)
    }

    pub fn head(&self) -> PathBuf {
        self.heads().join("main")
    }

    pub fn digests(&self) -> Vec<String> {
        let head: Value = serde_json::from_slice(&fs::read(self.head()).unwrap()).unwrap();
        let bundles = head["bundles"].as_array().unwrap().iter();
        bundles.map(|it| it.as_str().unwrap().to_owned()).collect()
    }

    pub fn set_head(&self, bundles: &[String]) {
        let head = json!({
            "schema": "gocachevet.head/1",
            "bundles": bundles,
            "before": [],
            "counter": 9,
            "saved": 9,
        });
        fs::write(self.head(), head.to_string()).unwrap();
    }

    pub fn bundle(&self, digest: &str) -> PathBuf {
        self.store.join("bundles").join(digest)
    }

    /// Somebody edits the newest bundle, manifest and all, and leaves its seal.
    pub fn forge(&self, edit: impl FnOnce(&mut Bundle)) {
        let mut digests = self.digests();
        let mut bundle = Bundle::read(&self.bundle(&digests.pop().unwrap()));
        edit(&mut bundle);
        let (digest, bytes) = bundle.packed();
        fs::write(self.bundle(&digest), bytes).unwrap();
        digests.push(digest);
        self.set_head(&digests);
    }

    /// Another package, which has to be compiled.
    pub fn edit(&self, name: &str) {
        add_package(&self.project, name);
        self.env.go(&self.project, ["build", "./..."]);
    }
}

pub fn output_of(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    name.strip_suffix("-d").unwrap().to_owned()
}

/// An entry that names another output.
pub fn renamed(entry: &str, output: &str, bytes: u64) -> String {
    let fields: Vec<&str> = entry.split_whitespace().collect();
    format!("v1 {} {output} {bytes:20} {:>20}\n", fields[1], fields[4])
}

/// A bundle, taken apart by somebody who is free to write what he likes.
pub struct Bundle {
    pub manifest: Value,
    pub files: BTreeMap<String, Vec<u8>>,
    /// The frame that decoders skip.
    pub seal: Vec<u8>,
}

impl Bundle {
    pub fn read(path: &Path) -> Bundle {
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

    pub fn put(&mut self, path: &str, content: &[u8]) {
        self.files.insert(path.to_owned(), content.to_vec());
    }

    /// An entry of the cache, by the output that it names.
    pub fn entry_of(&self, output: &str) -> String {
        let names = |(path, content): &(&String, &Vec<u8>)| {
            path.ends_with("-a") && String::from_utf8_lossy(content).contains(output)
        };
        self.files.iter().find(names).unwrap().0.clone()
    }

    /// The manifest's digest, and the bundle: all entries in a frame of their own.
    pub fn packed(mut self) -> (String, Vec<u8>) {
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

pub fn member(tar: &mut Vec<u8>, path: &str, content: &[u8]) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, path, content).unwrap();
    let bytes = builder.into_inner().unwrap();
    tar.extend(&bytes[..bytes.len() - 1024]);
}

pub fn compress(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).unwrap()
}

/// What is planted in the store, by name.
pub type Planting = (&'static str, fn(&Job));

/// Of what a restore leaves out, or is stopped by.
pub const IN_THE_STORE: &[Planting] = &[
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
            let zip = zip("example.com/planted@v1.0.0", &[("go.mod", "module x\n")]);
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
        job.env.forget_caches();
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
        fs::copy(job.heads().join("feature"), job.head()).unwrap();
    }),
    ("an unsealed snapshot", |job| {
        job.env.forget_caches();
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
pub fn swap_output(job: &Job) {
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
