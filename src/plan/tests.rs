#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::formats::action::{ActionEntry, ActionId, OutputId};
use crate::formats::module::ModuleVersion;
use crate::scan::{
    Action, BuildCache, Measure, Output, Piece, Residue, Tree, VcsClone, VersionKind,
};
use crate::settings::{Options, Slim};
use crate::values::Age;
use crate::verify::{Proof, VersionProof, Witness};
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

const DAY: u64 = 24 * 3600;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap_or_default()
}

fn ago(days: i64) -> DateTime<Utc> {
    now() - TimeDelta::days(days)
}

fn id(text: &str) -> ModuleVersion {
    match text.split_once('@') {
        Some((path, version)) => ModuleVersion::new(path, version),
        None => ModuleVersion::new(text, "v1.0.0"),
    }
}

/// A whole version of 100 + 1000 bytes and little else, used so many days ago.
fn version(name: &str, days: i64) -> Version {
    let piece = |bytes| {
        Some(Piece {
            bytes,
            modified: ago(days),
        })
    };
    let id = id(name);
    Version {
        kind: match id.is_toolchain() {
            true => VersionKind::Toolchain,
            false => VersionKind::Module,
        },
        id,
        info: piece(1),
        go_mod: piece(1),
        zip: piece(100),
        ziphash: piece(47),
        lock: piece(0),
        linked: false,
        partial: None,
        tree: Some(Tree {
            modified: ago(days),
            measure: Some(Measure {
                files: 1,
                bytes: 1000,
            }),
        }),
    }
}

#[derive(Default)]
struct Case {
    inventory: Inventory,
    evidence: Evidence,
    needs: Vec<Needs>,
    uses: Uses,
    rules: RetentionRules,
}

impl Case {
    fn new(versions: Vec<Version>) -> Case {
        let mut versions = versions;
        versions.sort_by(|a, b| a.id.cmp(&b.id));
        let proof = VersionProof {
            zip: Proof::Proven(Witness::GoSum),
            tree: Proof::Proven(Witness::GoSum),
            ..VersionProof::default()
        };
        Case {
            evidence: Evidence {
                versions: versions.iter().map(|it| (it.id.clone(), proof)).collect(),
                ..Evidence::default()
            },
            inventory: Inventory {
                modcache: Some(ModCache {
                    root: "/mc".into(),
                    versions,
                    ..ModCache::default()
                }),
                ..Inventory::default()
            },
            ..Case::default()
        }
    }

    /// What is known of a version, by its place among their names.
    fn proof(&mut self, place: usize) -> &mut VersionProof {
        self.evidence.versions.values_mut().nth(place).unwrap()
    }

    fn needing(mut self, source: &[&str], go_mods: &[&str]) -> Case {
        self.needs.push(Needs {
            project: format!("project {}", self.needs.len()),
            source: source.iter().map(|name| id(name)).collect(),
            go_mods: go_mods.iter().map(|name| id(name)).collect(),
            ..Needs::default()
        });
        self
    }

    fn plan(&self) -> Plan<'_> {
        plan(&Inputs {
            inventory: &self.inventory,
            evidence: &self.evidence,
            needs: &self.needs,
            uses: &self.uses,
            rules: &self.rules,
            now: now(),
        })
    }

    /// What goes: the part and the name, or the name of the unit.
    fn goes(&self) -> Vec<String> {
        let plan = self.plan();
        let report = plan.shown(plan.steps.iter(), true);
        assert_eq!(report.bytes + report.kept_bytes, plan.total);
        report
            .removals
            .iter()
            .map(|removal| format!("{:?} {}", removal.unit, removal.subject).to_lowercase())
            .collect()
    }
}

fn rules(change: impl FnOnce(&mut RetentionRules)) -> RetentionRules {
    let mut rules = RetentionRules::default();
    change(&mut rules);
    rules
}

#[test]
fn nothing_but_residue_goes_unasked() {
    let mut case = Case::new(vec![version("a.b/c", 400)]).needing(&[], &[]);
    let left = |path: &str, days| Residue {
        path: path.into(),
        version: None,
        measure: Measure { files: 1, bytes: 5 },
        modified: ago(days),
    };
    if let Some(cache) = &mut case.inventory.modcache {
        cache.residue = vec![
            left("/mc/cache/download/a.b/c/@v/v1.0.0.zip1.tmp", 2),
            // A download may be going on.
            left("/mc/cache/download/a.b/c/@v/v1.0.0.zip2.tmp", 0),
            // Nobody reads a tree under such a name.
            left("/mc/a.b/c@v1.0.0.tmp-7", 0),
        ];
    }
    assert_eq!(
        case.goes(),
        [
            "residue cache/download/a.b/c/@v/v1.0.0.zip1.tmp",
            "residue a.b/c@v1.0.0.tmp-7"
        ]
    );
}

#[test]
fn a_repair_removes_what_is_wrong_and_what_would_bring_it_back() {
    let names = [
        "a.b/edited",
        "a.b/half",
        "a.b/poisoned",
        "a.b/unheard",
        "a.b/whole",
    ];
    let mut case = Case::new(names.map(|name| version(name, 9)).into());
    let damaged = VersionProof {
        zip: Proof::Proven(Witness::GoSum),
        tree: Proof::Damaged,
        damaged: true,
        only_tree: true,
        ..VersionProof::default()
    };
    let by_ziphash = VersionProof {
        zip: Proof::Proven(Witness::Ziphash),
        ..damaged
    };
    let odd_ziphash = VersionProof {
        only_tree: false,
        ..damaged
    };
    for (place, proof) in [damaged, damaged, odd_ziphash, by_ziphash]
        .into_iter()
        .enumerate()
    {
        *case.proof(place) = proof;
    }
    let clone = |name: &str| PathBuf::from("/mc/cache/vcs").join(name);
    case.evidence.unsafe_clones = [clone("unsafe")].into();
    case.evidence.stale_clones = ["unsafe", "stale"].map(clone).into();
    case.evidence.damaged_sumdb = vec!["/mc/cache/download/sumdb/s/lookup/x".into()];
    let modcache = case.inventory.modcache.as_mut().unwrap();
    modcache.versions[1].partial = modcache.versions[1].lock;
    modcache.vcs = ["unsafe", "stale", "idle"]
        .map(|name| VcsClone {
            path: clone(name),
            url: Some(name.to_owned()),
            measure: Measure::default(),
            modified: ago(9),
        })
        .into();
    let (edited, whole) = (ActionId([1; 32]), ActionId([2; 32]));
    let action = |id| Action {
        id,
        entry: None,
        bytes: 0,
        modified: now(),
        foreign: false,
    };
    let mut kept = action(whole);
    kept.entry = Some(ActionEntry {
        action: whole,
        output: OutputId([3; 32]),
        size: 0,
        time_nanos: 0,
    });
    let mut index = kept;
    index.id = edited;
    case.inventory.buildcache = Some(BuildCache {
        actions: vec![index, kept],
        ..BuildCache::default()
    });
    case.uses.indexes = [
        (id("a.b/edited"), vec![edited]),
        (id("a.b/whole"), vec![whole]),
    ]
    .into();
    case.rules.residue = false;
    assert_eq!(case.goes().len(), 0, "unasked");
    case.rules.repair = true;
    assert_eq!(
        case.goes(),
        [
            "vcs unsafe",
            "vcs stale",
            "residue cache/download/sumdb/s/lookup/x",
            "extracted a.b/edited@v1.0.0",
            "residue a.b/half@v1.0.0",
            "version a.b/poisoned@v1.0.0",
            "version a.b/unheard@v1.0.0",
            &format!("action {edited}"),
        ]
    );
}

#[test]
fn the_first_rule_that_decides_wins() {
    let mut case = Case::new(vec![
        version("a.b/damaged", 9),
        version("a.b/forgotten", 9),
        version("a.b/known", 9),
        version("a.b/needed", 9),
        version("a.b/graph", 9),
        version("a.b/pattern", 9),
        version("a.b/recent", 3),
        version("a.b/today", 0),
        version("a.b/unused", 9),
        version("golang.org/toolchain@v0.0.1-go1.24.3.linux-amd64", 9),
        version("golang.org/toolchain@v0.0.1-go1.25.0.linux-amd64", 9),
    ])
    .needing(&["a.b/needed", "a.b/damaged"], &["a.b/graph"]);
    for (name, days) in [("a.b/known", 5), ("a.b/forgotten", 91)] {
        case.needs.push(Needs {
            source: [id(name)].into(),
            last_seen: Some(ago(days)),
            ..Needs::default()
        });
    }
    case.needs[0].toolchains = ["go1.24", "go1.2"].map(str::to_owned).into();
    case.proof(0).damaged = true;
    case.rules = rules(|rules| {
        rules.unused = true;
        rules.repair = true;
        rules.keep = vec!["a.b/pat*".to_owned()];
        rules.keep_since = Some(Duration::from_secs(5 * DAY));
    });
    assert_eq!(
        case.goes(),
        [
            "version a.b/damaged@v1.0.0",
            "version a.b/forgotten@v1.0.0",
            "extracted a.b/graph@v1.0.0",
            "archive a.b/graph@v1.0.0",
            "version a.b/unused@v1.0.0",
            "toolchain golang.org/toolchain@v0.0.1-go1.25.0.linux-amd64",
        ]
    );
    let plan = case.plan();
    let keeps: Vec<String> = plan
        .versions
        .iter()
        .filter_map(|(_, fate)| match fate {
            Fate::Keep(keep) => Some(keep.to_string()),
            Fate::Remove(..) => None,
        })
        .collect();
    insta::assert_snapshot!(keeps.join("\n"), @r"
    min-ref-count: 1 known projects need it
    a project needs it
    a keep pattern names it
    keep-since: used 3days ago
    grace: used 0s ago
    a project names this toolchain
    ");
    assert_eq!(plan.in_grace, 0, "keep-since keeps it as well");
    case.rules.keep_since = None;
    assert_eq!(case.plan().in_grace, 1149, "of a.b/today");
    case.rules.min_ref_count = 2;
    assert!(case.goes().contains(&"version a.b/known@v1.0.0".to_owned()));
}

#[test]
fn tiers_demote_only_what_the_proven_zip_brings_back() {
    let mut case = Case::new(vec![
        version("a.b/a", 8),
        version("a.b/b", 31),
        version("a.b/c", 31),
        version("a.b/d", 91),
    ]);
    case.proof(2).zip = Proof::Unknown;
    case.rules.tier = "observe=7d,demote=30d,purge=90d".parse().ok();
    assert_eq!(
        case.goes(),
        ["extracted a.b/b@v1.0.0", "version a.b/d@v1.0.0"]
    );
    let notes = case.plan().notes;
    assert!(notes[0].contains("1 module versions are past"), "{notes:?}");
    assert!(
        notes[1].contains("1 module versions keep both"),
        "{notes:?}"
    );
}

#[test]
fn slim_leaves_what_is_not_proven_and_what_may_be_in_use() {
    for (slim, unit) in [(Slim::Extracted, "extracted"), (Slim::Archive, "archive")] {
        let mut case = Case::new(vec![
            version("a.b/a", 9),
            version("a.b/b", 9),
            version("a.b/today", 0),
        ])
        .needing(&["a.b/a", "a.b/b"], &[]);
        *case.proof(1) = VersionProof::default();
        case.rules.slim = Some(slim);
        assert_eq!(case.goes(), [format!("{unit} a.b/a@v1.0.0")]);
    }
}

#[test]
fn size_frees_what_go_makes_itself_first_and_what_is_needed_last() {
    let fits = |modcache, force| {
        let mut case = Case::new(vec![
            version("a.b/needed", 50),
            version("a.b/new", 2),
            version("a.b/old", 9),
        ])
        .needing(&["a.b/needed"], &[]);
        case.rules.trim_modcache_to = Some(modcache);
        case.rules.force = force;
        case.goes()
    };
    // 3 * 1149 bytes.
    assert_eq!(fits(3447, false), Vec::<String>::new());
    assert_eq!(fits(3446, false), ["extracted a.b/old@v1.0.0"]);
    assert_eq!(
        fits(1500, false),
        ["extracted a.b/new@v1.0.0", "extracted a.b/old@v1.0.0"]
    );
    assert_eq!(
        fits(0, false),
        ["version a.b/new@v1.0.0", "version a.b/old@v1.0.0"]
    );
    assert_eq!(fits(0, true).len(), 4, "what is needed keeps its go.mod");
}

fn builds(entries: &[(u8, u8, i64)], outputs: &[(u8, i64)]) -> Option<BuildCache> {
    Some(BuildCache {
        root: "/gc".into(),
        actions: entries
            .iter()
            .map(|&(action, output, days)| Action {
                id: ActionId([action; 32]),
                entry: Some(ActionEntry {
                    action: ActionId([action; 32]),
                    output: OutputId([output; 32]),
                    size: 1000,
                    time_nanos: 0,
                }),
                bytes: 175,
                modified: ago(days),
                foreign: false,
            })
            .collect(),
        outputs: outputs
            .iter()
            .map(|&(output, days)| Output {
                id: OutputId([output; 32]),
                executable: false,
                bytes: 1000,
                modified: ago(days),
            })
            .collect(),
        ..BuildCache::default()
    })
}

/// The first bytes of what goes: entries, outputs.
fn gone(case: &Case) -> (Vec<u8>, Vec<u8>) {
    let mut gone = (Vec::new(), Vec::new());
    for step in case.plan().steps {
        match step.target {
            Target::Builds(_, InBuilds::Action(action)) => gone.0.push(action.id.0[0]),
            Target::Builds(_, InBuilds::Output(output)) => gone.1.push(output.id.0[0]),
            _ => {}
        }
    }
    gone
}

#[test]
fn an_output_lives_as_long_as_an_entry_names_it() {
    let mut case = Case {
        inventory: Inventory {
            buildcache: builds(
                &[(1, 11, 9), (2, 11, 3), (3, 13, 9), (4, 99, 9), (5, 15, 0)],
                &[(11, 9), (13, 9), (14, 9), (15, 9), (16, 0)],
            ),
            ..Inventory::default()
        },
        ..Case::default()
    };
    // Residue: an entry without output, an output without entry.
    assert_eq!(gone(&case), (vec![4], vec![14]));
    case.rules.max_age = Some(Duration::from_secs(5 * DAY));
    assert_eq!(gone(&case), (vec![1, 3, 4], vec![13, 14]));
    // `unused` needs a mark.
    case.rules.max_age = None;
    case.rules.unused = true;
    assert_eq!(gone(&case), (vec![4], vec![14]));
    assert!(case.plan().notes[0].contains("left alone"));
    case.uses.since = Some(ago(0));
    case.uses.actions.insert(ActionId([2; 32]));
    assert_eq!(gone(&case), (vec![1, 3, 4], vec![13, 14]));
    // A mark set entry 3 back: it was used today.
    case.uses.true_times.insert(ActionId([3; 32]), ago(0));
    assert_eq!(gone(&case), (vec![1, 4], vec![14]));
    // Damage goes in spite of all, with every entry that names it.
    case.rules = rules(|rules| (rules.repair, rules.residue) = (true, false));
    case.evidence.damaged_outputs.insert(OutputId([11; 32]));
    assert_eq!(gone(&case), (vec![1, 2], vec![11]));
}

#[test]
fn size_takes_the_oldest_outputs_with_all_their_entries() {
    let mut case = Case {
        inventory: Inventory {
            buildcache: builds(
                &[(1, 11, 9), (2, 11, 3), (3, 13, 8), (4, 14, 0)],
                &[(11, 9), (13, 9), (14, 9)],
            ),
            ..Inventory::default()
        },
        ..Case::default()
    };
    case.rules.trim_gocache_to = Some(3000);
    // Output 11 was used later than 13, by its second entry.
    assert_eq!(gone(&case), (vec![3], vec![13]));
    case.rules.trim_gocache_to = Some(0);
    assert_eq!(gone(&case), (vec![1, 2, 3], vec![11, 13]));
    assert!(case.plan().notes[0].contains("cannot be shrunk"));
}

#[test]
fn half_extracted_trees_and_lonely_hashes_are_residue() {
    let mut half = version("a.b/half", 9);
    half.partial = half.info;
    let mut fresh = version("a.b/fresh", 9);
    fresh.partial = Some(Piece {
        bytes: 0,
        modified: ago(0),
    });
    let mut lonely = version("a.b/lonely", 9);
    lonely.zip = None;
    lonely.tree = None;
    let mut gone = version("a.b/gone", 9);
    (gone.zip, gone.tree, gone.ziphash, gone.info, gone.go_mod) = (None, None, None, None, None);
    let mut case = Case::new(vec![half, fresh, lonely, gone])
        .needing(&["a.b/half", "a.b/fresh", "a.b/lonely"], &[]);
    assert_eq!(
        case.goes(),
        ["residue a.b/half@v1.0.0", "residue a.b/lonely@v1.0.0"]
    );
    case.rules.unused = true;
    assert!(!case.goes().iter().any(|unit| unit.contains("gone")));
}

#[test]
fn defaults_and_limits_become_the_policy() {
    let mut options = Options::default();
    options.goals.max_age = "warn=1d,fail=2d".parse().ok();
    options.goals.max_size = "5".parse().ok();
    options.retention.repair = Some(true);
    options.retention.trim_modcache_to = "3".parse().ok();
    options.retention.grace = Some(Age(Duration::ZERO));
    let rules = RetentionRules::new(&options);
    assert_eq!(rules.max_age, Some(Duration::from_secs(2 * DAY)));
    assert_eq!((rules.trim_to, rules.trim_modcache_to), (Some(5), Some(3)));
    assert_eq!(rules.grace, Duration::ZERO);
    assert!(!rules.residue, "repair alone is about damage alone");
    assert!(RetentionRules::default().residue);
    assert_eq!(RetentionRules::default().grace, Duration::from_secs(DAY));
}

#[test]
#[ignore = "a measure: `cargo test --release --lib -- --ignored --nocapture a_plan_of_100_000_units`"]
fn a_plan_of_100_000_units() {
    let count = 33_000_u32;
    let versions = (0..count).map(|index| {
        let name = format!("example.com/m{index:06}@v1.0.0");
        version(&name, i64::from(index % 7))
    });
    let mut case = Case::new(versions.collect());
    let wide = |index: u32| {
        let mut id = [0; 32];
        id.iter_mut()
            .zip(index.to_be_bytes())
            .for_each(|(to, from)| *to = from);
        id
    };
    let one = builds(&[(1, 1, 9)], &[(1, 9)]).unwrap_or_default();
    case.inventory.buildcache = Some(BuildCache {
        actions: (0..count)
            .map(|index| Action {
                id: ActionId(wide(index)),
                entry: one.actions[0].entry.map(|entry| ActionEntry {
                    action: ActionId(wide(index)),
                    output: OutputId(wide(index)),
                    ..entry
                }),
                modified: ago(i64::from(index % 9)),
                ..one.actions[0]
            })
            .collect(),
        outputs: (0..count)
            .map(|index| Output {
                id: OutputId(wide(index)),
                ..one.outputs[0]
            })
            .collect(),
        ..one
    });
    case.rules.unused = true;
    case.rules.max_age = Some(Duration::from_secs(5 * DAY));
    case.rules.trim_to = Some(1_000_000);
    let start = std::time::Instant::now();
    let plan = case.plan();
    let took = start.elapsed();
    println!("{} steps planned in {took:?}", plan.steps.len());
    assert!(!plan.steps.is_empty());
}

#[test]
fn nothing_goes_for_being_unused_while_needs_are_unknown() {
    let toolchain = "golang.org/toolchain@v0.0.1-go1.24.1.linux-amd64";
    let mut case = Case::new(vec![version("a.b/c", 40), version(toolchain, 40)]);
    case = case.needing(&[], &[]);
    let by_need: [fn(&mut RetentionRules); 4] = [
        |rules| rules.unused = true,
        |rules| rules.toolchains = true,
        |rules| rules.max_age = Some(Duration::from_secs(DAY)),
        |rules| rules.tier = "purge=1d".parse().ok(),
    ];
    for asked in by_need {
        case.rules = rules(asked);
        case.needs[0].unknown = None;
        assert!(!case.goes().is_empty());
        case.needs[0].unknown = Some("it has no go.sum".to_owned());
        assert_eq!(case.goes(), [""; 0]);
        let notes = case.plan().notes;
        assert!(
            notes[0].contains("project 0: it has no go.sum"),
            "{notes:?}"
        );
        // One that was not seen for long does not count, as its needs do not.
        case.needs[0].last_seen = Some(ago(91));
        assert!(!case.goes().is_empty());
        case.needs[0].last_seen = None;
    }
    // Room is made all the same, and all goes when all is to go.
    case.rules = rules(|rules| rules.trim_to = Some(0));
    assert!(!case.goes().is_empty());
    case.rules = rules(|rules| rules.all = true);
    assert_eq!(case.goes().len(), 2);
}

#[test]
fn nothing_goes_for_being_unused_while_use_is_unknown() {
    let mut case = Case::new(vec![version("a.b/c", 9)]).needing(&[], &[]);
    case.inventory.buildcache = builds(
        &[(1, 1, 9), (2, 2, 9), (3, 3, 9)],
        &[(1, 9), (2, 9), (3, 9)],
    );
    case.rules = rules(|rules| rules.unused = true);
    case.uses.since = Some(ago(0));
    assert_eq!(case.goes().len(), 7);
    // Of some entries: the others are judged.
    let cache = case.inventory.buildcache.as_mut().unwrap();
    cache.actions[0].foreign = true;
    case.uses.unseen = [ActionId([2; 32])].into();
    assert_eq!(gone(&case), (vec![3], vec![3]));
    // Of a whole cache: the other one is judged.
    case.uses.since = None;
    case.uses.unknown_builds = Some("no hit and no miss".to_owned());
    assert_eq!(gone(&case), (vec![], vec![]));
    assert!(case.plan().notes[0].contains("no hit and no miss"));
    assert_eq!(case.goes(), ["version a.b/c@v1.0.0"]);
    case.uses.unknown_modules = Some("no hit and no miss".to_owned());
    assert_eq!(case.goes(), [""; 0]);
    // By their times entries go, but for those whose times tell nothing.
    case.rules = rules(|rules| rules.max_age = Some(Duration::from_secs(DAY)));
    assert_eq!(gone(&case), (vec![3], vec![3]));
}
