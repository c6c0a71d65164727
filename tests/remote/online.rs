//! `doctor --online` against proxies on loopback: one that serves a copy of the
//! real checksum database's answers, and some that disagree.

use std::fs;
use std::path::Path;

use crate::support::{self, GoEnv, LIB, Run, Scratch, Served, lib_proxy, serve};

/// Versions whose records the local proxy has.
const SOME: [&str; 4] = [
    "github.com/pkg/errors@v0.9.1",
    "github.com/google/uuid@v1.6.0",
    "golang.org/x/sync@v0.7.0",
    "github.com/BurntSushi/toml@v1.4.0",
];

/// The local proxy and its copy of the checksum database, over HTTP.
fn honest() -> (Served, String) {
    let (proxy, sumdb) = support::proxy();
    let folder = proxy.strip_prefix("file://").unwrap();
    (serve(Path::new(folder)), sumdb)
}

/// A cache of these versions, filled without a checksum database.
fn cache(modules: &[&str]) -> GoEnv {
    let env = GoEnv::new();
    env.download(modules);
    env
}

fn doctor(env: &GoEnv, vars: &[(&str, &str)], format: &str) -> Run {
    let mut command = env.gocachevet().env("GOTOOLCHAIN", "local").args([
        "doctor",
        "--online",
        "--timeout",
        "5s",
        "--format",
        format,
    ]);
    for (name, value) in vars {
        command = command.env(name, value);
    }
    command.run()
}

fn found(run: &Run, rule: &str) -> Vec<String> {
    let report = run.json();
    let findings = report["findings"].as_array().unwrap().iter();
    let found = findings.filter(|finding| finding["rule"] == rule);
    found
        .map(|finding| finding["message"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn records_that_the_cache_lacks_are_proven_through_the_proxy() {
    let (proxy, sumdb) = honest();
    let env = cache(&SOME);
    let before = support::snapshot(&env.modcache);
    let vars = [("GOPROXY", proxy.address.as_str()), ("GOSUMDB", &sumdb)];
    let run = doctor(&env, &vars, "json").expect_code(0);
    let notes = run.json()["notes"].to_string();
    assert!(
        notes.contains("of 4 records that the cache lacks, 4 are proven"),
        "{run}"
    );
    assert!(
        notes.contains("of 4 sampled versions, 4 are the same wherever they are"),
        "{run}"
    );
    for rule in ["sumdb-mismatch", "proxy-failed", "proxy-disagrees"] {
        assert_eq!(found(&run, rule), [""; 0], "{run}");
    }
    support::assert_untouched(&before, &env.modcache);
}

#[test]
fn the_database_contradicts_a_go_sum_that_was_edited() {
    let (proxy, sumdb) = honest();
    let env = cache(&SOME[..1]);
    let dir = env.dir().join("project");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("go.mod"), "module example.com/p\n\ngo 1.21\n").unwrap();
    let wrong = support::MODULES[0].1;
    // A version that is not cached, and of which go.sum has the go.mod alone, counts too.
    let lines =
        format!("github.com/pkg/errors v0.9.1 {wrong}\ngolang.org/x/sync v0.7.0/go.mod {wrong}\n");
    fs::write(dir.join("go.sum"), lines).unwrap();
    let run = env
        .gocachevet()
        .dir(&dir)
        .env("GOPROXY", &proxy.address)
        .env("GOSUMDB", &sumdb)
        .args(["doctor", "--online", "--format", "json"])
        .run()
        .expect_code(1);
    let said = found(&run, "sumdb-mismatch");
    for (line, what) in [(1, "module"), (2, "go.mod")] {
        let expected = format!("go.sum line {line}: not the hash of the {what} in the checksum");
        assert!(said.iter().any(|said| said.contains(&expected)), "{said:?}");
    }
}

#[test]
fn cached_toolchains_are_asked_about() {
    // What Go fetched to prove the toolchain, over HTTP.
    let database = serve(&support::toolchain_cache().join("cache/download"));
    let knows = format!("sum.golang.org {}/sumdb/sum.golang.org", database.address);
    let (proxy, knows_not) = honest();
    let env = GoEnv::new();
    support::copy_tree(&support::toolchain_cache(), &env.modcache);
    fs::remove_dir_all(env.modcache.join("cache/download/sumdb")).unwrap();
    for (sumdb, proven) in [(&knows, 1), (&knows_not, 0)] {
        let vars = [("GOPROXY", proxy.address.as_str()), ("GOSUMDB", sumdb)];
        let run = doctor(&env, &vars, "json").expect_code(1 - proven);
        let notes = run.json()["notes"].to_string();
        let expected = format!("of 1 records that the cache lacks, {proven} are proven");
        assert!(notes.contains(&expected), "{run}");
        let found = found(&run, "toolchain-unproven");
        assert_eq!(found.len(), usize::from(proven == 0), "{run}");
    }
}

#[test]
fn private_names_never_leave_the_machine() {
    let (proxy, sumdb) = honest();
    let env = cache(&SOME);
    let asked_for = |name: &str| {
        let asked = proxy.asked();
        asked.iter().filter(|path| path.contains(name)).count()
    };
    let vars = [
        ("GOPROXY", proxy.address.as_str()),
        ("GOSUMDB", sumdb.as_str()),
    ];
    let with = |more: &[(&str, &str)]| doctor(&env, &[&vars, more].concat(), "json");
    with(&[("GOPRIVATE", "github.com/pkg,golang.org")]).expect_code(0);
    assert_eq!((asked_for("pkg/errors"), asked_for("x/sync")), (0, 0));
    assert!(asked_for("google/uuid") > 0);

    // Kept from the database alone: a proxy may know it.
    let lookups = |name: &str| {
        let asked = proxy.asked();
        let lookups = asked.iter().filter(|path| path.contains("/lookup/"));
        lookups.filter(|path| path.contains(name)).count()
    };
    with(&[("GONOSUMDB", "github.com/pkg")]).expect_code(0);
    assert_eq!(lookups("pkg/errors"), 0);
    assert!(asked_for("pkg/errors@") == 0 && asked_for("pkg/errors/@v/") > 0);

    // Kept from proxies, through which the database is asked.
    let (proxy, _) = honest();
    let vars = [
        ("GOPROXY", proxy.address.as_str()),
        ("GOSUMDB", sumdb.as_str()),
        ("GONOPROXY", "github.com/pkg"),
    ];
    let run = doctor(&env, &vars, "json").expect_code(0);
    let asked = proxy.asked();
    assert!(
        !asked.is_empty() && asked.iter().all(|path| !path.contains("pkg/errors")),
        "{asked:?}"
    );
    let notes = run.json()["notes"].to_string();
    assert!(notes.contains("1 private module versions"), "{notes}");
}

#[test]
fn two_proxies_that_disagree_are_told_apart() {
    let scratch = Scratch::new();
    let served = |name: &str, source: &str| {
        let folder = scratch.path().join(name);
        lib_proxy(&folder, source, None);
        serve(&folder)
    };
    let ours = served("ours", "package lib\n");
    let same = served("same", "package lib\n");
    let theirs = served("theirs", "package lib // changed\n");
    let mut env = GoEnv::new();
    env.set("GOPROXY", &ours.address);
    env.download(&[&format!("{LIB}@v1.0.0")]);
    let ask = |list: String, format: &str| {
        doctor(&env, &[("GOPROXY", &list), ("GOSUMDB", "off")], format)
    };

    let agree = format!("{},{}", ours.address, same.address);
    let run = ask(agree, "json");
    assert_eq!(found(&run, "proxy-disagrees"), [""; 0], "{run}");
    let differ = format!("{},{}", ours.address, theirs.address);
    let run = ask(differ.clone(), "json").expect_code(1);
    let said = found(&run, "proxy-disagrees");
    assert!(
        said.len() == 1 && said[0].starts_with("proxy changed"),
        "{run}"
    );
    let row = &run.json()["drift"]["rows"][0];
    assert_eq!(
        row["says"][0]["by"],
        serde_json::json!(["this cache", ours.address])
    );
    assert_eq!(row["says"][1]["by"], serde_json::json!([theirs.address]));
    let run = ask(differ, "text");
    assert!(run.stdout.contains("Who says what"), "{run}");
}

#[test]
fn with_no_network_it_says_so_at_once() {
    let env = cache(&SOME[..1]);
    // Nobody listens there.
    let vars = [
        ("GOPROXY", "http://127.0.0.1:1"),
        ("GOSUMDB", "sum.golang.org http://127.0.0.1:1"),
    ];
    let run = doctor(&env, &vars, "json").expect_code(3);
    assert!(run.stderr.contains("--online: nothing answers"), "{run}");
    assert!(run.stderr.contains("HTTPS_PROXY"), "{run}");
    // Nor can anything be asked that is encrypted, without certificates.
    let vars = [
        ("GOPROXY", "https://127.0.0.1:1"),
        ("GOSUMDB", "off"),
        ("SSL_CERT_FILE", "/dev/null"),
    ];
    let run = doctor(&env, &vars, "json").expect_code(3);
    assert!(run.stderr.contains("No CA certificates"), "{run}");
    let (proxy, _) = honest();
    let vars = [("GOPROXY", proxy.address.as_str()), vars[1], vars[2]];
    doctor(&env, &vars, "json").expect_code(0);
    // One of two: a finding.
    let (proxy, sumdb) = honest();
    let list = format!("{},http://127.0.0.1:1", proxy.address);
    let vars = [("GOPROXY", list.as_str()), ("GOSUMDB", &sumdb)];
    let run = doctor(&env, &vars, "json").expect_code(0);
    assert_eq!(found(&run, "proxy-failed").len(), 1, "{run}");
}

#[test]
fn a_web_proxy_from_the_environment_is_used_and_exceptions_are_kept() {
    let (proxy, _) = honest();
    let env = cache(&SOME[..1]);
    let vars = [
        ("GOPROXY", "http://goproxy.test"),
        ("GOSUMDB", "off"),
        ("HTTP_PROXY", proxy.address.as_str()),
    ];
    doctor(&env, &vars, "json");
    let asked = proxy.asked();
    assert!(
        asked
            .iter()
            .all(|path| path.starts_with("http://goproxy.test/"))
            && !asked.is_empty(),
        "{asked:?}"
    );
    let (unused, _) = honest();
    let vars = [
        vars[0],
        vars[1],
        ("HTTP_PROXY", unused.address.as_str()),
        ("NO_PROXY", ".test"),
    ];
    doctor(&env, &vars, "json").expect_code(3);
    assert_eq!(unused.asked(), [""; 0]);
}
