//! The parsers against caches that the real `go` command made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gocachevet::tested::formats::GoSum;
use gocachevet::tested::formats::RevInfo;
use gocachevet::tested::formats::h1_of_go_mod;
use gocachevet::tested::formats::parse_trim_txt;
use gocachevet::tested::formats::{
    ActionEntry, ActionId, EntryName, parse_entry_name, parse_shard_name,
};
use gocachevet::tested::formats::{
    AtVName, ModuleVersion, PieceKind, TreeDir, escape_path, parse_at_v_name, parse_tree_dir,
    tree_dir_name,
};
use gocachevet::tested::formats::{HEAD_BYTES, OutputKind, TAIL_BYTES, output_kind};
use gocachevet::tested::formats::{ZipHash, parse_ziphash};
use gocachevet::tested::formats::{module_index_action, parse_go_version_file};

const MODULES: [&str; 4] = [
    "github.com/BurntSushi/toml@v1.4.0",
    "golang.org/x/text@v0.0.0-20170915032832-14c0d48ead0c",
    "rsc.io/quote@v1.5.2",
    "rsc.io/sampler@v1.3.0",
];

/// A project and the caches that building, vetting and testing it fills.
struct Caches {
    root: tempfile::TempDir,
}

impl Caches {
    fn fill() -> Self {
        let caches = Self {
            root: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(caches.project()).unwrap();
        for (name, text) in [
            ("go.mod", "module example.com/tiny\n\ngo 1.24\n"),
            (
                "tiny.go",
                "package tiny\n\nimport (\n\t_ \"github.com/BurntSushi/toml\"\n\t\"rsc.io/quote\"\n)\n\nfunc Hello() string { return quote.Hello() }\n",
            ),
            (
                "tiny_test.go",
                "package tiny\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestHello(t *testing.T) {\n\tos.Getenv(\"TINY\")\n\tif Hello() == \"\" {\n\t\tt.Fatal()\n\t}\n}\n",
            ),
        ] {
            fs::write(caches.project().join(name), text).unwrap();
        }
        caches.go(&[
            "get",
            "rsc.io/quote@v1.5.2",
            "github.com/BurntSushi/toml@v1.4.0",
        ]);
        caches.go(&["test", "-coverprofile=c.out", "."]);
        caches.go(&["clean", "-testcache"]);
        caches
    }

    fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    fn modcache(&self) -> PathBuf {
        self.root.path().join("mod")
    }

    fn gocache(&self) -> PathBuf {
        self.root.path().join("build")
    }

    fn go(&self, args: &[&str]) -> String {
        let output = Command::new("go")
            .args(args)
            .current_dir(self.project())
            .env("GOMODCACHE", self.modcache())
            .env("GOCACHE", self.gocache())
            .env("GOPATH", self.root.path().join("gopath"))
            .env("GOENV", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-modcacherw")
            .output()
            .expect("these tests need the go command");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "go {args:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn caches_of_the_real_go() {
    let caches = Caches::fill();
    module_cache_reads(&caches);
    build_cache_reads(&caches);
}

fn module_cache_reads(caches: &Caches) {
    let root = caches.modcache();
    let go_sum = GoSum::parse(&fs::read(caches.project().join("go.sum")).unwrap()).unwrap();
    let modules = MODULES.map(|m| m.parse::<ModuleVersion>().unwrap());
    let listed: Vec<_> = go_sum.zips.keys().cloned().collect();
    assert_eq!(listed, modules);
    for module in &modules {
        let tree = tree_dir_name(module).unwrap();
        assert!(root.join(&tree).is_dir(), "{tree}");
        assert_eq!(parse_tree_dir(&tree), Ok(TreeDir::Module(module.clone())));

        let at_v = root
            .join("cache/download")
            .join(escape_path(&module.path).unwrap())
            .join("@v");
        let mut pieces = BTreeSet::new();
        for name in names(&at_v) {
            let file = match parse_at_v_name(&name) {
                AtVName::List => continue,
                AtVName::Piece(file) => file,
                other => panic!("{name}: {other:?}"),
            };
            assert_eq!(file.file_name().unwrap(), name);
            if file.version != module.version {
                // "go get" also asks about the newest version.
                continue;
            }
            let content = fs::read(at_v.join(&name)).unwrap();
            match file.piece {
                PieceKind::Info => {
                    RevInfo::parse_for(&module.version, &content).unwrap();
                }
                PieceKind::Mod => assert_eq!(go_sum.go_mod(module)[0].h1, h1_of_go_mod(&content)),
                PieceKind::ZipHash => {
                    assert_eq!(
                        parse_ziphash(&content),
                        ZipHash::Sum(go_sum.zip(module)[0].h1)
                    );
                }
                PieceKind::Zip => assert!(!content.is_empty()),
                PieceKind::Lock | PieceKind::Partial => assert!(content.is_empty()),
            }
            pieces.insert(file.piece);
        }
        let mut all = BTreeSet::from(PieceKind::ALL);
        all.remove(&PieceKind::Partial);
        assert_eq!(pieces, all, "{module}");
    }
}

fn build_cache_reads(caches: &Caches) {
    let root = caches.gocache();
    let mut actions: Vec<ActionId> = Vec::new();
    let mut kinds: Vec<OutputKind> = Vec::new();
    for shard in names(&root)
        .iter()
        .filter(|name| parse_shard_name(name).is_some())
    {
        for name in names(&root.join(shard)) {
            let entry = parse_entry_name(&name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(entry.shard(), *shard);
            let path = root.join(shard).join(&name);
            match entry {
                EntryName::Action(action) => {
                    let content = fs::read(&path).unwrap();
                    let entry = ActionEntry::parse_named(action, &content).unwrap();
                    assert_eq!(entry.to_string().as_bytes(), content);
                    let output = EntryName::Output(entry.output);
                    let output = root.join(output.shard()).join(output.to_string());
                    let size = fs::metadata(&output).unwrap();
                    assert!(size.is_dir() || size.len() == entry.size);
                    actions.push(action);
                }
                EntryName::Output(_) if path.is_dir() => {}
                EntryName::Output(_) => {
                    let content = fs::read(&path).unwrap();
                    let head = &content[..content.len().min(HEAD_BYTES)];
                    let tail = &content[content.len().saturating_sub(TAIL_BYTES)..];
                    kinds.push(output_kind(head, tail));
                }
            }
        }
    }
    let go_version = caches.go(&["env", "GOVERSION"]);
    let target = caches
        .go(&["env", "GOOS", "GOARCH"])
        .trim()
        .replace('\n', "/");
    let mut archives = 0;
    for kind in &kinds {
        let OutputKind::Archive {
            goos,
            goarch,
            go_version: version,
            build_id_action_prefix,
        } = kind
        else {
            continue;
        };
        archives += 1;
        assert_eq!(format!("{goos}/{goarch}"), target);
        assert_eq!(version, go_version.trim());
        let prefix = build_id_action_prefix.expect("a build id");
        assert!(actions.iter().any(|action| action.0.starts_with(&prefix)));
    }
    assert!(archives > 50, "{archives} archives");
    for kind in [
        OutputKind::ModuleIndex,
        OutputKind::TestLog,
        OutputKind::TestResult,
        OutputKind::CoverProfile,
        OutputKind::SourceFiles,
        OutputKind::VetFacts,
        OutputKind::Empty,
    ] {
        assert!(
            kinds.contains(&kind),
            "no {kind:?} among {} outputs",
            kinds.len()
        );
    }

    let version_file = fs::read(Path::new(caches.go(&["env", "GOROOT"]).trim()).join("VERSION"));
    let version_file = version_file.unwrap();
    let version = parse_go_version_file(&version_file).unwrap();
    for module in MODULES {
        let tree = caches
            .modcache()
            .join(tree_dir_name(&module.parse().unwrap()).unwrap());
        let index = module_index_action(version, tree.as_os_str().as_encoded_bytes());
        assert!(actions.contains(&index), "index of {module}");
    }

    assert!(parse_trim_txt(&fs::read(root.join("trim.txt")).unwrap()).is_some());
}
