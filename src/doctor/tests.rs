use super::situation::{Space, SumLines};
use super::*;
use crate::findings::Rule;
use crate::formats::module::ModuleVersion;
use crate::locate::{LocateError, go_settings};
use crate::settings::Environment;
use std::path::{Path, PathBuf};

/// Settings from a real env file and these variables; no Go installed.
fn settings(vars: &[(&str, &str)], env_file: &str) -> Situation {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("env");
    std::fs::write(&file, env_file).unwrap();
    let file = file.to_str().unwrap();
    let fixed = [("HOME", "/h"), ("GOENV", file), ("GOROOT", "/none")];
    let environment = Environment {
        vars: fixed
            .iter()
            .chain(vars)
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
        cwd: "/work".into(),
        os: "linux".to_owned(),
        ..Environment::default()
    };
    Situation {
        go: go_settings(&environment),
        environment,
        ..Situation::default()
    }
}

fn modules(names: &[&str]) -> Vec<ModuleVersion> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// `rule subject`, one each.
fn found(situation: &Situation) -> Vec<String> {
    let findings = diagnose(situation);
    for finding in &findings {
        assert!(!finding.message.is_empty() && !finding.help.is_empty());
    }
    findings
        .iter()
        .map(|finding| format!("{} {}", finding.rule, finding.subject))
        .collect()
}

fn one(situation: &Situation, rule: Rule) -> Finding {
    let mut findings = diagnose(situation);
    findings.retain(|finding| finding.rule == rule);
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0)
}

#[test]
fn settings_are_diagnosed() {
    for (vars, env_file, expected) in [
        // Nothing set, or what Go does by default: nothing to say.
        (&[][..], "", &[][..]),
        (
            &[
                ("GOPROXY", "https://proxy.golang.org,direct"),
                ("GOSUMDB", "sum.golang.org"),
            ],
            "",
            &[],
        ),
        (&[("GOPROXY", "off")], "", &[]),
        (&[("GOPROXY", "https://p.corp.internal")], "", &[]),
        // The chain.
        (
            &[("GOPROXY", "direct,https://p.example")],
            "",
            &["proxy-unreached GOPROXY"],
        ),
        (
            &[("GOPROXY", "https://p.example,off,direct")],
            "",
            &["proxy-unreached GOPROXY"],
        ),
        (
            &[],
            "GOPROXY=direct,https://p.example\n",
            &["proxy-unreached GOPROXY"],
        ),
        (
            &[("GOPROXY", "https://p.example|direct")],
            "",
            &["proxy-fallback GOPROXY"],
        ),
        (
            &[("GOPROXY", "https://p.example, https://q.example,direct")],
            "",
            &["proxy-mixed GOPROXY"],
        ),
        (
            &[("GOPROXY", "https://p.example|https://q.example")],
            "",
            &["proxy-fallback GOPROXY", "proxy-mixed GOPROXY"],
        ),
        (&[("GOPROXY", " , ")], "", &["setting-invalid GOPROXY"]),
        // The environment wins over the file.
        (
            &[("GOPROXY", "https://p.example,direct")],
            "GOPROXY=direct,off\n",
            &[],
        ),
        // The checksum database.
        (&[("GOSUMDB", "off")], "", &["sumdb-off GOSUMDB"]),
        (&[], "GOSUMDB=off\n", &["sumdb-off GOSUMDB"]),
        (
            &[("GOSUMDB", "sum.example.org")],
            "",
            &["setting-invalid GOSUMDB"],
        ),
        (&[("GONOSUMDB", "*")], "", &["sumdb-skipped GONOSUMDB"]),
        (
            &[("GONOSUMDB", "github.com/*")],
            "",
            &["sumdb-skipped GONOSUMDB"],
        ),
        (
            &[("GOPRIVATE", "corp.example,github.com")],
            "",
            &["sumdb-skipped GOPRIVATE"],
        ),
        (&[("GOPRIVATE", "corp.example,github.com/acme")], "", &[]),
        (
            &[("GOINSECURE", "git.corp.example")],
            "",
            &["sumdb-skipped GOINSECURE"],
        ),
        // One half of GOPRIVATE without the other.
        (
            &[
                ("GONOSUMDB", "corp.example"),
                ("GOPROXY", "https://proxy.golang.org,direct"),
            ],
            "",
            &["private-exposed corp.example"],
        ),
        (
            &[
                ("GONOSUMDB", "corp.example"),
                ("GOPROXY", "https://p.corp.example"),
            ],
            "",
            &[],
        ),
        // What does nothing.
        (
            &[("GONOSUMCHECK", "1")],
            "",
            &["setting-ignored GONOSUMCHECK"],
        ),
        (&[], "GONOSUMCHECK=1\n", &["setting-ignored GONOSUMCHECK"]),
        (
            &[("GO15VENDOREXPERIMENT", "1")],
            "",
            &["setting-ignored GO15VENDOREXPERIMENT"],
        ),
        // Flags.
        (&[("GOFLAGS", "-mod=mod")], "", &[]),
        (
            &[("GOFLAGS", "-mod=mod"), ("CI", "true")],
            "",
            &["mod-mod-in-ci GOFLAGS"],
        ),
        (
            &[("GITLAB_CI", "true")],
            "GOFLAGS=-trimpath --mod=mod\n",
            &["mod-mod-in-ci GOFLAGS"],
        ),
        (&[("GOFLAGS", "-mod=mod"), ("CI", "false")], "", &[]),
        (&[("GOFLAGS", "-mod=readonly"), ("CI", "1")], "", &[]),
        (
            &[("GOFLAGS", "-modcacherw")],
            "",
            &["modcache-writable GOFLAGS"],
        ),
        (&[("GOFLAGS", "-tags='a")], "", &[]),
        (&[("GOFLAGS", "'-tags=a")], "", &["setting-invalid GOFLAGS"]),
    ] {
        assert_eq!(
            found(&settings(vars, env_file)),
            expected,
            "{vars:?} {env_file:?}"
        );
    }
}

#[test]
fn a_diagnosis_has_evidence_harm_and_remedy() {
    let situation = settings(&[], "GOPROXY=direct,https://user:secret@p.example/go\n");
    let file = situation.go.env_file.clone().unwrap();
    let finding = one(&situation, Rule::ProxyUnreached);
    assert!(
        finding
            .message
            .contains(&format!("from {}", file.display()))
    );
    assert!(
        finding
            .message
            .contains("`https://p.example/go` is never asked")
    );
    insta::assert_snapshot!(one(&settings(&[("GOPROXY", "https://p.example|direct")], ""), Rule::ProxyFallback).help, @r"Separate with commas, which go on only where a module is not found: `export GOPROXY=https://p.example,direct`");
    insta::assert_snapshot!(one(&settings(&[("GOSUMDB", "off")], ""), Rule::SumdbOff).message, @r"GOSUMDB=off (from the environment): the first download of a version is trusted blindly (here: no module version so far); and Go cannot switch toolchains, which it verifies by the database alone");
    insta::assert_snapshot!(one(&settings(&[("GOPRIVATE", "a.example,*")], ""), Rule::SumdbSkipped).help, @r"Keep the narrow patterns: `export GOPRIVATE=a.example`");
}

#[test]
fn passwords_in_a_proxy_s_address_are_not_shown() {
    for value in [
        "direct,https://user:secret@p.example/go",
        "https://user:secret@p.example|direct",
        "https://user:secret@p.example,https://q.example",
    ] {
        for finding in diagnose(&settings(&[("GOPROXY", value)], "")) {
            let text = format!("{finding:?}");
            assert!(!text.contains("secret"), "{text}");
        }
    }
}

#[test]
fn refused_caches_are_explained() {
    let mut situation = settings(&[("GOCACHE", "off")], "");
    situation.refused = Some(LocateError::GocacheOff);
    let finding = one(&situation, Rule::SettingInvalid);
    insta::assert_snapshot!(finding.message, @r"GOCACHE=off (from the environment): no build runs; the build cache cannot be switched off since Go 1.12, whatever older advice says");

    let mut situation = settings(&[("GOMODCACHE", "mc")], "");
    situation.refused = Some(LocateError::RelativeModCache("mc".into()));
    assert_eq!(one(&situation, Rule::SettingInvalid).subject, "GOMODCACHE");
}

#[test]
fn a_cache_filled_from_clones_and_proxies_is_told_by_its_clones() {
    const CLONE: &str = "git3:https://github.com/a/lib.git";
    for (vars, clones, expected) in [
        (
            &[("GOPROXY", "https://p.example,direct")][..],
            &[CLONE][..],
            true,
        ),
        (&[("GOPROXY", "https://p.example,direct")], &[], false),
        // Of something else.
        (
            &[("GOPROXY", "https://p.example")],
            &["git3:https://github.com/a/other"],
            false,
        ),
        // Clones are how it is meant to be.
        (&[("GOPROXY", "direct")], &[CLONE], false),
        (
            &[
                ("GOPROXY", "https://p.example,direct"),
                ("GOPRIVATE", "github.com/a"),
            ],
            &[CLONE],
            false,
        ),
    ] {
        let mut situation = settings(vars, "");
        situation.cached = modules(&["github.com/a/lib/sub@v1.0.0", "github.com/b/c@v1.0.0"]);
        situation.clones = clones.iter().map(|&clone| clone.to_owned()).collect();
        let mut findings = diagnose(&situation);
        findings.retain(|finding| finding.rule == Rule::ProxyMixed);
        let told = findings
            .iter()
            .any(|finding| finding.message.contains("github.com/a/lib/sub@v1.0.0"));
        assert_eq!(told, expected, "{vars:?} {clones:?}: {findings:?}");
    }
}

#[test]
fn private_modules_that_leak_are_named() {
    const PUBLIC: (&str, &str) = ("GOPROXY", "https://proxy.golang.org,direct");
    let project = |module: &str| ProjectSite {
        module: Some(module.to_owned()),
        ..ProjectSite::default()
    };
    for (vars, module, cached, clones, expected) in [
        // On a host that no public name server knows.
        (
            &[PUBLIC][..],
            "example.com/m",
            &["git.acme.internal/lib@v1.0.0"][..],
            &[][..],
            &["git.acme.internal"][..],
        ),
        (
            &[PUBLIC],
            "example.com/m",
            &["10.0.0.7/lib@v1.0.0"],
            &[],
            &["10.0.0.7"],
        ),
        // On the project's own host.
        (
            &[PUBLIC],
            "git.acme.io/m",
            &["git.acme.io/lib@v1.0.0", "git.acme.io/x@v1.0.0"],
            &[],
            &["git.acme.io"],
        ),
        (
            &[PUBLIC],
            "github.com/acme/m",
            &["github.com/pkg/errors@v0.9.1"],
            &[],
            &[],
        ),
        (
            &[PUBLIC],
            "example.com/m",
            &["example.com/lib@v1.0.0"],
            &[],
            &[],
        ),
        // Fetched without a proxy, though nothing says that it is private.
        (
            &[PUBLIC],
            "github.com/acme/m",
            &[
                "github.com/acme/lib/v2@v2.0.0",
                "github.com/acme/library@v1.0.0",
            ],
            &["git3:https://github.com/acme/lib.git"],
            &["github.com/acme"],
        ),
        // Covered, or nobody outside is asked.
        (
            &[PUBLIC, ("GOPRIVATE", "*.internal")],
            "example.com/m",
            &["git.acme.internal/lib@v1.0.0"],
            &[],
            &[],
        ),
        (
            &[
                ("GOPROXY", "https://p.acme.internal"),
                ("GOSUMDB", "off"),
                ("GOTOOLCHAIN", "local"),
            ],
            "example.com/m",
            &["git.acme.internal/lib@v1.0.0"],
            &[],
            &[],
        ),
        // The proxy is one's own, but the checksum database is not.
        (
            &[("GOPROXY", "https://p.acme.internal")],
            "example.com/m",
            &["git.acme.internal/lib@v1.0.0"],
            &[],
            &["git.acme.internal"],
        ),
    ] {
        let mut situation = settings(vars, "");
        situation.projects = vec![project(module)];
        situation.cached = modules(cached);
        situation.clones = clones.iter().map(|&clone| clone.to_owned()).collect();
        let mut findings = diagnose(&situation);
        findings.retain(|finding| finding.rule == Rule::PrivateExposed);
        let subjects: Vec<_> = findings
            .iter()
            .map(|finding| finding.subject.as_str())
            .collect();
        assert_eq!(subjects, expected, "{vars:?} {cached:?}");
    }
    let mut situation = settings(&[PUBLIC, ("GOPRIVATE", "a.example")], "");
    situation.cached = modules(&["git.acme.internal/lib@v1.0.0"]);
    let finding = one(&situation, Rule::PrivateExposed);
    assert_eq!(
        finding.help,
        "Name what is private: `export GOPRIVATE=a.example,git.acme.internal`"
    );
    insta::assert_snapshot!(finding.message, @r"1 module version (git.acme.internal/lib@v1.0.0), on a host that only a private network knows, not covered by GOPRIVATE=a.example (from the environment): their names go to the public proxy https://proxy.golang.org, and a look-up there fails or finds a stranger's module of that name");
}

fn site(path: &str) -> Option<CacheSite> {
    Some(CacheSite {
        path: path.into(),
        ..CacheSite::default()
    })
}

#[test]
fn caches_in_bad_places_are_found() {
    for (modcache, gocache, expected) in [
        ("/c/mod", "/c/build", &[][..]),
        ("/c", "/c", &["cache-overlap GOCACHE"]),
        ("/c", "/c/build", &["cache-overlap GOCACHE"]),
        ("/c/mod", "/c", &["cache-overlap GOMODCACHE"]),
        ("/c", "/cc", &[]),
        ("/p/mod", "/c", &["cache-in-workspace GOMODCACHE"]),
        (
            "/p/a/mod",
            "/p/b",
            &[
                "cache-in-workspace GOMODCACHE",
                "cache-in-workspace GOCACHE",
            ],
        ),
        ("/p/.cache/mod", "/p/_build", &[]),
        ("/p/testdata/mod", "/p/vendor/x", &[]),
        ("/p/ignored/mod", "/p/x/deep", &[]),
        ("/p", "/c", &[]),
    ] {
        let mut situation = settings(&[], "");
        (situation.modcache, situation.gocache) = (site(modcache), site(gocache));
        situation.projects = vec![ProjectSite {
            dir: "/p".into(),
            ignored_by_go: vec!["./ignored".to_owned(), "deep".to_owned()],
            ..ProjectSite::default()
        }];
        assert_eq!(found(&situation), expected, "{modcache} {gocache}");
    }
    let mut situation = settings(&[], "");
    situation.modcache = site("/p/.cache/mod");
    situation.projects = vec![ProjectSite {
        dir: "/p".into(),
        seen_by_git: vec![PathBuf::from("/p/.cache/mod")],
        ..ProjectSite::default()
    }];
    insta::assert_snapshot!(one(&situation, Rule::CacheInWorkspace).message, @r"the module cache lies in the project /p: git does not ignore it, so that it is listed, stashed and perhaps committed");
}

#[test]
fn the_file_systems_say_what_they_do() {
    const GIB: u64 = 1 << 30;
    let space = |free_bytes, files, free_files| {
        Some(Space {
            bytes: 100 * GIB,
            free_bytes,
            files,
            free_files,
        })
    };
    let sites = [
        (
            CacheSite {
                owner_and_user: Some((0, 0)),
                writable: Some(true),
                ..CacheSite::default()
            },
            &[][..],
        ),
        (
            CacheSite {
                owner_and_user: Some((0, 1000)),
                ..CacheSite::default()
            },
            &["cache-owner module cache"],
        ),
        (
            CacheSite {
                writable: Some(false),
                ..CacheSite::default()
            },
            &["cache-owner module cache"],
        ),
        // Go makes its folders before it builds.
        (
            CacheSite {
                writable: Some(false),
                lacks_folders: true,
                ..CacheSite::default()
            },
            &["cache-unwritable module cache"],
        ),
        (
            CacheSite {
                space: space(2 * GIB, 0, 0),
                ..CacheSite::default()
            },
            &[],
        ),
        (
            CacheSite {
                space: space(GIB - 1, 0, 0),
                ..CacheSite::default()
            },
            &["disk-low module cache"],
        ),
        (
            CacheSite {
                space: space(50 * GIB, 1_000_000, 9_999),
                ..CacheSite::default()
            },
            &["disk-low module cache"],
        ),
        (
            CacheSite {
                folds_case: Some(true),
                ..CacheSite::default()
            },
            &["case-folding module cache"],
        ),
        (
            CacheSite {
                folds_case: Some(false),
                ..CacheSite::default()
            },
            &[],
        ),
        (
            CacheSite {
                no_access_times: true,
                ..CacheSite::default()
            },
            &["no-access-times module cache"],
        ),
    ];
    for (site, expected) in sites {
        let mut situation = settings(&[], "");
        situation.modcache = Some(CacheSite {
            path: "/c".into(),
            ..site.clone()
        });
        assert_eq!(found(&situation), expected, "{site:?}");
    }
}

/// A remedy is one where the setting is made: what the environment says only
/// the environment can take back.
#[test]
fn remedies_work_where_a_setting_is_made() {
    for (vars, env_file, rule, command) in [
        (
            &[("GOSUMDB", "off")][..],
            "",
            Rule::SumdbOff,
            "`unset GOSUMDB`",
        ),
        (&[], "GOSUMDB=off\n", Rule::SumdbOff, "`go env -u GOSUMDB`"),
        (
            &[("GOPROXY", "direct,https://p.example")],
            "",
            Rule::ProxyUnreached,
            "`export GOPROXY=https://p.example,direct`",
        ),
        (
            &[],
            "GOPROXY=direct,https://p.example\n",
            Rule::ProxyUnreached,
            "`go env -w GOPROXY=https://p.example,direct`",
        ),
        // A command that would lose the login is none.
        (
            &[("GOPROXY", "direct,https://user:secret@p.example")],
            "",
            Rule::ProxyUnreached,
            "in GOPROXY, with the logins as they are",
        ),
        (
            &[("CI", "true"), ("GOFLAGS", "-mod=mod '-ldflags=-s -w'")],
            "",
            Rule::ModModInCi,
            "`export GOFLAGS='-ldflags=-s -w'`",
        ),
        (
            &[],
            "GONOSUMCHECK=1\n",
            Rule::SettingIgnored,
            "`sed -i.old ",
        ),
    ] {
        let help = one(&settings(vars, env_file), rule).help;
        assert!(help.contains(command), "{vars:?} {env_file:?}: {help}");
    }
    // Only root may give files away.
    for (owner_and_user, has_chown) in [((1000, 0), true), ((0, 1000), false), ((1, 2), false)] {
        let mut situation = settings(&[], "");
        situation.gocache = Some(CacheSite {
            path: "/c".into(),
            owner_and_user: Some(owner_and_user),
            ..CacheSite::default()
        });
        let help = one(&situation, Rule::CacheOwner).help;
        assert_eq!(help.contains("`chown"), has_chown, "{help}");
    }
}

#[test]
fn room_for_what_is_still_to_be_fetched_is_asked_for() {
    const GIB: u64 = 1 << 30;
    for (free_bytes, to_download, go, low) in [
        (2 * GIB, 0, "go1.24.0", false),
        (2 * GIB, 200, "go1.24.0", false),
        (2 * GIB, 2_000, "go1.24.0", true),
        (GIB + 100_000_000, 0, "go1.99.0", true),
    ] {
        let mut situation = settings(&[], "");
        situation.installed = Some("go1.24.0".to_owned());
        situation.version_bytes = Some(1_000_000);
        situation.projects = vec![ProjectSite {
            to_download,
            toolchains: vec![go.to_owned()],
            ..ProjectSite::default()
        }];
        situation.modcache = Some(CacheSite {
            path: "/c".into(),
            space: Some(Space {
                bytes: 100 * GIB,
                free_bytes,
                files: 0,
                free_files: 0,
            }),
            ..CacheSite::default()
        });
        let found = found(&situation);
        let told = found.contains(&"disk-low module cache".to_owned());
        assert_eq!(told, low, "{free_bytes} {to_download} {go}");
    }
}

#[test]
fn a_restore_over_a_filled_cache_is_foreseen_in_ci_only() {
    for (vars, filled, expected) in [
        (&[("CI", "true")][..], true, 1),
        (&[("CI", "true")], false, 0),
        (&[], true, 0),
    ] {
        let mut situation = settings(vars, "");
        situation.modcache = Some(CacheSite {
            path: "/c".into(),
            filled,
            ..CacheSite::default()
        });
        situation.cached = modules(&["github.com/pkg/errors@v0.9.1"]);
        assert_eq!(found(&situation).len(), expected, "{vars:?} {filled}");
    }
}

#[test]
fn toolchains_are_weighed_and_switches_foreseen() {
    for (installed, setting, wanted, expected) in [
        ("go1.26.8", "auto", &["go1.24.1"][..], &[][..]),
        (
            "go1.24.1",
            "auto",
            &["go1.24.1", "go1.26.0"],
            &["toolchain-switch go1.26.0"],
        ),
        (
            "go1.24.1",
            "local",
            &["go1.26.0"],
            &["toolchain-switch go1.26.0"],
        ),
        (
            "go1.24.1",
            "go1.25.0",
            &["go1.24.1"],
            &["toolchain-switch go1.25.0"],
        ),
        (
            "go1.24.1",
            "go1.25.0+auto",
            &[],
            &["toolchain-switch go1.25.0"],
        ),
        ("go1.25.0", "go1.25.0", &[], &[]),
    ] {
        let mut situation = settings(&[("GOTOOLCHAIN", setting)], "");
        situation.installed = Some(installed.to_owned());
        situation.projects = vec![ProjectSite {
            dir: "/p".into(),
            toolchains: wanted.iter().map(|&name| name.to_owned()).collect(),
            ..ProjectSite::default()
        }];
        assert_eq!(
            found(&situation),
            expected,
            "{installed} {setting} {wanted:?}"
        );
    }
    let mut situation = settings(&[], "");
    situation.toolchains = situation::Toolchains {
        names: vec!["go1.24.1.linux-amd64".to_owned()],
        bytes: 300 << 20,
        of_bytes: 500 << 20,
    };
    insta::assert_snapshot!(one(&situation, Rule::ToolchainDownload).message, @r"the module cache holds 1 Go toolchain (go1.24.1.linux-amd64): 315 MB of 524 MB, more than half of it; each is saved and restored with the cache");
}

#[test]
fn go_sum_is_held_against_the_graph() {
    let mut situation = settings(&[], "");
    situation.projects = vec![ProjectSite {
        dir: "/p".into(),
        module: Some("example.com/p".to_owned()),
        sum_lines: Some(SumLines {
            missing: modules(&["a.example/m@v1.0.0"]),
            unused: modules(&[
                "b.example/m@v1.0.0",
                "b.example/m@v1.1.0",
                "c.example/m@v1.0.0",
            ]),
        }),
        ..ProjectSite::default()
    }];
    assert_eq!(
        found(&situation),
        [
            "go-sum-missing example.com/p",
            "go-sum-unused example.com/p"
        ]
    );
    insta::assert_snapshot!(one(&situation, Rule::GoSumUnused).message, @r"go.sum lists 3 module versions (b.example/m@v1.0.0, b.example/m@v1.1.0 and 1 more), which the module graph does not know: they keep old versions alive in the cache");
}

#[test]
fn a_workspace_has_sums_of_its_own() {
    let mut situation = settings(&[], "");
    situation.workspaces = vec![situation::WorkspaceSite {
        file: "/w/go.work".into(),
        sum_lines: SumLines {
            missing: modules(&["a.example/m@v1.0.0"]),
            unused: modules(&["b.example/m@v1.0.0"]),
        },
    }];
    assert_eq!(
        found(&situation),
        ["go-sum-missing /w/go.work", "go-sum-unused /w/go.work"]
    );
    let finding = one(&situation, Rule::GoSumUnused);
    assert_eq!(finding.path.as_deref(), Some("/w/go.work.sum"));
}

#[test]
fn the_machine_is_looked_at_without_being_touched() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    let project = root.join("project");
    let make = |file: &Path, content: &str| {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    };
    make(
        &project.join("go.mod"),
        "module example.com/p\n\ngo 1.21\n\nignore ./skipped\n",
    );
    make(&project.join(".git/HEAD"), "");
    make(&project.join(".gitignore"), "/build-cache/\n");
    make(&project.join("mod/cache/lock"), "");
    make(&project.join("build-cache/README"), "");
    let environment = Environment {
        vars: [("HOME", "/none"), ("GOENV", "off"), ("GOROOT", "/none")]
            .iter()
            .map(|(key, value)| (key.into(), value.into()))
            .collect(),
        cwd: project.clone(),
        os: std::env::consts::OS.to_owned(),
        ..Environment::default()
    };
    let mut options = crate::settings::Options::default();
    options.caches.modcache = Some(project.join("mod"));
    options.caches.gocache = Some(project.join("build-cache"));
    let gathered = gather(&environment, &options, 1).unwrap();
    let situation = gathered.situation;
    let modcache = situation.modcache.as_ref().unwrap();
    assert!(modcache.filled);
    assert_eq!(modcache.writable, Some(true));
    assert!(modcache.space.is_some_and(|space| space.bytes > 0));
    assert_eq!(situation.projects[0].ignored_by_go, ["./skipped"]);
    assert_eq!(situation.projects[0].seen_by_git, [project.join("mod")]);
    let findings = diagnose(&situation);
    let places = findings
        .iter()
        .filter(|finding| finding.rule == Rule::CacheInWorkspace)
        .count();
    assert_eq!(places, 2);
}
