//! `gocachevet pack`: options.

mod steps;
pub(crate) use steps::run;

use crate::bundle::{Platform, Shape};
use crate::cli::{Takes, Use, Where, text_or_json};
use crate::settings::FormOptions;
use clap::Args;
use std::path::PathBuf;

/// A bundle for builds without a network, made from the cache alone; or, with
/// `--check` or `--into`, such a bundle verified.
///
/// It holds exactly what the projects' go.sum files and module graphs need, and
/// nothing is written unless all of it is there and has the right hash. It is a
/// .tar.zst, a .tar or, under any other name, a folder. The same input gives
/// the same bytes.
#[derive(Args, Clone, Debug, Default)]
#[command(mut_arg("format", text_or_json))]
pub struct PackArgs {
    /// What is packed, and what is written.
    #[command(flatten)]
    pub shared: Takes<Where, Use, FormOptions>,
    /// The bundle to verify
    #[arg(value_name = "BUNDLE", required_unless_present = "bundle")]
    pub bundle_in: Option<PathBuf>,
    /// The bundle to write: NAME.tar.zst, NAME.tar, or a folder
    #[arg(
        long = "bundle",
        short = 'o',
        id = "bundle",
        value_name = "BUNDLE",
        conflicts_with = "bundle_in"
    )]
    pub bundle_out: Option<PathBuf>,
    /// Verify BUNDLE where it is
    #[arg(long, conflicts_with_all = ["into", "bundle"])]
    pub check: bool,
    /// Verify BUNDLE and unpack it into this folder, which has to be empty or new
    #[arg(long, value_name = "DIR", conflicts_with = "bundle")]
    pub into: Option<PathBuf>,
    /// With --check or --into: what packing printed as the bundle's digest
    #[arg(long, value_name = "SHA256", conflicts_with = "bundle")]
    pub digest: Option<String>,
    /// What builds will find: a ready module cache (GOMODCACHE), or a file tree for GOPROXY
    #[arg(long, value_enum, default_value_t, conflicts_with = "bundle_in")]
    pub shape: Shape,
    /// Only what builds for this system need, as linux/amd64; repeatable [default: every system]
    #[arg(
        long = "platform",
        value_name = "GOOS/GOARCH",
        conflicts_with = "bundle_in"
    )]
    pub platforms: Vec<Platform>,
    /// Pack toolchains, too: those that the projects name, or this one
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "auto",
        conflicts_with = "bundle_in"
    )]
    pub toolchain: Option<String>,
    /// Pack the build outputs that this job used, too; needs `gocachevet mark` at its start
    #[arg(long, conflicts_with = "bundle_in")]
    pub with_gocache: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::grammar;
    use crate::commands::{Cli, Command};
    use clap::FromArgMatches;

    fn parsed(line: &str) -> Result<PackArgs, clap::Error> {
        let matches = grammar().try_get_matches_from(line.split(' '))?;
        let cli = Cli::from_arg_matches(&matches)?;
        let Some(Command::Pack(args)) = cli.command else {
            panic!("not pack")
        };
        Ok(*args)
    }

    #[test]
    fn a_bundle_is_named_in_several_ways() {
        for line in [
            "gocachevet pack -o b.tar.zst",
            "gocachevet pack --bundle b.tar.zst",
            "gocachevet pack --project p -o b.tar.zst --toolchain",
            "gocachevet --project p pack --platform linux/amd64 -o b.tar.zst",
        ] {
            let args = parsed(line).unwrap();
            assert_eq!(args.bundle_out, Some("b.tar.zst".into()), "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "gocachevet pack",
            "gocachevet pack --check",
            "gocachevet pack --into d",
            "gocachevet pack --into d --check b",
            "gocachevet pack b -o c",
            "gocachevet pack --check b --shape proxy",
            "gocachevet pack -o b --digest 00",
            "gocachevet pack -o b --platform linux",
            "gocachevet pack --output json=r.json -o b",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        let args = parsed("gocachevet pack --check b").unwrap();
        assert_eq!((args.check, args.bundle_in), (true, Some("b".into())));
    }
}
