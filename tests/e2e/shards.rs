//! A check split into shards, and their reports put together: the same report
//! as that of one check of all.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{Caches, MODULES, Project, Run, build_cache, gocachevet, make_writable};

/// A cache in which every known module is, with what builds and checks it.
struct Site {
    caches: Caches,
    /// Folder for this test's own files.
    aside: PathBuf,
    options: Vec<String>,
}

impl Site {
    /// A marked cache after a build.
    fn used() -> Site {
        let caches = build_cache(Project::Hello);
        let names: Vec<&str> = MODULES.iter().map(|(module, _)| *module).collect();
        caches.env.download(&names);
        let aside = caches.env.dir().join("aside");
        fs::create_dir(&aside).unwrap();
        let mut site = Site {
            caches,
            aside,
            options: Vec::new(),
        };
        site.run(["mark"]).expect_code(0);
        site.options.push("--max-age=fail=5000d".to_owned());
        site.caches.build_offline();
        site
    }

    fn run<const N: usize>(&self, args: [&str; N]) -> Run {
        self.caches
            .env
            .gocachevet()
            .args(args)
            .args(&self.options)
            .args(["--project".as_ref(), self.caches.project.as_path()])
            .env("TMPDIR", &self.aside)
            .run()
    }

    /// The reports of all parts, in files.
    fn shards(&self, count: usize) -> Vec<PathBuf> {
        let shard = |index| {
            let file = self.aside.join(format!("{index}-of-{count}.json"));
            let run = self.run(["--format=json", "--shard", &format!("{index}/{count}")]);
            fs::write(&file, &run.stdout).unwrap();
            assert!(run.stderr.is_empty(), "{run}");
            file
        };
        (1..=count).map(shard).collect()
    }
}

/// Merges in the format.
fn merge(files: &[PathBuf], format: &str) -> Run {
    gocachevet()
        .args(["report", "--format", format])
        .args(files)
        .run()
}

/// A report without what no two runs have in common.
fn timeless(run: &Run) -> Value {
    let mut report = run.json();
    report["generated_at"] = Value::Null;
    report["verification"]["seconds"] = Value::Null;
    for threshold in report["thresholds"].as_array_mut().unwrap() {
        if threshold["name"] == "max-age" {
            threshold["actual"] = Value::Null;
        }
    }
    report
}

/// One check and the merged ones give the same report. That of the one.
fn assert_merges(site: &Site, counts: &[usize]) -> Value {
    let one = site.run(["--format=json"]);
    let code = one.code.unwrap();
    let whole = timeless(&one);
    assert!(whole["usage"]["buildcache"]["hits"].as_u64().unwrap() > 0);
    assert!(whole["verification"]["bytes_proven"].as_u64().unwrap() > 0);
    for &count in counts {
        let mut files = site.shards(count);
        files.reverse();
        let merged = merge(&files, "json").expect_code(code);
        assert_eq!(timeless(&merged), whole, "{count} parts");
    }
    whole
}

#[test]
fn a_clean_cache_split_and_merged_is_reported_as_a_whole() {
    let whole = assert_merges(&Site::used(), &[1, 3, 8]);
    assert_eq!(whole["verdict"], "pass");
    // The modules that no go.sum lists, named once and not once a part.
    let complaints = support::complaints(&whole);
    let rules: Vec<&Value> = complaints.iter().map(|finding| &finding["rule"]).collect();
    assert_eq!(rules, ["unproven"]);
}

/// Overwrites a byte in the middle.
fn damage(file: &Path) {
    let open = fs::OpenOptions::new().write(true).open(file).unwrap();
    let middle = open.metadata().unwrap().len() / 2;
    open.write_all_at(b"\x00\xff", middle).unwrap();
}

/// The build cache's files that end so, in order.
fn entries(gocache: &Path, end: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = walkdir::WalkDir::new(gocache)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| entry.into_path())
        .filter(|path| path.to_str().unwrap().ends_with(end))
        .collect();
    found.sort();
    found
}

#[test]
fn a_broken_cache_split_and_merged_is_reported_as_a_whole() {
    let mut site = Site::used();
    let modcache = site.caches.modcache.clone();
    make_writable(&modcache);
    let download = modcache.join("cache/download");
    let zip = download.join("github.com/!burnt!sushi/toml/@v/v1.3.2.zip");
    damage(&zip);
    let ziphash = download.join("github.com/!masterminds/semver/v3/@v/v3.2.1.ziphash");
    fs::write(ziphash, "h1:none").unwrap();
    let trees = walkdir::WalkDir::new(&modcache)
        .max_depth(4)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().contains('@'))
        .filter(|path| path.is_dir() && !path.starts_with(&download));
    for (number, tree) in trees.take(5).enumerate() {
        match number {
            0 | 1 => fs::write(tree.join("added.go"), "package added\n").unwrap(),
            2 => symlink("/nowhere", tree.join("link.go")).unwrap(),
            3 => fs::remove_file(tree.join("LICENSE"))
                .or_else(|_| fs::remove_file(tree.join("README.md")))
                .unwrap(),
            _ => fs::write(tree.with_extension("partial"), "").unwrap(),
        }
    }
    fs::write(modcache.join("stray"), "x").unwrap();
    let gocache = &site.caches.gocache;
    for output in entries(gocache, "-d").iter().step_by(9) {
        make_writable(output);
        if fs::metadata(output).unwrap().len() > 2 {
            damage(output);
        }
    }
    let outputs = entries(gocache, "-d");
    for output in outputs.iter().skip(1).step_by(20) {
        fs::write(output, "short").unwrap();
    }
    fs::remove_file(&outputs[2]).unwrap();
    for action in entries(gocache, "-a").iter().step_by(30) {
        fs::remove_file(action).unwrap();
    }

    let policy = site.aside.join("policy.toml");
    let baseline = site.aside.join("baseline.json");
    fs::write(
        &policy,
        "max-findings = 'warn=1,fail=8'\n\
         [rules]\noutput-size-mismatch = 'warn'\n\
         [[silence]]\nrule = 'zip-invalid'\nsubject = 'github.com/BurntSushi/**'\nreason = 'known'\n\
         [[silence]]\nrule = 'zip-hash-mismatch'\nsubject = 'github.com/BurntSushi/**'\nreason = 'known'\n\
         [[silence]]\nrule = 'drift'\nsubject = 'none'\nreason = 'matches nothing'\n",
    )
    .unwrap();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    site.options.extend(["--config".to_owned(), path(&policy)]);
    let whole = assert_merges(&site, &[1, 3, 8]);
    assert_eq!(whole["verdict"], "fail");
    assert!(whole["policy"]["silenced"].as_u64().unwrap() > 0, "{whole}");
    let names: std::collections::BTreeSet<&str> = whole["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| finding["rule"].as_str().unwrap())
        .collect();
    for rule in [
        "extracted-hash-mismatch",
        "ziphash-mismatch",
        "unexpected-file",
        "output-hash-mismatch",
        "output-size-mismatch",
        "output-orphan",
        "output-missing",
        "over-threshold",
    ] {
        assert!(names.contains(rule), "no {rule} in {names:?}");
    }

    // Half of the findings are known from now on.
    let known: Vec<Value> = whole["findings"]
        .as_array()
        .unwrap()
        .iter()
        .step_by(2)
        .cloned()
        .collect();
    let known: Vec<Value> = known
        .iter()
        .map(|finding| json!({"rule": finding["rule"], "subject": finding["subject"]}))
        .collect();
    let content = json!({"schema": "gocachevet.baseline/1", "findings": known});
    fs::write(&baseline, content.to_string()).unwrap();
    site.options
        .extend(["--baseline".to_owned(), path(&baseline)]);
    let whole = assert_merges(&site, &[3]);
    assert!(
        whole["policy"]["baselined"].as_u64().unwrap() > 1,
        "{whole}"
    );
}

#[test]
fn parts_that_make_no_whole_are_refused() {
    let mut site = Site::used();
    let of_three = site.shards(3);
    let all = site.aside.join("all.json");
    fs::write(&all, site.run(["--format=json"]).stdout).unwrap();
    let one_of_one = site.shards(1);
    site.options.push("--max-size=fail=1TB".to_owned());
    let other_policy = site.aside.join("other-policy.json");
    fs::write(
        &other_policy,
        site.run(["--format=json", "--shard=3/3"]).stdout,
    )
    .unwrap();
    site.options.pop();
    let lone = |at: usize| of_three[at].clone();
    let changed = |name: &str, from: &str, to: &str| {
        let text = fs::read_to_string(&of_three[2]).unwrap();
        assert!(text.contains(from), "{from}");
        let file = site.aside.join(name);
        fs::write(&file, text.replacen(from, to, 1)).unwrap();
        file
    };
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let other_version = changed("version.json", &version, "\"version\": \"99.0.0\"");
    let future = changed("future.json", "gocachevet.report/1", "gocachevet.report/2");
    let damaged = changed("damaged.json", "\"own\": []", "\"own\": [70000]");
    let cut = site.aside.join("cut.json");
    fs::write(&cut, &fs::read(&of_three[2]).unwrap()[..100]).unwrap();

    // The cache grows between two parts.
    site.caches.env.go(&site.caches.project, ["vet", "./..."]);
    let other_cache = site.aside.join("other-cache.json");
    fs::write(
        &other_cache,
        site.run(["--format=json", "--shard=3/3"]).stdout,
    )
    .unwrap();

    for (files, told) in [
        (vec![lone(0)], "missing: 2, 3"),
        (vec![lone(0), lone(2)], "missing: 2"),
        (
            vec![lone(0), lone(1), lone(2), lone(1)],
            "part 2 is there twice",
        ),
        (
            vec![lone(0), lone(1), one_of_one[0].clone()],
            "the number of parts",
        ),
        (vec![lone(0), lone(1), all.clone()], "not a shard's report"),
        (vec![all.clone(), all.clone()], "not a shard's report"),
        (
            vec![lone(0), lone(1), other_policy],
            "options, policy or go.sum",
        ),
        (
            vec![lone(0), lone(1), other_version],
            "the version of gocachevet",
        ),
        (vec![lone(0), lone(1), other_cache], "the caches"),
        (vec![lone(0), lone(1), future], "gocachevet.report/2"),
        (vec![lone(0), lone(1), damaged], "is damaged"),
        (vec![lone(0), lone(1), cut], "not a JSON report"),
    ] {
        let run = merge(&files, "json").expect_code(2);
        assert!(run.stdout.is_empty(), "{run}");
        assert!(run.stderr.contains(told), "{told}: {run}");
    }
    let none = merge(&[site.aside.join("none.json")], "json").expect_code(3);
    assert!(none.stderr.contains("none.json"), "{none}");
}

#[test]
fn a_saved_report_is_rendered_as_the_run_itself_would() {
    let site = Site::used();
    let outputs = [
        "json",
        "text",
        "markdown",
        "github",
        "openmetrics",
        "sarif",
        "codequality",
    ];
    let mut check = site.caches.env.gocachevet().arg("check");
    check = check.args(["--project".as_ref(), site.caches.project.as_path()]);
    check = check
        .args(["--max-size", "fail=1kB"])
        .env("TMPDIR", &site.aside);
    for format in outputs {
        let path = site.aside.join(format!("out.{format}"));
        check = check.args([
            "--output".to_owned(),
            format!("{format}={}", path.display()),
        ]);
    }
    check.run().expect_code(1);
    let json = site.aside.join("out.json");
    for format in outputs {
        let run = merge(std::slice::from_ref(&json), format).expect_code(1);
        let was = fs::read_to_string(site.aside.join(format!("out.{format}"))).unwrap();
        assert_eq!(run.stdout, was, "{format}");
    }
}

#[test]
fn what_takes_all_of_the_work_is_refused_in_a_part_of_it() {
    let caches = build_cache(Project::Hello);
    for args in [
        vec!["trim"],
        vec!["mark"],
        vec!["list"],
        vec!["check", "--record"],
        vec!["check", "--write-baseline=new.json"],
    ] {
        let run = caches.env.gocachevet().args(&args).args(["--shard=1/2"]);
        let run = run.run().expect_code(2);
        assert!(run.stderr.contains("--shard"), "{args:?}: {run}");
    }
    assert!(!caches.env.dir().join("new.json").exists());
}
