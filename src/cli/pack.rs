//! `gocachevet pack`: options.

use crate::pack::{Platform, Shape};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// A bundle for builds without a network, made from the cache alone; or, with
/// `--check` or `--into`, such a bundle verified.
///
/// It holds exactly what the projects' go.sum files and module graphs need, and
/// nothing is written unless all of it is there and has the right hash. It is a
/// .tar.zst, a .tar or, under any other name, a folder. The same input gives
/// the same bytes.
#[derive(Args, Clone, Debug, Default)]
pub struct PackArgs {
    /// The bundle to verify
    #[arg(value_name = "BUNDLE", required_unless_present = "bundle")]
    pub bundle_in: Option<PathBuf>,
    /// The bundle to write, also as -o BUNDLE: NAME.tar.zst, NAME.tar, or a folder
    #[arg(
        long = "bundle",
        id = "bundle",
        value_name = "BUNDLE",
        conflicts_with_all = ["bundle_in", "check", "into"]
    )]
    pub bundle_out: Option<PathBuf>,
    /// Verify BUNDLE where it is
    #[arg(long, requires = "bundle_in", conflicts_with = "into")]
    pub check: bool,
    /// Verify BUNDLE and unpack it into this folder, which has to be empty or new
    #[arg(long, value_name = "DIR", requires = "bundle_in")]
    pub into: Option<PathBuf>,
    /// With --check or --into: what packing printed as the bundle's digest
    #[arg(long, value_name = "SHA256", requires = "bundle_in")]
    pub digest: Option<String>,
    /// What builds will find: a ready module cache (GOMODCACHE), or a file tree for GOPROXY
    #[arg(long, value_enum, default_value_t, requires = "bundle")]
    pub shape: Shape,
    /// Only what builds for this system need, as linux/amd64; repeatable [default: every system]
    #[arg(long = "platform", value_name = "GOOS/GOARCH", requires = "bundle")]
    pub platforms: Vec<Platform>,
    /// Pack toolchains, too: those that the projects name, or this one
    #[arg(
        long,
        value_name = "NAME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "auto",
        requires = "bundle"
    )]
    pub toolchain: Option<String>,
    /// Pack the build outputs that this job used, too; needs `gocachevet mark` at its start
    #[arg(long, requires = "bundle")]
    pub with_gocache: bool,
}

/// `pack -o BUNDLE` names the bundle, as anybody would try it; to all commands
/// alike `-o` is `--output FORMAT=PATH`, and still is where it says a format.
pub(super) fn name_the_bundle(args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let Some(pack) = args.iter().position(|arg| arg == "pack") else {
        return args;
    };
    for at in pack..args.len() {
        let is_report = |value: &OsString| value.as_encoded_bytes().contains(&b'=');
        let names_it = args.get(at + 1).is_some_and(|value| !is_report(value));
        if let Some(arg) = args.get_mut(at)
            && names_it
            && *arg == "-o"
        {
            *arg = "--bundle".into();
        }
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parsed(line: &str) -> Result<(Cli, PackArgs), clap::Error> {
        let args = line.split(' ').map(OsString::from);
        let cli = Cli::try_parse_from(name_the_bundle(args))?;
        let Some(Command::Pack(args)) = cli.command.clone() else {
            panic!("not pack")
        };
        Ok((cli, *args))
    }

    #[test]
    fn a_bundle_is_named_in_several_ways() {
        for line in [
            "gocachevet pack -o b.tar.zst",
            "gocachevet pack --bundle b.tar.zst",
            "gocachevet pack --project p -o b.tar.zst --toolchain",
            "gocachevet --project p pack --platform linux/amd64 -o b.tar.zst",
        ] {
            let (_, args) = parsed(line).unwrap();
            assert_eq!(args.bundle_out, Some("b.tar.zst".into()), "{line}");
        }
        let (cli, args) = parsed("gocachevet pack -o json=r.json --bundle b").unwrap();
        assert_eq!(
            (cli.options.output.len(), args.bundle_out),
            (1, Some("b".into()))
        );
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
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
        let (_, args) = parsed("gocachevet pack --check b").unwrap();
        assert_eq!((args.check, args.bundle_in), (true, Some("b".into())));
    }
}
