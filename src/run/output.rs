//! The report goes where the user asked for it.

use crate::error::CommandError;
use crate::findings::display_path;
use crate::render;
use crate::report::Report;
use crate::settings::{Color, Environment, Format, Settings};
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Writes the report to `out` and to every `--output`.
pub fn write_report(
    report: &Report,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<(), CommandError> {
    for output in &settings.options.outputs.output {
        let path = settings.environment.resolve(&output.path);
        let text = render(report, output.format, false);
        write_file(&settings.environment, &path, &text)?;
        tracing::debug!("wrote the report as {output}");
    }
    let format = shown_as(settings);
    out.write_all(render(report, format, color(settings)).as_bytes())?;
    Ok(())
}

fn shown_as(settings: &Settings) -> Format {
    settings.options.form.format.unwrap_or(Format::Text)
}

/// Whether the report is written in this form anywhere.
pub fn writes(settings: &Settings, format: Format) -> bool {
    let outputs = &settings.options.outputs.output;
    shown_as(settings) == format || outputs.iter().any(|output| output.format == format)
}

/// Writes a file that the user named.
pub(super) fn write_file(
    environment: &Environment,
    path: &Path,
    content: &str,
) -> Result<(), CommandError> {
    refuse_links(environment, path)?;
    std::fs::write(path, content).map_err(CommandError::file(path))
}

/// Refuses to write where a link of a checkout leads: whoever can open a pull
/// request can put one there. Links elsewhere, such as `/dev/stdout`, are the
/// user's own.
pub(crate) fn refuse_links(environment: &Environment, path: &Path) -> Result<(), CommandError> {
    let is_project = |folder: &Path| {
        [".git", "go.mod", "go.work"]
            .iter()
            .any(|name| folder.join(name).symlink_metadata().is_ok())
    };
    // The outermost, as a link within it could lead to another.
    let above: Vec<&Path> = path.ancestors().skip(1).collect();
    let mut tops = above
        .into_iter()
        .rev()
        .filter(|folder| folder.parent().is_some());
    let Some(top) = tops.find(|folder| is_project(folder) || *folder == environment.cwd) else {
        return Ok(());
    };
    let below = path.strip_prefix(top).unwrap_or(path);
    let mut place = top.to_owned();
    for part in below {
        place.push(part);
        if place.is_symlink() {
            return Err(CommandError::Work(format!(
                "{}: {} is a symbolic link in the project, and nothing is written through it; name the file that is meant",
                display_path(path),
                display_path(&place)
            ).into()));
        }
    }
    Ok(())
}

fn render(report: &Report, format: Format, color: bool) -> String {
    match format {
        Format::Text => render::text(report, color),
        Format::Json => render::json(report),
        Format::Github => render::github(report),
        Format::Markdown => render::markdown(report),
        Format::OpenMetrics => render::openmetrics(report),
        Format::Sarif => render::sarif(report),
        Format::CodeQuality => render::codequality(report),
    }
}

/// Colour only on a terminal, unless asked for; `NO_COLOR` is obeyed.
fn color(settings: &Settings) -> bool {
    match settings.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            std::io::stdout().is_terminal()
                && settings.environment.var("NO_COLOR").is_none()
                && settings
                    .environment
                    .var("TERM")
                    .is_none_or(|term| term != "dumb")
        }
    }
}
