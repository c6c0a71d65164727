//! What people read, as they read it.

use super::*;
use crate::findings::{Finding, Level, Rule};
use crate::report::Report;

#[test]
fn json_comes_back_as_it_was() {
    for report in [testing::clean(), testing::findings(), testing::trimmed()] {
        let text = json(&report);
        assert!(text.ends_with("}\n"));
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
    }
}

#[test]
fn text_of_a_clean_cache() {
    insta::assert_snapshot!(text(&testing::clean(), false), @r#"
    PASS  Nothing to complain about; 3.38 GB in two caches

    Caches
      Module cache  /root/go/pkg/mod       3.12 GB   used 2 h to 34 d ago  231 versions of 180 modules
      Build cache   /root/.cache/go-build   260 MB  used 5 min to 4 d ago  1,795 action entries, 751 outputs

    Verified  full
      231 versions and 751 build outputs in 1.4 s, 2.90 GB hashed, none failed
      2.86 GB of modules proven; versions by go.sum 228
      258 MB of build outputs consistent (content equals name), which proves nothing
      3 versions unproven (2.00 MB): nothing outside the cache vouches for them
    "#);
}

#[test]
fn what_fuzzing_found_is_told() {
    let mut report = testing::findings();
    if let Some(cache) = &mut report.buildcache {
        cache.fuzz_bytes = 5_000_000;
    }
    for told in [text(&report, false), markdown(&report)] {
        assert!(told.contains("5.00 MB found by fuzzing"), "{told}");
    }
}

#[test]
fn text_of_findings() {
    insta::assert_snapshot!(text(&testing::findings(), false), @r#"
    FAIL  2 denied, 1 warning, 12 notes; 3.38 GB in two caches

    Findings
      deny zip-hash-mismatch
        github.com/pkg/errors@v0.9.1
          the zip differs from go.sum; the extracted tree agrees with go.sum, so the zip is damaged or
          was replaced
          expected h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=
          found    h1:AAAAx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=
          in /root/go/pkg/mod/cache/download/github.com/pkg/errors/@v/v0.9.1.zip
        → Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the
          source of the module changed.

      deny over-threshold
        max-size
          both caches hold 3.38 GB, more than 2.00 GB
        → Run `gocachevet trim --unused`.

      warn unexpected-file
        cache/download/\u{1b}[31m<img src=x>|`@octocat`\n::error::owned
          Go never writes this
          in /root/go/pkg/mod/cache/download/\u{1b}[31m<img src=x>|`@octocat`\n::error::owned
        → Go never writes this; look at it, then remove it by hand.

      note lone-lock (12)
        a lock with nothing beside it
        example.com/gone0@v1.0.0
        example.com/gone1@v1.0.0
        example.com/gone2@v1.0.0
        example.com/gone3@v1.0.0
        example.com/gone4@v1.0.0
        example.com/gone5@v1.0.0
        example.com/gone6@v1.0.0
        example.com/gone7@v1.0.0
        example.com/gone8@v1.0.0
        example.com/gone9@v1.0.0
        example.com/gone10@v1.0.0
        example.com/gone11@v1.0.0
        → Nothing to do: a lock stays for good, after a lookup that failed and after a trim alike.

    Limits
      fail  max-size        3.38 GB  of 2.00 GB
      warn  max-age            34 d  of 30 d
      ok    min-hit-rate      97.2%  of 92.0%
      ok    max-growth    not known  of 500 MB

    Caches
      Module cache  /root/go/pkg/mod       3.12 GB   used 2 h to 34 d ago  231 versions of 180 modules
      Build cache   /root/.cache/go-build   260 MB  used 5 min to 4 d ago  1,795 action entries, 751 outputs

    Verified  full
      231 versions and 751 build outputs in 1.4 s, 2.90 GB hashed, 2 failed
      2.86 GB of modules proven; versions by go.sum 228
      258 MB of build outputs consistent (content equals name), which proves nothing
      3 versions unproven (2.00 MB): nothing outside the cache vouches for them

    Used by this job  since the mark 9 min ago
                            hit rate   hits  misses  rewritten           idle
      module versions          98.3%    118       2                       113
      action entries           97.1%  1,512      45          1  238 (41.0 MB)
      compiled packages        97.8%    402       9
      tests (cached / run)     93.9%     31       2

    Trend  ▇██  3.02 GB → 3.38 GB, hit rate 41.0% → 97.2%

    note: 1 finding silenced by the configuration, 0 known to the baseline.
    note: Policy: /src/app/gocachevet.toml
    note: `max-growth` passed unmeasured: there is no mark.
    "#);
}

#[test]
fn text_of_a_doctor() {
    insta::assert_snapshot!(text(&testing::doctor(), false), @r#"
    PASS  Nothing to complain about

    Go's settings
      GOMODCACHE=/root/go/pkg/mod  (Go's default)
        modules are downloaded and extracted here; Go itself removes nothing but all of it
      GOSUMDB=off  (from the environment)
        nothing but go.sum vouches for a module
    "#);
}

#[test]
fn text_of_a_trim() {
    insta::assert_snapshot!(text(&testing::trimmed(), false), @r#"
    WARN  1 not removed; 3.38 GB in two caches

    Removed
      2  module version   541 MB  unused
      1  residue         4.10 kB  residue
      1  action entry      152 B  max-age: 31 d

    Not removed
      github.com/aws/aws-sdk-go@v1.41.0
        busy: another process holds its lock

    Stayed
        229  module version  a project needs it
      1,794  action entry    idle-runs: a marked job used it

    Size changed 3.38 GB → 3.11 GB (-270 MB, -7.99%)

    Caches
      Module cache  /root/go/pkg/mod       3.12 GB   used 2 h to 34 d ago  231 versions of 180 modules
      Build cache   /root/.cache/go-build   260 MB  used 5 min to 4 d ago  1,795 action entries, 751 outputs

    Verified  full
      231 versions and 751 build outputs in 1.4 s, 2.90 GB hashed, none failed
      2.86 GB of modules proven; versions by go.sum 228
      258 MB of build outputs consistent (content equals name), which proves nothing
      3 versions unproven (2.00 MB): nothing outside the cache vouches for them
    "#);
}

#[test]
fn colour_adds_nothing_but_colour() {
    for report in [testing::clean(), testing::findings(), testing::trimmed()] {
        let plain = text(&report, false);
        let coloured = text(&report, true);
        assert_ne!(plain, coloured);
        let mut stripped = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\u{1b}[") {
            stripped.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        stripped.push_str(rest);
        assert_eq!(stripped, plain);
    }
}

#[test]
fn github_of_each() {
    insta::assert_snapshot!(github(&testing::clean()), @r#"
    ::notice title=gocachevet::Nothing to complain about; 3.38 GB in two caches
    "#);
    insta::assert_snapshot!(github(&testing::findings()), @r#"
    ::error title=zip-hash-mismatch::github.com/pkg/errors@v0.9.1: the zip differs from go.sum; the extracted tree agrees with go.sum, so the zip is damaged or was replaced%0Aexpected h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=, found h1:AAAAx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=%0ARun `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed.
    ::error title=over-threshold::max-size: both caches hold 3.38 GB, more than 2.00 GB%0ARun `gocachevet trim --unused`.
    ::warning title=unexpected-file::cache/download/\u{1b}[31m<img src=x>|`@octocat`\n::error::owned: Go never writes this%0AGo never writes this; look at it, then remove it by hand.
    ::notice title=lone-lock::example.com/gone0@v1.0.0: a lock with nothing beside it%0ANothing to do: a lock stays for good, after a lookup that failed and after a trim alike.
    ::notice title=lone-lock::example.com/gone1@v1.0.0: a lock with nothing beside it%0ANothing to do: a lock stays for good, after a lookup that failed and after a trim alike.
    ::notice title=lone-lock::example.com/gone2@v1.0.0: a lock with nothing beside it%0ANothing to do: a lock stays for good, after a lookup that failed and after a trim alike.
    ::notice title=lone-lock::example.com/gone3@v1.0.0: a lock with nothing beside it%0ANothing to do: a lock stays for good, after a lookup that failed and after a trim alike.
    ::notice title=lone-lock::example.com/gone4@v1.0.0: a lock with nothing beside it%0ANothing to do: a lock stays for good, after a lookup that failed and after a trim alike.
    ::notice title=lone-lock::example.com/gone5@v1.0.0: a lock with nothing beside it%0ANothing to do: a lock stays for good, after a lookup that failed and after a trim alike.
    ::notice title=gocachevet::6 more findings: see the job summary or the report
    "#);
}

#[test]
fn markdown_of_a_clean_cache() {
    insta::assert_snapshot!(markdown(&testing::clean()), @r##"
    ## ✅ Go caches: pass

    Nothing to complain about; 3.38 GB in two caches.

    ### Caches

    |  | Folder | Size | Last use | Holds |
    |:--|:--|--:|--:|:--|
    | Module cache | `/root/go/pkg/mod` | 3.12 GB | used 2 h to 34 d ago | 231 versions of 180 modules |
    | Build cache | `/root/.cache/go-build` | 260 MB | used 5 min to 4 d ago | 1,795 action entries, 751 outputs |

    ### Verified: full

    - 231 versions and 751 build outputs in 1.4 s, 2.90 GB hashed, none failed
    - 2.86 GB of modules proven; versions by `go.sum` 228
    - 258 MB of build outputs consistent (content equals name), which proves nothing
    - 3 versions unproven (2.00 MB): nothing outside the cache vouches for them

    ### Where the space goes

    ```mermaid
    %%{init: {"themeVariables": {"pie1": "#3b78b5", "pie2": "#2f8f6f", "pie3": "#a8662b", "pie4": "#8250b0", "pie5": "#b04a5a", "pie6": "#5b7083", "pie7": "#8a7a1f", "pie8": "#2b8a99", "pie9": "#777777", "pieOpacity": "1", "pieSectionTextColor": "#ffffff", "pieStrokeColor": "#8b949e", "pieStrokeWidth": "1px", "pieOuterStrokeWidth": "0px"}}}%%
    pie
        "extracted trees, 2.20 GB" : 2200000000
        "downloads, 612 MB" : 612000000
        "toolchains, 306 MB" : 306000000
        "build cache, 260 MB" : 260000000
        "the rest, 2.00 MB" : 2000000
    ```

    <details><summary>Largest modules (2)</summary>

    | Module | Versions | Size |
    |:--|--:|--:|
    | `github.com/aws/aws-sdk-go` | 3 | 812 MB |
    | `golang.org/x/tools` | 12 | 96.4 MB |

    </details>

    gocachevet `0.1.0`, 2026-03-01 12:00 UTC
    "##);
}

#[test]
fn markdown_of_findings() {
    insta::assert_snapshot!(markdown(&testing::findings()), @r##"
    ## ❌ Go caches: fail

    2 denied, 1 warning, 12 notes; 3.38 GB in two caches.

    ### Findings

    <details><summary><b>deny</b> zip-hash-mismatch</summary>

    - `github.com/pkg/errors@v0.9.1`: the zip differs from `go.sum`; the extracted tree agrees with `go.sum`, so the zip is damaged or was replaced<br>expected `h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=`<br>found `h1:AAAAx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=`<br>in `/root/go/pkg/mod/cache/download/github.com/pkg/errors/@v/v0.9.1.zip`

    **What to do:** Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed.

    </details>

    <details><summary><b>deny</b> over-threshold</summary>

    - `max-size`: both caches hold 3.38 GB, more than 2.00 GB

    **What to do:** Run `gocachevet trim --unused`.

    </details>

    <details><summary><b>warn</b> unexpected-file</summary>

    - `cache/download/\u{1b}[31m<img src=x>\u{7c}\u{60}@octocat\u{60}\n::error::owned`: Go never writes this<br>in `/root/go/pkg/mod/cache/download/\u{1b}[31m<img src=x>\u{7c}\u{60}@octocat\u{60}\n::error::owned`

    **What to do:** Go never writes this; look at it, then remove it by hand.

    </details>

    <details><summary><b>note</b> lone-lock (12)</summary>

    a lock with nothing beside it

    - `example.com/gone0@v1.0.0`
    - `example.com/gone1@v1.0.0`
    - `example.com/gone2@v1.0.0`
    - `example.com/gone3@v1.0.0`
    - `example.com/gone4@v1.0.0`
    - `example.com/gone5@v1.0.0`
    - `example.com/gone6@v1.0.0`
    - `example.com/gone7@v1.0.0`
    - `example.com/gone8@v1.0.0`
    - `example.com/gone9@v1.0.0`
    - `example.com/gone10@v1.0.0`
    - `example.com/gone11@v1.0.0`

    **What to do:** Nothing to do: a lock stays for good, after a lookup that failed and after a trim alike.

    </details>

    ### Limits

    |  | Limit | Measured | Allowed |
    |:--|:--|--:|:--|
    | ❌ fail | `max-size` | 3.38 GB | of 2.00 GB |
    | ⚠️ warn | `max-age` | 34 d | of 30 d |
    | ✅ ok | `min-hit-rate` | 97.2% | of 92.0% |
    | ✅ ok | `max-growth` | not known | of 500 MB |

    ### Caches

    |  | Folder | Size | Last use | Holds |
    |:--|:--|--:|--:|:--|
    | Module cache | `/root/go/pkg/mod` | 3.12 GB | used 2 h to 34 d ago | 231 versions of 180 modules |
    | Build cache | `/root/.cache/go-build` | 260 MB | used 5 min to 4 d ago | 1,795 action entries, 751 outputs |

    ### Verified: full

    - 231 versions and 751 build outputs in 1.4 s, 2.90 GB hashed, 2 failed
    - 2.86 GB of modules proven; versions by `go.sum` 228
    - 258 MB of build outputs consistent (content equals name), which proves nothing
    - 3 versions unproven (2.00 MB): nothing outside the cache vouches for them

    ### Used by this job: since the mark 9 min ago

    |  | hit rate | hits | misses | rewritten | idle |
    |:--|--:|--:|--:|--:|--:|
    | module versions | 98.3% | 118 | 2 |  | 113 |
    | action entries | 97.1% | 1,512 | 45 | 1 | 238 (41.0 MB) |
    | compiled packages | 97.8% | 402 | 9 |  |  |
    | tests (cached / run) | 93.9% | 31 | 2 |  |  |

    ### Where the space goes

    ```mermaid
    %%{init: {"themeVariables": {"pie1": "#3b78b5", "pie2": "#2f8f6f", "pie3": "#a8662b", "pie4": "#8250b0", "pie5": "#b04a5a", "pie6": "#5b7083", "pie7": "#8a7a1f", "pie8": "#2b8a99", "pie9": "#777777", "pieOpacity": "1", "pieSectionTextColor": "#ffffff", "pieStrokeColor": "#8b949e", "pieStrokeWidth": "1px", "pieOuterStrokeWidth": "0px"}}}%%
    pie
        "extracted trees, 2.20 GB" : 2200000000
        "downloads, 612 MB" : 612000000
        "toolchains, 306 MB" : 306000000
        "build cache, 260 MB" : 260000000
        "the rest, 2.00 MB" : 2000000
    ```

    <details><summary>Largest modules (2)</summary>

    | Module | Versions | Size |
    |:--|--:|--:|
    | `github.com/aws/aws-sdk-go` | 3 | 812 MB |
    | `golang.org/x/tools` | 12 | 96.4 MB |

    </details>

    ### Trend: `▇██` 3.02 GB → 3.38 GB, hit rate 41.0% → 97.2%

    ```mermaid
    %%{init: {"xyChart": {"height": 220}, "themeVariables": {"xyChart": {"backgroundColor": "transparent", "plotColorPalette": "#3b82c4"}}}}%%
    xychart-beta
        title "Size after each job (GB)"
        x-axis "job" [7, 8, 9]
        y-axis "GB" 0 --> 3.7
        line [3.02, 3.20, 3.38]
    ```

    ```mermaid
    %%{init: {"xyChart": {"height": 220}, "themeVariables": {"xyChart": {"backgroundColor": "transparent", "plotColorPalette": "#3b82c4"}}}}%%
    xychart-beta
        title "Hit rate of each job (%)"
        x-axis "job" [8, 9]
        y-axis "%" 0 --> 100.0
        line [41.00, 97.20]
    ```

    ### Notes

    - 1 finding silenced by the configuration, 0 known to the baseline.
    - Policy: `/src/app/gocachevet.toml`
    - `max-growth` passed unmeasured: there is no mark.

    gocachevet `0.1.0`, 2026-03-01 12:00 UTC
    "##);
}

#[test]
fn markdown_of_a_trim() {
    insta::assert_snapshot!(markdown(&testing::trimmed()), @r##"
    ## ⚠️ Go caches: warning

    1 not removed; 3.38 GB in two caches.

    ### Removed

    | Number | Unit | Size | Why |
    |--:|:--|--:|:--|
    | 2 | module version | 541 MB | unused |
    | 1 | residue | 4.10 kB | residue |
    | 1 | action entry | 152 B | max-age: 31 d |

    ### Not removed

    - `github.com/aws/aws-sdk-go@v1.41.0`: busy: another process holds its lock

    ### Stayed

    | Number | Unit | Why |
    |--:|:--|:--|
    | 229 | module version | a project needs it |
    | 1,794 | action entry | idle-runs: a marked job used it |

    **Size changed 3.38 GB → 3.11 GB (-270 MB, -7.99%)**

    ### Caches

    |  | Folder | Size | Last use | Holds |
    |:--|:--|--:|--:|:--|
    | Module cache | `/root/go/pkg/mod` | 3.12 GB | used 2 h to 34 d ago | 231 versions of 180 modules |
    | Build cache | `/root/.cache/go-build` | 260 MB | used 5 min to 4 d ago | 1,795 action entries, 751 outputs |

    ### Verified: full

    - 231 versions and 751 build outputs in 1.4 s, 2.90 GB hashed, none failed
    - 2.86 GB of modules proven; versions by `go.sum` 228
    - 258 MB of build outputs consistent (content equals name), which proves nothing
    - 3 versions unproven (2.00 MB): nothing outside the cache vouches for them

    ### Where the space goes

    ```mermaid
    %%{init: {"themeVariables": {"pie1": "#3b78b5", "pie2": "#2f8f6f", "pie3": "#a8662b", "pie4": "#8250b0", "pie5": "#b04a5a", "pie6": "#5b7083", "pie7": "#8a7a1f", "pie8": "#2b8a99", "pie9": "#777777", "pieOpacity": "1", "pieSectionTextColor": "#ffffff", "pieStrokeColor": "#8b949e", "pieStrokeWidth": "1px", "pieOuterStrokeWidth": "0px"}}}%%
    pie
        "extracted trees, 2.20 GB" : 2200000000
        "downloads, 612 MB" : 612000000
        "toolchains, 306 MB" : 306000000
        "build cache, 260 MB" : 260000000
        "the rest, 2.00 MB" : 2000000
    ```

    <details><summary>Largest modules (2)</summary>

    | Module | Versions | Size |
    |:--|--:|--:|
    | `github.com/aws/aws-sdk-go` | 3 | 812 MB |
    | `golang.org/x/tools` | 12 | 96.4 MB |

    </details>

    gocachevet `0.1.0`, 2026-03-01 12:00 UTC
    "##);
}

#[test]
fn markdown_is_bounded_whatever_the_report_holds() {
    let mut report = testing::findings();
    let long = "\u{202e}`|<x>".repeat(300);
    for rule in Rule::ALL {
        for level in [Level::Note, Level::Warn, Level::Deny] {
            for number in 0..40 {
                let mut finding =
                    Finding::new(*rule, format!("{number}{long}"), format!("{number} {long}"))
                        .differs(&long, &long)
                        .advise(format!("{long}{number}"));
                finding.level = level;
                report.findings.push(finding);
            }
        }
    }
    report.notes = vec![long.clone(); 1_000];
    report.policy.config = Some(long.clone());
    report.tool.version = long.clone();
    report.tool.name = long.clone();
    report.largest = vec![
        crate::report::ModuleSize {
            module: long.clone(),
            versions: 1,
            bytes: 1
        };
        1_000
    ];
    report
        .thresholds
        .iter_mut()
        .for_each(|threshold| threshold.name = long.clone());
    report.plan = testing::trimmed().plan;
    let plan = report.plan.as_mut().unwrap();
    let mut removed = plan.removed[0].clone();
    removed.reason = long.clone();
    plan.removed.extend(vec![removed; 1_000]);
    report.outcome = testing::trimmed().outcome;
    let failed = &mut report.outcome.as_mut().unwrap().failed;
    failed[0].error = long;
    failed.extend(vec![failed[0].clone(); 1_000]);
    let text = markdown(&report);
    assert!(text.len() < 1024 * 1024, "{}", text.len());
    assert!(text.contains("more did not fit"));
}

/// A report in which everything has a value.
fn of_everything() -> Report {
    let mut report = testing::findings();
    let trimmed = testing::trimmed();
    (report.plan, report.outcome) = (trimmed.plan, trimmed.outcome);
    let other = serde_json::json!({
        "configuration": {"path": "/src/p.toml", "origin": "project", "affects": ["verify = \"quick\""]},
        "drift": {"compared": 1, "consistent": 0, "rows": [{
            "module": "a@v1.0.0", "what": "module", "verdict": crate::report::DriftCause::LocalDamage,
            "says": [{"value": "h1:a=", "by": ["this cache"]}, {"value": "h1:b=", "by": ["go.sum"]}],
        }]},
        "accounts": [{"module": "a@v1.0.0", "zip": "h1:a=", "go_mod": "h1:b=", "zip_bytes": 1, "commit": "c", "time": null}],
        "remote": {"api": "https://api", "repositories": [{
            "name": "o/n", "complete": true, "all": {"entries": 1, "bytes": u64::MAX},
            "reported_bytes": 1, "quota_bytes": 1, "quota_assumed": true, "share": 0.5,
            "duplicates": [{"likeness": "key", "ids": [1], "wasted_bytes": u64::MAX}, {"likeness": "key", "ids": [1], "wasted_bytes": 1}],
            "superseded": null, "unreachable": null, "never_accessed": {"entries": 1, "bytes": 1},
            "next_save": {"key": "k", "uncompressed_bytes": 1, "expected_bytes": null, "share": null, "evicts": [
                {"id": 1, "key": "go-Linux-1", "ref": "refs/heads/x", "bytes": u64::MAX, "accessed": "2026-03-01T12:00:00Z"},
                {"id": 2, "key": "go-Linux-2", "ref": "refs/heads/x", "bytes": 1, "accessed": "2026-03-01T12:00:00Z"},
            ]},
            "unknown": ["something"],
        }]},
    });
    let mut json = serde_json::to_value(&report).unwrap();
    let map = json.as_object_mut().unwrap();
    map.extend(other.as_object().unwrap().clone());
    serde_json::from_value(json).unwrap()
}

/// The place of every string in a JSON value.
fn strings(value: &serde_json::Value, at: &str, places: &mut Vec<String>) {
    match value {
        serde_json::Value::String(_) => places.push(at.to_owned()),
        serde_json::Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                strings(item, &format!("{at}/{index}"), places);
            }
        }
        serde_json::Value::Object(fields) => {
            for (name, field) in fields {
                strings(field, &format!("{at}/{name}"), places);
            }
        }
        _ => {}
    }
}

/// What Markdown is made of, without the words.
fn structure(markdown: &str) -> Vec<String> {
    use pulldown_cmark::{Event, Options, Parser};
    Parser::new_ext(markdown, Options::all() - Options::ENABLE_SMART_PUNCTUATION)
        .filter_map(|event| match event {
            Event::Text(_) | Event::Code(_) | Event::SoftBreak => None,
            other => Some(format!("{other:?}")),
        })
        .collect()
}

#[test]
fn a_hostile_report_acts_in_no_format() {
    const HOSTILE: &str = "x\u{1b}[2J\u{9b}31m\x07\u{202e}\u{2028}\n\n::error::owned\n##[group]\n\
                           `|` <img src=x> [a](http://evil) @octocat\n# EOF\n\"}";
    let check = serde_json::to_value(of_everything()).unwrap();
    let doctor = serde_json::to_value(testing::doctor()).unwrap();
    let mut places = Vec::new();
    for whole in [&check, &doctor] {
        let mut found = Vec::new();
        strings(whole, "", &mut found);
        places.extend(found.into_iter().map(|place| (whole, place)));
    }
    let mut hostile = 0;
    for (whole, place) in places {
        let rendered = |text: &str| {
            let mut changed = whole.clone();
            *changed.pointer_mut(&place).unwrap() = text.into();
            serde_json::from_value::<Report>(changed).ok()
        };
        // Words of a fixed list and times cannot be just anything.
        let (Some(report), Some(harmless)) = (rendered(HOSTILE), rendered("plain")) else {
            continue;
        };
        hostile += 1;
        let forms = [
            ("text", text(&report, false)),
            ("json", json(&report)),
            ("github", github(&report)),
            ("markdown", markdown(&report)),
            ("openmetrics", openmetrics(&report)),
            ("sarif", sarif(&report)),
            ("codequality", codequality(&report)),
        ];
        for (form, shown) in &forms {
            let acts = |c: char| {
                (c.is_control() && c != '\n')
                    || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            };
            assert!(!shown.contains(acts), "{place} as {form}: {shown:?}");
            assert!(!shown.contains("##["), "{place} as {form}");
            let commands = shown.lines().map(str::trim_start);
            let commands = commands.filter(|line| line.starts_with("::"));
            let expected = github(&harmless).lines().count();
            let allowed = if *form == "github" { expected } else { 0 };
            assert_eq!(commands.count(), allowed, "{place} as {form}: {shown}");
        }
        let [.., (_, metrics), (_, sarif), (_, quality)] = &forms;
        assert_eq!(metrics.matches("\n# EOF\n").count(), 1, "{place}");
        for json in [sarif, quality, &forms[1].1] {
            serde_json::from_str::<serde_json::Value>(json).unwrap();
        }
        assert_eq!(
            structure(&forms[3].1),
            structure(&markdown(&harmless)),
            "{place}: {}",
            forms[3].1
        );
    }
    assert!(hostile > 60, "{hostile}");
}

#[test]
fn openmetrics_of_findings() {
    insta::assert_snapshot!(openmetrics(&testing::findings()), @r#"
    # HELP gocachevet_cache_size_bytes Sum of the lengths of all files in the cache.
    # TYPE gocachevet_cache_size_bytes gauge
    # UNIT gocachevet_cache_size_bytes bytes
    gocachevet_cache_size_bytes{cache="modcache"} 3120000000
    gocachevet_cache_size_bytes{cache="buildcache"} 260000000
    # HELP gocachevet_modcache_region_bytes Size of a region of the module cache; the regions are disjoint.
    # TYPE gocachevet_modcache_region_bytes gauge
    # UNIT gocachevet_modcache_region_bytes bytes
    gocachevet_modcache_region_bytes{region="download"} 612000000
    gocachevet_modcache_region_bytes{region="extracted"} 2200000000
    gocachevet_modcache_region_bytes{region="vcs"} 0
    gocachevet_modcache_region_bytes{region="sumdb"} 1250000
    gocachevet_modcache_region_bytes{region="residue"} 0
    gocachevet_modcache_region_bytes{region="toolchain"} 306000000
    # HELP gocachevet_oldest_use_age_seconds Time since the last use of what was not used for longest.
    # TYPE gocachevet_oldest_use_age_seconds gauge
    # UNIT gocachevet_oldest_use_age_seconds seconds
    gocachevet_oldest_use_age_seconds{cache="modcache"} 2937600
    gocachevet_oldest_use_age_seconds{cache="buildcache"} 345600
    # HELP gocachevet_newest_use_age_seconds Time since the newest use.
    # TYPE gocachevet_newest_use_age_seconds gauge
    # UNIT gocachevet_newest_use_age_seconds seconds
    gocachevet_newest_use_age_seconds{cache="modcache"} 7200
    gocachevet_newest_use_age_seconds{cache="buildcache"} 300
    # HELP gocachevet_report_timestamp_seconds When the report was made, as Unix time.
    # TYPE gocachevet_report_timestamp_seconds gauge
    # UNIT gocachevet_report_timestamp_seconds seconds
    gocachevet_report_timestamp_seconds 1772366400
    # HELP gocachevet_cache_files Number of files in the cache.
    # TYPE gocachevet_cache_files gauge
    gocachevet_cache_files{cache="modcache"} 87413
    gocachevet_cache_files{cache="buildcache"} 2546
    # HELP gocachevet_cache_units Number of things of a kind in the caches.
    # TYPE gocachevet_cache_units gauge
    gocachevet_cache_units{kind="module"} 180
    gocachevet_cache_units{kind="version"} 231
    gocachevet_cache_units{kind="action"} 1795
    gocachevet_cache_units{kind="output"} 748
    gocachevet_cache_units{kind="executable"} 3
    # HELP gocachevet_verification_duration_seconds Time the verification took.
    # TYPE gocachevet_verification_duration_seconds gauge
    # UNIT gocachevet_verification_duration_seconds seconds
    gocachevet_verification_duration_seconds 1.43
    # HELP gocachevet_verification_hashed_bytes Bytes that went through a hash.
    # TYPE gocachevet_verification_hashed_bytes gauge
    # UNIT gocachevet_verification_hashed_bytes bytes
    gocachevet_verification_hashed_bytes 2900000000
    # HELP gocachevet_verification_proven_bytes Bytes of modules shown equal to what is trusted.
    # TYPE gocachevet_verification_proven_bytes gauge
    # UNIT gocachevet_verification_proven_bytes bytes
    gocachevet_verification_proven_bytes 2858000000
    # HELP gocachevet_verification_unproven_bytes Bytes of modules that nothing outside the cache vouches for.
    # TYPE gocachevet_verification_unproven_bytes gauge
    # UNIT gocachevet_verification_unproven_bytes bytes
    gocachevet_verification_unproven_bytes 2000000
    # HELP gocachevet_verification_consistent_bytes Bytes of build outputs whose content is what their name says.
    # TYPE gocachevet_verification_consistent_bytes gauge
    # UNIT gocachevet_verification_consistent_bytes bytes
    gocachevet_verification_consistent_bytes 258000000
    # HELP gocachevet_verification_failed Things checked that failed.
    # TYPE gocachevet_verification_failed gauge
    gocachevet_verification_failed 2
    # HELP gocachevet_verification_versions Module versions by what their content was found equal to; ziphash is no proof.
    # TYPE gocachevet_verification_versions gauge
    gocachevet_verification_versions{proven_by="go_sum"} 228
    gocachevet_verification_versions{proven_by="ziphash"} 3
    gocachevet_verification_versions{proven_by="sumdb"} 0
    gocachevet_verification_versions{proven_by="seal"} 0
    gocachevet_verification_versions{proven_by="goroot"} 0
    # HELP gocachevet_cache_hits Units there at the mark and used since.
    # TYPE gocachevet_cache_hits gauge
    gocachevet_cache_hits{cache="modcache"} 118
    gocachevet_cache_hits{cache="buildcache"} 1512
    # HELP gocachevet_cache_misses Units new since the mark.
    # TYPE gocachevet_cache_misses gauge
    gocachevet_cache_misses{cache="modcache"} 2
    gocachevet_cache_misses{cache="buildcache"} 45
    # HELP gocachevet_cache_idle Units there at the mark and not used since.
    # TYPE gocachevet_cache_idle gauge
    gocachevet_cache_idle{cache="modcache"} 113
    gocachevet_cache_idle{cache="buildcache"} 238
    # HELP gocachevet_cache_hit_ratio Hits of hits and misses since the mark, 0 to 1.
    # TYPE gocachevet_cache_hit_ratio gauge
    # UNIT gocachevet_cache_hit_ratio ratio
    gocachevet_cache_hit_ratio{cache="modcache"} 0.9833333333333333
    gocachevet_cache_hit_ratio{cache="buildcache"} 0.9710982658959537
    # HELP gocachevet_cache_idle_bytes Bytes of idle module versions, and of outputs that only idle entries name.
    # TYPE gocachevet_cache_idle_bytes gauge
    # UNIT gocachevet_cache_idle_bytes bytes
    gocachevet_cache_idle_bytes{cache="modcache"} 212000000
    gocachevet_cache_idle_bytes{cache="buildcache"} 41000000
    # HELP gocachevet_findings Number of findings by rule and level.
    # TYPE gocachevet_findings gauge
    gocachevet_findings{rule="zip-hash-mismatch",level="deny"} 1
    gocachevet_findings{rule="extracted-hash-mismatch",level="deny"} 0
    gocachevet_findings{rule="mod-hash-mismatch",level="deny"} 0
    gocachevet_findings{rule="ziphash-mismatch",level="deny"} 0
    gocachevet_findings{rule="sumdb-mismatch",level="deny"} 0
    gocachevet_findings{rule="sumdb-unproven",level="note"} 0
    gocachevet_findings{rule="conflicting-claims",level="deny"} 0
    gocachevet_findings{rule="toolchain-unproven",level="deny"} 0
    gocachevet_findings{rule="fips-unproven",level="warn"} 0
    gocachevet_findings{rule="mod-unproven",level="warn"} 0
    gocachevet_findings{rule="no-trust",level="warn"} 0
    gocachevet_findings{rule="unproven",level="note"} 0
    gocachevet_findings{rule="info-unproven",level="note"} 0
    gocachevet_findings{rule="zip-invalid",level="deny"} 0
    gocachevet_findings{rule="extracted-incomplete",level="deny"} 0
    gocachevet_findings{rule="info-invalid",level="deny"} 0
    gocachevet_findings{rule="link-in-cache",level="deny"} 0
    gocachevet_findings{rule="drift",level="warn"} 0
    gocachevet_findings{rule="partial-download",level="warn"} 0
    gocachevet_findings{rule="orphan-file",level="warn"} 0
    gocachevet_findings{rule="unexpected-file",level="warn"} 1
    gocachevet_findings{rule="lone-lock",level="note"} 12
    gocachevet_findings{rule="vcs-unsafe",level="deny"} 0
    gocachevet_findings{rule="vcs-unproven",level="note"} 0
    gocachevet_findings{rule="output-hash-mismatch",level="deny"} 0
    gocachevet_findings{rule="output-size-mismatch",level="warn"} 0
    gocachevet_findings{rule="action-invalid",level="warn"} 0
    gocachevet_findings{rule="output-missing",level="note"} 0
    gocachevet_findings{rule="output-orphan",level="note"} 0
    gocachevet_findings{rule="go-trim-stuck",level="warn"} 0
    gocachevet_findings{rule="ledger-invalid",level="warn"} 0
    gocachevet_findings{rule="snapshot-damaged",level="deny"} 0
    gocachevet_findings{rule="seal-missing",level="deny"} 0
    gocachevet_findings{rule="seal-invalid",level="deny"} 0
    gocachevet_findings{rule="seal-expired",level="deny"} 0
    gocachevet_findings{rule="seal-wrong-ref",level="deny"} 0
    gocachevet_findings{rule="seal-rolled-back",level="deny"} 0
    gocachevet_findings{rule="seal-broken-unit",level="deny"} 0
    gocachevet_findings{rule="over-threshold",level="deny"} 1
    gocachevet_findings{rule="unreadable",level="deny"} 0
    gocachevet_findings{rule="project-file",level="warn"} 0
    gocachevet_findings{rule="policy",level="deny"} 0
    # HELP gocachevet_threshold_limit The limit of a threshold, in its own unit: bytes, seconds, a ratio or a count.
    # TYPE gocachevet_threshold_limit gauge
    gocachevet_threshold_limit{threshold="max-age"} 2592000
    gocachevet_threshold_limit{threshold="max-growth"} 500000000
    gocachevet_threshold_limit{threshold="max-size"} 2000000000
    gocachevet_threshold_limit{threshold="min-hit-rate"} 0.92
    # HELP gocachevet_threshold_actual The value held against a threshold, in its own unit.
    # TYPE gocachevet_threshold_actual gauge
    gocachevet_threshold_actual{threshold="max-age"} 2937600
    gocachevet_threshold_actual{threshold="max-size"} 3380000000
    gocachevet_threshold_actual{threshold="min-hit-rate"} 0.972
    # HELP gocachevet_threshold_status How a threshold was met: 0 pass, 1 warn, 2 fail.
    # TYPE gocachevet_threshold_status gauge
    gocachevet_threshold_status{threshold="max-age"} 1
    gocachevet_threshold_status{threshold="max-growth"} 0
    gocachevet_threshold_status{threshold="max-size"} 2
    gocachevet_threshold_status{threshold="min-hit-rate"} 0
    # HELP gocachevet_verdict The run's verdict: 0 pass, 1 warn, 2 fail.
    # TYPE gocachevet_verdict gauge
    gocachevet_verdict 2
    # EOF
    "#);
}

#[test]
fn openmetrics_of_a_trim_ends_with_what_it_did() {
    let text = openmetrics(&testing::trimmed());
    let (_, end) = text
        .split_once("# HELP gocachevet_trim_planned_bytes")
        .unwrap();
    insta::assert_snapshot!(end, @r#"
     Bytes that the trim chose to remove.
    # TYPE gocachevet_trim_planned_bytes gauge
    # UNIT gocachevet_trim_planned_bytes bytes
    gocachevet_trim_planned_bytes 541004248
    # HELP gocachevet_trim_kept_bytes Bytes that the trim chose to keep.
    # TYPE gocachevet_trim_kept_bytes gauge
    # UNIT gocachevet_trim_kept_bytes bytes
    gocachevet_trim_kept_bytes 2838995752
    # HELP gocachevet_trim_removed_bytes Bytes that the trim freed.
    # TYPE gocachevet_trim_removed_bytes gauge
    # UNIT gocachevet_trim_removed_bytes bytes
    gocachevet_trim_removed_bytes 270004248
    # HELP gocachevet_trim_removed_units Units that the trim removed.
    # TYPE gocachevet_trim_removed_units gauge
    gocachevet_trim_removed_units 3
    # HELP gocachevet_trim_failed_units Units that the trim could not remove.
    # TYPE gocachevet_trim_failed_units gauge
    gocachevet_trim_failed_units 1
    # EOF
    "#);
}

#[test]
fn codequality_of_findings() {
    let mut report = testing::findings();
    report.findings.truncate(4);
    insta::assert_snapshot!(codequality(&report), @r#"
    [
      {
        "check_name": "zip-hash-mismatch",
        "description": "github.com/pkg/errors@v0.9.1: the zip differs from go.sum; the extracted tree agrees with go.sum, so the zip is damaged or was replaced. Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed.",
        "fingerprint": "be5a6cc6c72078999e21cd0dbe48f135d6a60808e175d159e87e69f84454f052",
        "location": {
          "lines": {
            "begin": 1
          },
          "path": "go.sum"
        },
        "severity": "critical"
      },
      {
        "check_name": "over-threshold",
        "description": "max-size: both caches hold 3.38 GB, more than 2.00 GB. Run `gocachevet trim --unused`.",
        "fingerprint": "3bf40ae7a4470c2edb2c2d61c3f04d5dd6f9ef9d44c1103da8ded47dd4ef10d3",
        "location": {
          "lines": {
            "begin": 1
          },
          "path": "go.mod"
        },
        "severity": "critical"
      },
      {
        "check_name": "unexpected-file",
        "description": "cache/download/\\u{1b}[31m<img src=x>|`@octocat`\\n::error::owned: Go never writes this. Go never writes this; look at it, then remove it by hand.",
        "fingerprint": "f1aa78ae833ab1793a841f096e46bd8f4f52325672e443f8904642448536a727",
        "location": {
          "lines": {
            "begin": 1
          },
          "path": "go.mod"
        },
        "severity": "minor"
      },
      {
        "check_name": "lone-lock",
        "description": "example.com/gone0@v1.0.0: a lock with nothing beside it. Nothing to do: a lock stays for good, after a lookup that failed and after a trim alike.",
        "fingerprint": "80c7ff8827b3b172cb0d933512b9ba5c3cf3315b4848e9e188d5432f582396a6",
        "location": {
          "lines": {
            "begin": 1
          },
          "path": "go.sum"
        },
        "severity": "info"
      }
    ]
    "#);
    assert_eq!(codequality(&testing::clean()), "[]\n");
}

#[test]
fn sarif_of_findings() {
    let mut report = testing::findings();
    report.findings.remove(1);
    report.findings.truncate(2);
    insta::assert_snapshot!(sarif(&report), @r#"
    {
      "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
      "runs": [
        {
          "automationDetails": {
            "id": "gocachevet/"
          },
          "columnKind": "utf16CodeUnits",
          "originalUriBaseIds": {
            "GOCACHE": {
              "uri": "file:///root/.cache/go-build/"
            },
            "GOMODCACHE": {
              "uri": "file:///root/go/pkg/mod/"
            },
            "SRCROOT": {
              "uri": "file:///src/app/"
            }
          },
          "results": [
            {
              "level": "error",
              "locations": [
                {
                  "logicalLocations": [
                    {
                      "fullyQualifiedName": "github.com/pkg/errors@v0.9.1"
                    }
                  ],
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "cache/download/github.com/pkg/errors/%40v/v0.9.1.zip",
                      "uriBaseId": "GOMODCACHE"
                    },
                    "region": {
                      "startLine": 1
                    }
                  }
                }
              ],
              "message": {
                "text": "github.com/pkg/errors@v0.9.1: the zip differs from go.sum; the extracted tree agrees with go.sum, so the zip is damaged or was replaced (expected h1:FEBLx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=, found h1:AAAAx1zS214owpjy7qsBeixbURkuhQAwrK5UwLGTwt4=). Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed."
              },
              "partialFingerprints": {
                "gocachevet/v1": "be5a6cc6c72078999e21cd0dbe48f135d6a60808e175d159e87e69f84454f052"
              },
              "ruleId": "zip-hash-mismatch",
              "ruleIndex": 0
            },
            {
              "level": "warning",
              "locations": [
                {
                  "logicalLocations": [
                    {
                      "fullyQualifiedName": "cache/download/\\u{1b}[31m<img src=x>|`@octocat`\\n::error::owned"
                    }
                  ],
                  "physicalLocation": {
                    "artifactLocation": {
                      "uri": "cache/download/%1B%5B31m%3Cimg%20src%3Dx%3E%7C%60%40octocat%60%0A%3A%3Aerror%3A%3Aowned",
                      "uriBaseId": "GOMODCACHE"
                    },
                    "region": {
                      "startLine": 1
                    }
                  }
                }
              ],
              "message": {
                "text": "cache/download/\\\\u{{1b}}\\[31m<img src=x>|`@octocat`\\\\n::error::owned: Go never writes this. Go never writes this; look at it, then remove it by hand."
              },
              "partialFingerprints": {
                "gocachevet/v1": "f1aa78ae833ab1793a841f096e46bd8f4f52325672e443f8904642448536a727"
              },
              "ruleId": "unexpected-file",
              "ruleIndex": 1
            }
          ],
          "tool": {
            "driver": {
              "name": "gocachevet",
              "rules": [
                {
                  "defaultConfiguration": {
                    "level": "error"
                  },
                  "fullDescription": {
                    "text": "Go cache: zip hash mismatch. Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed."
                  },
                  "help": {
                    "markdown": "Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed.",
                    "text": "Run `gocachevet trim --repair` so that Go downloads the version again; if it comes back, the source of the module changed."
                  },
                  "id": "zip-hash-mismatch",
                  "name": "ZipHashMismatch",
                  "shortDescription": {
                    "text": "Go cache: zip hash mismatch."
                  }
                },
                {
                  "defaultConfiguration": {
                    "level": "warning"
                  },
                  "fullDescription": {
                    "text": "Go cache: unexpected file. Go never writes this; look at it, then remove it by hand."
                  },
                  "help": {
                    "markdown": "Go never writes this; look at it, then remove it by hand.",
                    "text": "Go never writes this; look at it, then remove it by hand."
                  },
                  "id": "unexpected-file",
                  "name": "UnexpectedFile",
                  "shortDescription": {
                    "text": "Go cache: unexpected file."
                  }
                }
              ],
              "version": "0.1.0"
            }
          }
        }
      ],
      "version": "2.1.0"
    }
    "#);
}
