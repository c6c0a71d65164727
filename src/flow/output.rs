//! The report goes where the user asked for it.

use crate::cli::{CliError, Color, Settings};
use crate::config::Format;
use crate::findings::display_path;
use crate::render::{self, TextStyle};
use crate::report::Report;
use std::io::{IsTerminal, Write};

/// Writes the report to `out` and to every `--output`.
pub fn write_report(
    report: &Report,
    settings: &Settings,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    for output in &settings.options.output {
        let path = settings.environment.resolve(&output.path);
        let text = render(report, output.format, TextStyle::default());
        std::fs::write(&path, text)
            .map_err(|error| CliError::Work(format!("{}: {error}", display_path(&path))))?;
    }
    let style = TextStyle {
        color: color(settings),
        ..TextStyle::default()
    };
    let format = settings.options.format.unwrap_or(Format::Text);
    out.write_all(render(report, format, style).as_bytes())?;
    Ok(())
}

fn render(report: &Report, format: Format, style: TextStyle) -> String {
    match format {
        Format::Text => render::text(report, style),
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
