//! What people read: every command's words on real caches, and those of each
//! kind of error. A change of words shows here, in `tests/snapshots/`.

// A test fails by panicking, here as well as in a `#[test]` function.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs;

use support::{Caches, Project, Run, build_cache, make_writable};

/// Compares what a run said, both ways, with its snapshot. Sizes, ages, counts of
/// the build cache and hashes are those of the installed Go.
fn told(name: &str, caches: &Caches, run: &Run) {
    let dir = caches.env.dir().to_str().unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (what, stands_for) in [
        (regex_of(dir).as_str(), "[DIR]"),
        (r"\b[0-9a-f]{64}\b", "[ID]"),
        (r"h1:[A-Za-z0-9+/]{43}=", "[H1]"),
        (r"\bgo1\.[0-9][.0-9a-z]*", "[GO]"),
        (r"GOROOT=\S+", "GOROOT=[GOROOT]"),
        (r" +used [0-9].*? ago", " used [TIME] ago"),
        (r": used \S+ ago", ": used [TIME] ago"),
        (r"(?s)The configuration .*? = allow\.\n", ""),
        (r"\(-[0-9.]+ [kM]?B", "(-[SIZE]"),
        (r"after [0-9-]{10} [0-9:]{5} UTC", "after [TIME]"),
        (r"gocachevet-[0-9a-f]{8}\.state", "gocachevet-[ID].state"),
        (
            r"marked .* build-cache entries \(.* set back\)",
            "marked [N] build-cache entries ([N] set back)",
        ),
        (r"(  (action entries|compiled packages)) .*", "$1 [N]"),
        (r" +-?[0-9][0-9.,]* (B|kB|MB|GB|TB)\b", " [SIZE]"),
        (r"\([0-9][0-9.,]* (B|kB|MB|GB|TB)\)", "([SIZE])"),
        (r"-[0-9.]+%", "-[SHARE]"),
        (r" +[0-9.]+%", " [SHARE]"),
        // As wide as the longest in its column.
        (r" {2,}[0-9.]+ (ms|s|min|h|d)\b", "  [TIME]"),
        (r"\b[0-9.]+ (ms|s|min|h|d)\b", "[TIME]"),
        (
            r"[0-9,]+ +(action entr|outputs?\b|build outputs?\b)",
            "[N] $1",
        ),
        (r" +\[N\] ", " [N] "),
    ] {
        settings.add_filter(what, stands_for);
    }
    let said = format!(
        "exit code {}\n--- stdout\n{}--- stderr\n{}",
        run.code.unwrap(),
        unwrapped(&run.stdout),
        run.stderr
    );
    settings.bind(|| insta::assert_snapshot!(name, said));
}

/// Notes in one line each: where they break depends on their figures.
fn unwrapped(text: &str) -> String {
    let mut out = String::new();
    let mut in_note = false;
    for line in text.lines() {
        match line.strip_prefix("      ") {
            Some(rest) if in_note => {
                out.pop();
                out.push(' ');
                out.push_str(rest);
            }
            _ => {
                in_note = line.starts_with("note: ");
                out.push_str(line);
            }
        }
        out.push('\n');
    }
    out
}

fn regex_of(text: &str) -> String {
    let escaped = |c: char| match c {
        c if c.is_alphanumeric() || c == '/' => c.to_string(),
        c => format!("\\{c}"),
    };
    text.chars().map(escaped).collect()
}

fn run(caches: &Caches, args: &[&str]) -> Run {
    let command = caches.env.gocachevet().dir(&caches.project);
    let command = command.env("TMPDIR", caches.env.dir());
    command
        .env("GOTOOLCHAIN", "local")
        .env("GOPROXY", "off")
        .env("GOSUMDB", "off")
        .args(args)
        .run()
}

#[test]
fn what_each_command_says() {
    let caches = build_cache(Project::Hello);
    let bundle = caches.env.dir().join("hello.tar");
    let bundle = bundle.to_str().unwrap();
    let report = caches.env.dir().join("report.json");
    let json = format!("json={}", report.display());
    // What the machine is like is no matter of words.
    let policy = caches.env.dir().join("policy.toml");
    let rules = ["disk-low", "no-access-times", "case-folding"];
    let rules = rules.map(|rule| format!("{rule} = \"allow\"\n")).concat();
    fs::write(&policy, format!("[rules]\n{rules}")).unwrap();
    let policy = policy.to_str().unwrap();
    for (name, args) in [
        ("check", vec!["check"]),
        (
            "check_with_limits",
            vec!["check", "--max-size", "1kB", "--output", &json],
        ),
        ("mark", vec!["mark"]),
        ("trim_residue", vec!["trim"]),
        ("list", vec!["list", "--top", "3"]),
        (
            "list_why",
            vec!["list", "--why", "github.com/cespare/xxhash/v2"],
        ),
        ("doctor", vec!["doctor", "--config", policy]),
        ("pack", vec!["pack", "-o", bundle]),
        ("pack_check", vec!["pack", "--check", bundle]),
        ("explain", vec!["explain", "lone-lock"]),
        ("report", vec!["report", report.to_str().unwrap()]),
    ] {
        told(name, &caches, &run(&caches, &args));
    }
    caches.build_offline();
    let planned = run(&caches, &["trim", "--unused", "--grace", "0", "--dry-run"]);
    told("trim_unused", &caches, &planned);
}

#[test]
fn what_a_damaged_cache_is_told() {
    let caches = build_cache(Project::Hello);
    let tree = caches.modcache.join("github.com/cespare/xxhash/v2@v2.3.0");
    make_writable(&tree);
    fs::write(tree.join("xxhash.go"), "package xxhash\n").unwrap();
    told("check_damaged", &caches, &run(&caches, &["check"]));
}

#[test]
fn what_each_kind_of_error_says() {
    let caches = build_cache(Project::Hello);
    let file = caches.env.dir().join("wrong.toml");
    fs::write(&file, "max-sise = \"1GB\"\n").unwrap();
    let wrong = file.to_str().unwrap();
    let absent = caches.env.dir().join("absent");
    let absent = absent.to_str().unwrap();
    let json = format!("json={absent}/report.json");
    for (name, args) in [
        ("error_usage", vec!["check", "--unused"]),
        ("error_value", vec!["check", "--max-size", "much"]),
        ("error_together", vec!["check", "--sandbox", "--record"]),
        ("error_configuration", vec!["check", "--config", wrong]),
        ("error_no_cache", vec!["check", "--modcache", absent]),
        ("error_input", vec!["report", wrong]),
        ("error_no_file", vec!["report", absent]),
        ("error_output", vec!["check", "--output", &json]),
        ("error_rule", vec!["explain", "lone-look"]),
    ] {
        told(name, &caches, &run(&caches, &args));
    }
}
