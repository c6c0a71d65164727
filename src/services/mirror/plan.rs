//! Which stored versions go, which stay, and why. Pure.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};

use super::{Mirror, StoredVersion};
use crate::formats::gosum::GoSum;
use crate::formats::module::{ModuleVersion, match_prefix_patterns};
use crate::services::eviction::{
    self, EvictionPlan, Extent, Order, Ruling, SizeLimit, StoredUnit, UseRules,
};
use crate::services::heat::Heat;

/// What the user asked for. Nothing is removed unless something here says so.
#[derive(Debug, Clone, Default)]
pub struct MirrorRules {
    /// Globs of module paths that stay, with `@version` if only that.
    pub keep: Vec<String>,
    /// What the accesses say.
    pub uses: UseRules,
    /// Remove by score until all fits.
    pub max_bytes: Option<u64>,
    /// Patterns of modules that cannot be had again, as in `GOPRIVATE`.
    pub private: String,
    /// Let what projects need and what is private go too, last of all.
    pub force: bool,
}

/// What the known projects need of the mirror.
#[derive(Debug, Clone, Default)]
pub struct MirrorNeeds {
    whole: BTreeSet<ModuleVersion>,
    go_mod: BTreeSet<ModuleVersion>,
}

impl MirrorNeeds {
    /// Adds a project: an `h1:` line needs the version whole, a `/go.mod`
    /// line its `.mod` file.
    pub fn add(&mut self, sums: &GoSum) {
        self.whole.extend(sums.zips.keys().cloned());
        self.go_mod.extend(sums.go_mods.keys().cloned());
    }

    /// What is needed of a version: `version`, `go.mod`, or nothing.
    pub fn of(&self, id: &ModuleVersion) -> Option<&'static str> {
        if self.whole.contains(id) {
            return Some("version");
        }
        self.go_mod.contains(id).then_some("go.mod")
    }
}

/// Weighs every version; the first rule that decides wins.
pub fn plan(
    mirror: &Mirror,
    heat_of: impl Fn(&StoredVersion) -> Heat,
    needs: &MirrorNeeds,
    policy: &MirrorRules,
    now: DateTime<Utc>,
) -> EvictionPlan {
    let unit = |version: &StoredVersion| {
        let heat = heat_of(version);
        // Whatever removes a version without force leaves the `.mod` that a
        // project's module graph is loaded from.
        let part = match needs.go_mod.contains(&version.id) {
            true => Extent::Zip,
            false => Extent::Whole,
        };
        let part_bytes = version.part_bytes(part);
        let ruling = match weigh(version, heat, needs, policy, now) {
            Ruling::Remove(_) if part_bytes == 0 => {
                Ruling::Keep("a project needs its go.mod".to_owned())
            }
            ruling => ruling,
        };
        StoredUnit {
            ruling,
            bytes: version.bytes(),
            part,
            part_bytes,
            heat,
        }
    };
    let units: Vec<StoredUnit> = mirror.versions.iter().map(unit).collect();
    let limit = SizeLimit {
        bytes: policy.max_bytes,
        order: Order::Coldest,
        force: policy.force,
    };
    eviction::plan(&units, limit, Vec::new(), now)
}

fn weigh(
    version: &StoredVersion,
    heat: Heat,
    needs: &MirrorNeeds,
    policy: &MirrorRules,
    now: DateTime<Utc>,
) -> Ruling {
    if let Some(glob) = policy.keep.iter().find(|glob| matches(glob, &version.id)) {
        return Ruling::Keep(format!("matches keep {glob:?}"));
    }
    if needs.whole.contains(&version.id) {
        return Ruling::Dear("a project's go.sum needs it".to_owned());
    }
    if match_prefix_patterns(&policy.private, &version.id.path) {
        return Ruling::Dear("private, cannot be had again".to_owned());
    }
    let ruling = policy.uses.keep(heat, now);
    ruling.unwrap_or_else(|| policy.uses.remove(heat, version.stored, now, NO_LOGS))
}

const NO_LOGS: &str = "min-hit-count: no week of access logs";

/// Whether a `keep` pattern (`path` or `path@version`, both globs) fits.
fn matches(glob: &str, id: &ModuleVersion) -> bool {
    let (path, version) = glob.split_once('@').unwrap_or((glob, "*"));
    fast_glob::glob_match(path, &id.path) && fast_glob::glob_match(version, &id.version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::mirror::testing::{mirror, now};
    use chrono::TimeDelta;

    /// Each version has an .info of 10, a .mod of 20 and a .zip of 1000 bytes
    /// and was last asked for as many hours ago as the fixture says.
    fn fixture() -> (Mirror, impl Fn(&StoredVersion) -> Heat) {
        let mirror = mirror(&[
            "corp.example/secret@v1.0.0",
            "golang.org/x/cold@v0.1.0",
            "golang.org/x/graph@v0.1.0",
            "golang.org/x/hot@v0.1.0",
            "golang.org/x/live@v0.1.0",
            "golang.org/x/warm@v0.1.0",
        ]);
        let heat = |version: &StoredVersion| {
            let (count, hours) = match version.id.path.as_str() {
                "golang.org/x/hot" => (9, 1),
                "golang.org/x/warm" => (2, 30),
                _ => (0, 2000),
            };
            Heat {
                count,
                last: now() - TimeDelta::hours(hours),
                exact: true,
            }
        };
        (mirror, heat)
    }

    fn needs() -> MirrorNeeds {
        let mut needs = MirrorNeeds::default();
        let hash = format!("h1:{}=", "A".repeat(43));
        let sums = format!(
            "golang.org/x/live v0.1.0 {hash}\ngolang.org/x/live v0.1.0/go.mod {hash}\n\
             golang.org/x/graph v0.1.0/go.mod {hash}\n"
        );
        needs.add(&GoSum::parse(sums.as_bytes()).unwrap());
        needs
    }

    fn explain(policy: &MirrorRules) -> String {
        let (mirror, heat) = fixture();
        let plan = plan(&mirror, heat, &needs(), policy, now());
        let mut text = String::new();
        for (version, decision) in mirror.versions.iter().zip(&plan.decisions) {
            text += &format!(
                "{:?} {}: {}\n",
                decision.removal, version.id, decision.reason
            );
        }
        text + &format!("over {}", plan.over)
    }

    #[test]
    fn what_projects_need_and_what_is_private_stays() {
        let policy = MirrorRules {
            private: "corp.example".into(),
            uses: UseRules {
                cutoff: Some(TimeDelta::days(30)),
                ..UseRules::default()
            },
            ..MirrorRules::default()
        };
        insta::assert_snapshot!(explain(&policy), @r#"
        Nothing corp.example/secret@v1.0.0: private, cannot be had again
        Whole golang.org/x/cold@v0.1.0: not accessed for 83 d
        Zip golang.org/x/graph@v0.1.0: not accessed for 83 d
        Nothing golang.org/x/hot@v0.1.0: nothing speaks against it
        Nothing golang.org/x/live@v0.1.0: a project's go.sum needs it
        Nothing golang.org/x/warm@v0.1.0: nothing speaks against it
        over 0
        "#);
    }

    #[test]
    fn size_takes_the_coldest_first_and_the_dear_only_by_force() {
        let policy = MirrorRules {
            private: "corp.example".into(),
            keep: vec!["golang.org/x/w*@v0.1.*".into()],
            max_bytes: Some(1500),
            ..MirrorRules::default()
        };
        insta::assert_snapshot!(explain(&policy), @r#"
        Nothing corp.example/secret@v1.0.0: private, cannot be had again
        Whole golang.org/x/cold@v0.1.0: max-size: score 0.000 (0 within 7 days, last 83 d ago) is among the lowest
        Zip golang.org/x/graph@v0.1.0: max-size: score 0.000 (0 within 7 days, last 83 d ago) is among the lowest
        Whole golang.org/x/hot@v0.1.0: max-size: score 8.947 (9 within 7 days, last 1 h ago) is among the lowest
        Nothing golang.org/x/live@v0.1.0: a project's go.sum needs it
        Nothing golang.org/x/warm@v0.1.0: matches keep "golang.org/x/w*@v0.1.*"
        over 1620
        "#);
        insta::assert_snapshot!(explain(&MirrorRules { force: true, ..policy }), @r#"
        Whole corp.example/secret@v1.0.0: max-size: forced, though private, cannot be had again; score 0.000 (0 within 7 days, last 83 d ago) is among the lowest
        Whole golang.org/x/cold@v0.1.0: max-size: score 0.000 (0 within 7 days, last 83 d ago) is among the lowest
        Zip golang.org/x/graph@v0.1.0: max-size: score 0.000 (0 within 7 days, last 83 d ago) is among the lowest
        Whole golang.org/x/hot@v0.1.0: max-size: score 8.947 (9 within 7 days, last 1 h ago) is among the lowest
        Whole golang.org/x/live@v0.1.0: max-size: forced, though a project's go.sum needs it; score 0.000 (0 within 7 days, last 83 d ago) is among the lowest
        Nothing golang.org/x/warm@v0.1.0: matches keep "golang.org/x/w*@v0.1.*"
        over 0
        "#);
    }

    #[test]
    fn a_low_count_removes_only_if_it_is_known() {
        let policy = MirrorRules {
            uses: UseRules {
                min_hit_count: Some(3),
                ..UseRules::default()
            },
            ..MirrorRules::default()
        };
        let (mirror, heat) = fixture();
        let blind = |version: &StoredVersion| Heat {
            exact: false,
            ..heat(version)
        };
        let sure = plan(&mirror, &heat, &MirrorNeeds::default(), &policy, now());
        assert_eq!(
            sure.decisions
                .iter()
                .filter(|d| d.removal == Extent::Whole)
                .count(),
            5
        );
        let unsure = plan(&mirror, blind, &MirrorNeeds::default(), &policy, now());
        assert!(
            unsure
                .decisions
                .iter()
                .all(|decision| decision.removal == Extent::Nothing)
        );
        assert_eq!(unsure.unjudged.len(), 1);
    }
}
