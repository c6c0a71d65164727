//! What `pack` does, step by step.

use super::PackArgs;
use crate::bundle::choose::{Choice, choose};
use crate::bundle::gather::{self, Damaged, GatheredPieces, Roots};
use crate::bundle::manifest::{self, Manifest};
use crate::bundle::report::PackReport;
use crate::bundle::write::{self, Contents, Form};
use crate::bundle::{Platform, read, sbom};
use crate::cli::progress;
use crate::error::CommandError;
use crate::findings::display_path;
use crate::formats::action::ActionId;
use crate::locate;
use crate::report::{Tool, Verdict};
use crate::run::{self as steps, Found};
use crate::scan::BuildCache;
use crate::settings::{Settings, VerifyLevel};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

/// Packs, checks or unpacks.
pub(crate) fn run(
    settings: &Settings,
    args: &PackArgs,
    out: &mut dyn Write,
) -> Result<Verdict, CommandError> {
    let as_json = settings.options.form.wants_json()?;
    let report = match (&args.bundle_in, &args.bundle_out) {
        (Some(bundle), _) => verify(settings, args, &settings.environment.resolve(bundle))?,
        (None, Some(bundle)) => pack(settings, args, &settings.environment.resolve(bundle))?,
        (None, None) => return Err(CommandError::Usage("which bundle?".into())),
    };
    match as_json {
        true => out.write_all(crate::render::json(&report).as_bytes())?,
        false => out.write_all(report.text().as_bytes())?,
    }
    Ok(report.verdict)
}

fn verify(settings: &Settings, args: &PackArgs, bundle: &Path) -> Result<PackReport, CommandError> {
    let failed = CommandError::file(bundle);
    let digest = args.digest.as_deref();
    let (checked, mut report) = match &args.into {
        Some(dir) => {
            let dir = settings.environment.resolve(dir);
            steps::refuse_links(&settings.environment, &dir)?;
            let checked = read::unpack(bundle, digest, &dir, steps::jobs(settings));
            let mut report = PackReport::new("into", display_path(bundle));
            report.into = Some(display_path(&dir));
            (checked.map_err(failed)?, report)
        }
        None if args.check => {
            let checked = read::check(bundle, digest, steps::jobs(settings)).map_err(failed)?;
            (checked, PackReport::new("check", display_path(bundle)))
        }
        None => {
            return Err(CommandError::Usage(
                "what about that bundle? Say --check or --into DIR; to write one, -o BUNDLE".into(),
            ));
        }
    };
    if let Some(manifest) = &checked.manifest {
        report.tell(manifest, checked.digest);
        report.notes.extend(about_builds(manifest));
    }
    report.damaged = checked
        .problems
        .into_iter()
        .map(|problem| Damaged {
            subject: problem.path,
            message: problem.message,
        })
        .collect();
    if !report.damaged.is_empty() {
        report.verdict = Verdict::Fail;
    }
    Ok(report)
}

/// That nothing proves what a bundle holds of a build cache.
fn about_builds(manifest: &Manifest) -> Option<String> {
    let built = manifest.files.iter();
    let built = built.filter(|file| file.path.starts_with("gocache/"));
    let count = built.count();
    (count > 0).then(|| {
        format!(
            "{count} files of a build cache come along: they are consistent, but that they were made of \
             these sources is the word of whoever packed them"
        )
    })
}

fn pack(settings: &Settings, args: &PackArgs, to: &Path) -> Result<PackReport, CommandError> {
    let form = form_of(settings, to)?;
    let watch = progress::watch(settings.quiet);
    let found = steps::look(settings, VerifyLevel::Off, &*watch)?;
    let Some(cache) = &found.inventory.modcache else {
        return Err(CommandError::Work("there is no module cache here".into()));
    };
    let builds = found.inventory.buildcache.as_ref();
    let roots = Roots {
        modules: cache.folders.clone(),
        builds: builds.and_then(|builds| builds.folders.clone()),
    };
    let mut choice = chosen(&found, &roots, args)?;
    let go = locate::go_settings(&settings.environment);
    let sumdb = steps::cached_sumdb(cache, &go);
    let from = gather::From {
        roots: &roots,
        versions: &cache.versions,
        sums: &found.sums,
        sumdb: &sumdb,
        keys: steps::sumdb_setting(&go).keys(),
        builds: match args.with_gocache {
            true => Some(used_builds(&found)?),
            false => None,
        },
        jobs: steps::jobs(settings),
    };
    let mut gathered = gather::gather(&choice.needs, args.shape, &from, &*watch);
    gathered.damaged.append(&mut choice.damaged);
    let mut report = PackReport::new("pack", display_path(to));
    report.notes.append(&mut choice.notes);
    report.notes.append(&mut gathered.notes);
    report.fetch = gathered.fetch();
    if !gathered.missing.is_empty() || !gathered.damaged.is_empty() {
        report.missing = gathered.missing.into_iter().collect();
        report.damaged = gathered.damaged.into_iter().collect();
        report.verdict = Verdict::Fail;
        return Ok(report);
    }
    let manifest = list(args, &choice, &mut gathered)?;
    let contents = Contents {
        pieces: &gathered.pieces,
        roots: &roots,
        #[cfg(target_os = "linux")]
        carried: &[],
        #[cfg(target_os = "linux")]
        signer: None,
    };
    watch.step("Packing", 0);
    let (manifest, digest) =
        write::write(to, form, manifest, &contents, from.jobs).map_err(CommandError::file(to))?;
    report.tell(&manifest, digest);
    Ok(report)
}

/// The form that a bundle's name asks for, if this build can write it there.
fn form_of(settings: &Settings, to: &Path) -> Result<Form, CommandError> {
    let form = Form::of(to);
    if !form.is_built_in() {
        return Err(CommandError::Usage(write::NO_ZSTD.into()));
    }
    steps::refuse_links(&settings.environment, to)?;
    if std::fs::symlink_metadata(to).is_ok() {
        let message = format!("{} is there already", display_path(to));
        return Err(CommandError::Usage(message.into()));
    }
    Ok(form)
}

/// What the projects need, and the toolchains that were asked for.
fn chosen(found: &Found, roots: &Roots, args: &PackArgs) -> Result<Choice, CommandError> {
    if found.projects.is_empty() {
        return Err(CommandError::Usage(
            "there is no project to pack for: run this in one, or name it with --project DIR"
                .into(),
        ));
    }
    let mut choice = choose(&found.projects, roots, &args.platforms)?;
    tracing::debug!(
        projects = found.projects.len(),
        "found what the projects need"
    );
    if let Some(name) = &args.toolchain {
        let here = [Platform::of_this_machine()];
        let platforms = match args.platforms.as_slice() {
            [] => &here,
            platforms => platforms,
        };
        choice.add_toolchains(name, &found.projects, platforms);
    }
    Ok(choice)
}

/// The SBOM becomes a piece; the manifest lists the modules, but no files yet.
fn list(
    args: &PackArgs,
    choice: &Choice,
    gathered: &mut GatheredPieces,
) -> Result<Manifest, CommandError> {
    let bill = sbom::sbom(choice, gathered, args.shape)
        .map_err(CommandError::failed("writing the bill of materials"))?;
    gathered.add(manifest::SBOM.to_owned(), bill);
    gathered.sort();
    let tool = Tool::this();
    let mut platforms: Vec<String> = args.platforms.iter().map(Platform::to_string).collect();
    platforms.sort();
    platforms.dedup();
    Ok(Manifest {
        schema: manifest::SCHEMA.to_owned(),
        tool: format!("{} {}", tool.name, tool.version),
        shape: args.shape,
        projects: choice.projects.iter().cloned().collect(),
        platforms,
        modules: gathered.modules.clone(),
        go_mods: gathered.go_mods.clone(),
        files: Vec::new(),
        frames: Vec::new(),
        snapshot: None,
    })
}

/// The build cache, and the entries in it that this job used.
fn used_builds(found: &Found) -> Result<(&BuildCache, BTreeSet<ActionId>), CommandError> {
    let Some(cache) = &found.inventory.buildcache else {
        return Err(CommandError::Work("there is no build cache here".into()));
    };
    let Some(observed) = &found.observed else {
        return Err(CommandError::Usage(
            "--with-gocache packs what this job used, which takes a mark: run `gocachevet mark` before the build"
                .into(),
        ));
    };
    Ok((cache, observed.actions.iter().copied().collect()))
}
