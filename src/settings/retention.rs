use crate::values::{Age, Size};
use clap::{ArgAction, Args};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a trim keeps and what it removes. Every field is a flag and a key of
/// `gocachevet.toml`; `max-age` is shared with the threshold of that name.
///
/// A field that is not given is `None` or empty, as in all [`Options`](super::Options).
#[derive(Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[command(next_help_heading = "Retention")]
pub struct RetentionOptions {
    // What stays
    /// Keep PATH[@VERSION] in any case, `*` and `**` allowed; repeatable
    #[arg(long, value_name = "PATTERN")]
    #[serde(default)]
    pub keep: Vec<String>,
    /// Keep what was used so recently: a build may be using it [default: 24h]
    #[arg(long, value_name = "AGE")]
    pub grace: Option<Age>,
    /// Keep what was used within this time
    #[arg(long, value_name = "AGE", hide_short_help = true)]
    pub keep_since: Option<Age>,
    /// Keep what at least N known projects need
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub min_ref_count: Option<u64>,
    /// Keep what any of the last N marked jobs used [default: 10]
    ///
    /// Counted for each name that CI gives its jobs; jobs that used nothing do
    /// not count.
    #[arg(long, value_name = "N")]
    pub idle_runs: Option<u64>,
    /// Projects and names of jobs not seen for so long no longer count [default: 90d]
    #[arg(long, value_name = "AGE", hide_short_help = true)]
    pub forget_after: Option<Age>,

    // What goes
    /// Remove everything that nothing keeps
    #[arg(long, action = ArgAction::SetTrue)]
    pub unused: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "unused", hide_short_help = true)]
    #[serde(skip)]
    pub no_unused: bool,
    /// Remove in steps by the last use: observe=7d,demote=30d,purge=90d
    #[arg(long, value_name = "STEPS", hide_short_help = true)]
    pub tier: Option<Tier>,
    /// Remove until both caches together fit [default: max-size]
    #[arg(long, value_name = "SIZE")]
    pub trim_to: Option<Size>,
    /// Remove until the module cache fits [default: max-modcache-size]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub trim_modcache_to: Option<Size>,
    /// Remove until the build cache fits [default: max-gocache-size]
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub trim_gocache_to: Option<Size>,
    /// To fit, remove even what projects need
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    pub force: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "force", hide_short_help = true)]
    #[serde(skip)]
    pub no_force: bool,
    /// Drop one of the two copies of a module version: extracted or archive
    #[arg(long, value_name = "COPY", hide_short_help = true)]
    #[arg(hide_possible_values = true)]
    pub slim: Option<Slim>,
    /// Run CMD (through sh, in the project, without a network for Go) before anything is deleted for good; if it fails, all is put back
    #[arg(long, value_name = "CMD", hide_short_help = true)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub prove: Option<String>,
    /// Remove what is damaged, so that Go downloads or builds it again
    #[arg(long, action = ArgAction::SetTrue)]
    pub repair: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "repair", hide_short_help = true)]
    #[serde(skip)]
    pub no_repair: bool,
    /// Remove what broken downloads and extractions left (a plain trim does only this)
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    pub residue: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "residue", hide_short_help = true)]
    #[serde(skip)]
    pub no_residue: bool,
    /// Remove idle version-control clones
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    pub vcs: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "vcs", hide_short_help = true)]
    #[serde(skip)]
    pub no_vcs: bool,
    /// Remove all Go toolchains but those that the projects name
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    pub toolchains: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "toolchains", hide_short_help = true)]
    #[serde(skip)]
    pub no_toolchains: bool,
    /// Empty both caches, but for locks
    #[arg(long, action = ArgAction::SetTrue)]
    pub all: Option<bool>,
    /// Not that, whatever the configuration says
    #[arg(long, conflicts_with = "all", hide_short_help = true)]
    #[serde(skip)]
    pub no_all: bool,
}

/// Which of a module version's two copies is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Slim {
    /// The extracted tree; Go extracts it again from the zip.
    Extracted,
    /// The zip; builds need the tree alone.
    Archive,
}

/// Steps by time since the last use. Each is at least as long as the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tier {
    /// From here on it is reported.
    pub observe: Option<Age>,
    /// From here on the extracted tree goes and the zip stays.
    pub demote: Option<Age>,
    /// From here on all of it goes.
    pub purge: Option<Age>,
}

impl FromStr for Tier {
    type Err = String;

    fn from_str(text: &str) -> Result<Tier, String> {
        let mut tier = Tier::default();
        for part in text.split(',') {
            let (name, age) = part.split_once('=').ok_or_else(|| {
                format!("`{part}` is not a valid step; write `observe=7d,demote=30d,purge=90d`")
            })?;
            let slot = match name.trim() {
                "observe" => &mut tier.observe,
                "demote" => &mut tier.demote,
                "purge" => &mut tier.purge,
                other => {
                    return Err(format!(
                        "unknown step `{other}`; the steps are observe, demote and purge"
                    ));
                }
            };
            if slot.replace(age.trim().parse()?).is_some() {
                return Err(format!("`{text}` gives the same step twice"));
            }
        }
        let given: Vec<Age> = tier.steps().filter_map(|(_, age)| age).collect();
        if !given.is_sorted() {
            return Err(format!(
                "`{text}`: observe must not be longer than demote, nor demote than purge"
            ));
        }
        Ok(tier)
    }
}

impl Tier {
    fn steps(&self) -> impl Iterator<Item = (&'static str, Option<Age>)> {
        [
            ("observe", self.observe),
            ("demote", self.demote),
            ("purge", self.purge),
        ]
        .into_iter()
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (name, age) in self.steps() {
            if let Some(age) = age {
                write!(f, "{comma}{name}={age}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

crate::values::as_text!(Tier);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiers_are_steps_in_order() {
        for text in [
            "observe=7d,demote=30d,purge=90d",
            "purge=1h",
            "demote=0,purge=0",
        ] {
            let tier: Tier = text.parse().unwrap();
            assert_eq!(tier.to_string().parse(), Ok(tier), "{text}");
        }
        for wrong in [
            "",
            "30d",
            "melt=3d",
            "purge=1d,purge=2d",
            "demote=3d,purge=2d",
            "purge=soon",
        ] {
            assert!(wrong.parse::<Tier>().is_err(), "{wrong}");
        }
    }
}
