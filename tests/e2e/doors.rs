//! Small doors: what a checkout can put in the way of a run, and what a hostile
//! name, report or file can make of it.

// A test fails by panicking, also in what tests share.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::{Caches, Project, Run, Scratch, build_cache, copy_tree, gocachevet, make_writable};

/// Caches of a built project, and the project once more in a folder that lies in
/// no repository: this one's tests lie in its own.
struct Site {
    caches: Caches,
    aside: Scratch,
    project: PathBuf,
}

impl Site {
    fn new() -> Site {
        let caches = build_cache(Project::Hello);
        let aside = Scratch::for_everyone();
        let project = aside.path().join("checkout");
        copy_tree(&caches.project, &project);
        Site {
            caches,
            aside,
            project,
        }
    }

    fn configure(&self, text: &str) {
        fs::write(self.project.join("gocachevet.toml"), text).unwrap();
    }

    fn run(&self, args: &[&str]) -> Run {
        let run = self.caches.env.gocachevet().dir(&self.project);
        run.args(args).run()
    }

    fn path(&self, name: &str) -> String {
        self.aside.path().join(name).to_str().unwrap().to_owned()
    }

    /// Changes a dependency's tree so that whatever is built with it says so.
    fn plant(&self) {
        let tree = self.caches.modcache.join(DEPENDENCY);
        make_writable(&tree);
        let file = tree.join("yaml.go");
        let mut code = fs::read_to_string(&file).unwrap();
        code.push_str("\nfunc init() { println(\"PLANTED\") }\n");
        fs::write(file, code).unwrap();
        let run = self.caches.env.try_go(&self.project, ["run", "."]);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert!(said.contains("PLANTED"), "go builds with it: {said}");
    }
}

const FORMATS: [&str; 7] = [
    "text",
    "json",
    "markdown",
    "github",
    "openmetrics",
    "sarif",
    "codequality",
];

const DEPENDENCY: &str = "gopkg.in/yaml.v3@v3.0.1";

fn rules(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    let rules = findings.map(|it| it["rule"].as_str().unwrap());
    rules.filter(|rule| *rule != "info-unproven").collect()
}

/// A `.git` that belongs to another user: made by root, or root's own.
fn foreign_repository(git: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        fs::create_dir(git).unwrap();
        chown(git, Some(65534), Some(65534)).unwrap();
    } else {
        symlink("/usr", git).unwrap();
    }
}

fn fifo(path: &Path) {
    let made = Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
}

#[test]
fn a_project_cannot_name_what_is_written_or_emptied() {
    let site = Site::new();
    let victim = site.aside.path().join("victim");
    copy_tree(&site.caches.modcache, &victim.join("mod"));
    fs::write(victim.join("file"), "mine").unwrap();
    let before = support::snapshot(&victim);
    let [file, folder] = ["file", "mod"].map(|name| victim.join(name));
    let (file, folder) = (file.display(), folder.display());
    for (key, value) in [
        ("output", format!("['json={file}']")),
        ("state", format!("'{file}'")),
        ("modcache", format!("'{folder}'")),
        ("gocache", format!("'{folder}'")),
        ("goroot", format!("'{folder}'")),
        ("policy", format!("'{file}'")),
    ] {
        site.configure(&format!("verify = 'quick'\n{key} = {value}\n"));
        for command in [
            &["check"][..],
            &["trim", "--all", "--force"],
            &["mark"],
            &["list"],
            &["doctor"],
        ] {
            let run = site.run(command).expect_code(2);
            let said = format!("line 2: `{key}` is refused in a project's own file");
            assert!(run.stderr.contains(&said), "{run}");
            assert!(run.stderr.contains(&format!("--{key}")), "{run}");
            assert!(run.stderr.contains("--config"), "{run}");
        }
    }
    let ignoring = ["check", "--no-project-config", "--verify=off"];
    site.run(&ignoring).expect_code(0);
    assert_eq!(support::snapshot(&victim), before);

    // In a file that the user names, all of it works.
    let policy = site.path("policy.toml");
    let out = site.path("out.json");
    fs::write(
        &policy,
        format!("modcache = '{folder}'\noutput = ['json={out}']\n"),
    )
    .unwrap();
    site.configure("nonsense");
    let named = ["check", "--verify=off", "--config", &policy];
    site.run(&named).expect_code(0);
    let report: Value = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    assert_eq!(report["modcache"]["path"], folder.to_string());
    assert_eq!(report["configuration"]["origin"], "option");
}

#[test]
fn what_the_projects_file_does_to_the_verdict_is_said_first() {
    let site = Site::new();
    site.plant();
    site.configure(
        "format = 'json'\nmax-findings = 3\n\
         [rules]\ndrift = 'deny'\n\
         [[silence]]\nrule = 'extracted-hash-mismatch'\nsubject = '**'\nreason = '`|<b>'\n",
    );
    let outputs = ["text", "markdown"].map(|name| format!("--output={name}={}", site.path(name)));
    let run = site.run(&["check", &outputs[0], &outputs[1]]);
    let report = run.expect_code(0).json();
    assert_eq!(rules(&report), [""; 0], "silenced");
    let file = site.project.join("gocachevet.toml").display().to_string();
    let affects = [
        "max-findings = 3",
        "rules.drift = deny",
        "silence extracted-hash-mismatch of **",
    ];
    let configuration = &report["configuration"];
    assert_eq!(configuration["path"], file);
    assert_eq!(configuration["origin"], "project");
    assert_eq!(configuration["affects"].as_array().unwrap(), &affects);
    for format in ["text", "markdown"] {
        let shown = fs::read_to_string(site.path(format)).unwrap();
        let (head, _) = shown.split_once("Module cache").unwrap();
        // Lines are wrapped.
        let head = head.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(head.contains("The project's own configuration"), "{shown}");
        for part in affects {
            assert!(head.contains(part), "{format}: {head}");
        }
    }
    // Whoever wants none of it.
    let run = site.run(&["check", "--no-project-config", "--format=json"]);
    let report = run.expect_code(1).json();
    assert!(report.get("configuration").is_none());
    assert!(rules(&report).contains(&"extracted-hash-mismatch"));
}

#[test]
fn a_configuration_above_the_project_does_not_rule() {
    let site = Site::new();
    site.plant();
    // As anybody on the machine could put it into /tmp.
    let silence = "[[silence]]\nrule = 'extracted-hash-mismatch'\nsubject = '**'\nreason = 'x'\n";
    fs::write(site.path("gocachevet.toml"), silence).unwrap();
    let inner = site.project.join("greet");
    let denied = || {
        for dir in [&site.project, &inner] {
            let run = site.caches.env.gocachevet().dir(dir);
            let report = run
                .args(["check", "--format=json"])
                .run()
                .expect_code(1)
                .json();
            assert!(report.get("configuration").is_none(), "{report:#}");
            assert!(rules(&report).contains(&"extracted-hash-mismatch"));
        }
    };
    denied();
    // Nor if somebody else put a repository there.
    let git = site.aside.path().join(".git");
    foreign_repository(&git);
    denied();
    fs::remove_dir(&git)
        .or_else(|_| fs::remove_file(&git))
        .unwrap();
    // One's own repository counts up to its top.
    fs::create_dir(&git).unwrap();
    let run = site.run(&["check", "--format=json"]).expect_code(0);
    assert_eq!(run.json()["configuration"]["origin"], "project");
}

#[test]
fn a_file_that_never_ends_is_not_read() {
    let site = Site::new();
    let pipe = site.path("pipe");
    fifo(Path::new(&pipe));
    let mirror = site.caches.modcache.join("cache/download");
    let mirror = mirror.to_str().unwrap();
    let calls: [(&[&str], &str); 8] = [
        (&["check", "--verify=off"], "--baseline"),
        (&["check", "--verify=off", "--shard=1/2"], "--baseline"),
        (&["check", "--verify=off"], "--compare"),
        (&["check", "--verify=off"], "--config"),
        (&["mirror", "list", mirror, "--verify=off"], "--access-log"),
        (&["mirror", "list", mirror, "--verify=off"], "--ledger"),
        (&["report"], ""),
        (&["pack"], "--check"),
    ];
    for endless in [pipe.as_str(), "/dev/zero"] {
        for (call, option) in &calls {
            let mut line = call.to_vec();
            line.extend([*option, endless].iter().filter(|word| !word.is_empty()));
            let run = site.run(&line);
            assert!(matches!(run.code, Some(2 | 3)), "{run}");
            assert!(run.stderr.contains(endless), "{run}");
            assert!(run.stderr.contains("file"), "{run}");
        }
    }
    // One that ends, but not soon.
    let long = site.path("long");
    fs::File::create(&long).unwrap().set_len(65 << 20).unwrap();
    let run = site.run(&["check", "--verify=off", "--baseline", &long]);
    assert!(run.stderr.contains("longer than"), "{run}");
    run.expect_code(2);
    // What a project holds under the name of its configuration.
    fifo(&site.project.join("gocachevet.toml"));
    site.run(&["check", "--verify=off"]).expect_code(0);
}

#[test]
fn nothing_is_written_through_a_link_of_a_checkout() {
    let site = Site::new();
    let git = Command::new("git")
        .args(["init", "-q"])
        .current_dir(&site.project)
        .status();
    assert!(git.unwrap().success());
    let victim = site.aside.path().join("victim");
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("file"), "mine").unwrap();
    symlink(victim.join("file"), site.project.join("report.json")).unwrap();
    symlink(&victim, site.project.join("out")).unwrap();
    symlink(victim.join("not-yet"), site.project.join("dangling")).unwrap();
    // A repository behind the link does not make it one's own.
    fs::create_dir(victim.join(".git")).unwrap();
    let before = support::snapshot(&victim);
    let elsewhere = format!("json={}", site.project.join("report.json").display());
    for line in [
        &["check", "--verify=off", "--output=json=report.json"][..],
        &["check", "--verify=off", "--output=json=out/report.json"],
        &[
            "check",
            "--verify=off",
            "--output=json=./out/../out/report.json",
        ],
        &["check", "--verify=off", "--output=json=dangling"],
        &["check", "--verify=off", "--write-baseline=report.json"],
        &["trim", "--dry-run", "--output=markdown=out/file"],
        &["mark", "--state=out/mark"],
        &["pack", "-o", "out/bundle.tar"],
        &["pack", "-o", "out/bundle"],
    ] {
        let run = site.run(line).expect_code(3);
        assert!(
            run.stderr.contains("is a symbolic link in the project"),
            "{run}"
        );
    }
    // Wherever it is started.
    let run = site.caches.env.gocachevet().dir(site.aside.path());
    let project = site.project.to_str().unwrap();
    let run = run
        .args(["check", "--verify=off", "--project", project])
        .args(["--output", &elsewhere])
        .run();
    run.expect_code(3);
    assert_eq!(support::snapshot(&victim), before);

    // Files of the checkout, links that are none of its, and what is no file.
    let own = site.path("own");
    symlink(victim.join("file"), &own).unwrap();
    let outside = format!("--output=json={own}");
    let line = [
        "check",
        "--verify=off",
        "--output=json=plain.json",
        &outside,
        "--output=json=/dev/stderr",
        "--output=github=/dev/stdout",
        "--write-baseline=base.json",
    ];
    let run = site.run(&line).expect_code(0);
    assert!(run.stdout.contains("::notice title=gocachevet"), "{run}");
    for text in [
        run.stderr,
        fs::read_to_string(site.project.join("plain.json")).unwrap(),
        fs::read_to_string(victim.join("file")).unwrap(),
    ] {
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["schema"], "gocachevet.report/1");
    }
    assert!(site.project.join("base.json").is_file());
}

#[test]
fn a_cache_that_an_option_names_has_to_be_there() {
    let site = Site::new();
    let none = site.path("none");
    for option in ["--modcache", "--gocache"] {
        for command in [
            &["check"][..],
            &["trim", "--dry-run"],
            &["list"],
            &["trim", "--all", "--force"],
        ] {
            let mut line = command.to_vec();
            line.extend([option, &none]);
            let run = site.run(&line).expect_code(3);
            let said = format!("{none} ({option}) does not exist");
            assert!(run.stderr.contains(&said), "{run}");
        }
        // At the start of a job it may still come.
        site.run(&["mark", option, &none, "--state", &site.path("mark")])
            .expect_code(0);
    }
    let file = site.path("file");
    fs::write(&file, "").unwrap();
    let run = site.run(&["check", "--modcache", &file]).expect_code(3);
    assert!(run.stderr.contains("is not a folder"), "{run}");

    // Where Go would have it, it may come as well.
    let run = site.caches.env.gocachevet().dir(&site.project);
    let run = run
        .env("GOMODCACHE", &none)
        .args(["check", "--format=json"])
        .run();
    let report = run.expect_code(0).json();
    assert!(report["modcache"].is_null());
    let note = format!("no module cache: {none} (GOMODCACHE) does not exist");
    assert!(
        report["notes"].as_array().unwrap().contains(&note.into()),
        "{report:#}"
    );
}

#[test]
fn a_cold_cache_is_called_cold_and_no_limit_holds_that_nobody_set() {
    let mut env = support::GoEnv::new();
    let project = env.project(Project::Hello);
    for dir in [&env.modcache, &env.gocache] {
        fs::create_dir_all(dir).unwrap();
    }
    let temp = env.dir().to_owned();
    let run = |env: &support::GoEnv, args: &[&str]| {
        let run = env.gocachevet().dir(&project).env("TMPDIR", &temp);
        run.args(args).run()
    };
    run(&env, &["mark"]).expect_code(0);
    fs::remove_dir(&env.gocache).unwrap();
    env.with_std();
    env.go(&project, ["build", "./..."]);
    let check = ["check", "--format=json", "--verify=off"];
    let report = run(&env, &check).expect_code(0).json();
    assert_eq!(report["thresholds"].as_array().unwrap().len(), 0);
    let strict = [
        &check[..],
        &["--min-hit-rate=99%", "--min-gocache-hit-rate=warn=99%"],
    ]
    .concat();
    let report = run(&env, &strict).expect_code(0).json();
    assert_eq!(report["verdict"], "pass", "{report:#}");
    let cold = "cold: module cache and build cache held nothing at the mark (nothing was restored), so no hit rate is judged";
    assert!(
        report["notes"].as_array().unwrap().contains(&cold.into()),
        "{report:#}"
    );
    for format in ["text", "markdown"] {
        let shown = run(&env, &["check", "--verify=off", "--format", format]).stdout;
        // Lines are wrapped.
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(" cold ") && words.contains(cold), "{shown}");
    }

    // Warm, hardly used, and half a year old: nobody asked.
    run(&env, &["mark"]).expect_code(0);
    fs::write(
        project.join("new.go"),
        "package main

var changed = 1
",
    )
    .unwrap();
    env.go(&project, ["build", "./..."]);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(180 * 86_400);
    let entries = walkdir::WalkDir::new(&env.gocache).into_iter().flatten();
    for entry in entries
        .filter(|entry| entry.file_name().as_encoded_bytes().ends_with(b"-d"))
        .take(3)
    {
        fs::File::open(entry.path())
            .unwrap()
            .set_modified(old)
            .unwrap();
    }
    let report = run(&env, &check).expect_code(0).json();
    assert!(!rules(&report).contains(&"over-threshold"), "{report:#}");
    assert!(!report["notes"].to_string().contains("cold"), "{report:#}");
    assert_eq!(run(&env, &strict).expect_code(1).json()["verdict"], "fail");
}

#[test]
fn hostile_names_act_in_no_terminal() {
    let site = Site::new();
    let name = "evil\u{9b}31m\u{202e}gnp\x7f\x1b[2J##[group]";
    let tree = site.caches.modcache.join(DEPENDENCY);
    make_writable(&tree);
    fs::write(tree.join(name), "").unwrap();
    fs::write(site.caches.modcache.join("cache/download").join(name), "").unwrap();
    let acts = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{200b}'..='\u{202e}');
    let file = site.path("saved.json");
    let outputs = FORMATS.map(|format| format!("--output={format}={}", site.path(format)));
    let mut line = vec!["check", "--format=json", "--max-size=1GB"];
    line.extend(outputs.iter().map(String::as_str));
    let report = site.run(&line).expect_code(1).json();
    for format in FORMATS {
        let text = fs::read_to_string(site.path(format)).unwrap();
        assert!(!text.contains(acts), "{format}: {text:?}");
        assert!(!text.contains("##["), "{format}");
    }
    for line in [
        &["list", "-fjson", "--by=version"][..],
        &["list", "-fjson", "--why=gopkg.in/yaml.v3"],
    ] {
        assert!(!site.run(line).expect_code(0).stdout.contains(acts));
    }
    // The reader of the JSON gets the name that is there.
    let paths: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|it| it["path"].as_str())
        .collect();
    assert!(paths.iter().any(|path| path.ends_with(name)), "{paths:?}");

    // An error may quote what a checkout holds.
    site.configure("\"\\u001b[2J\\n::error::owned\\u009b\" = 1\n");
    let run = site.run(&["check"]).expect_code(2);
    assert!(run.stderr.contains("unknown key"), "{run}");
    assert!(!run.stderr.contains(acts), "{:?}", run.stderr);
    assert!(!run.stderr.contains("\n::"), "{run}");

    // A saved report can be anybody's.
    let mut saved = report;
    saved["thresholds"][0]["name"] = name.into();
    saved["verification"]["level"] = name.into();
    saved["tool"]["version"] = name.into();
    fs::write(&file, saved.to_string()).unwrap();
    for format in FORMATS {
        let run = gocachevet()
            .args(["report", &file, "--format", format])
            .run();
        assert_eq!(run.code, Some(1), "{run}");
        assert!(!run.stdout.contains(acts), "{format}: {:?}", run.stdout);
    }
}
