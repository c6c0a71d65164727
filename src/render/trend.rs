//! Size and hit rate over the last jobs.

use super::section::{Block, Section};
use crate::report::JobPoint;
use crate::text::human;

/// As many jobs as a chart shows, the newest.
const JOBS: usize = 20;

/// A low chart, and a line in a colour that is seen on white and on black.
const STYLE: &str = concat!(
    r##"%%{init: {"xyChart": {"height": 220}, "##,
    r##""themeVariables": {"xyChart": {"backgroundColor": "transparent", "plotColorPalette": "#3b82c4"}}}}%%"##
);

/// A line of heights and, in a summary, charts; nothing for fewer than two jobs.
pub(super) fn section(trend: &[JobPoint]) -> Option<Section> {
    let oldest_left_out = trend.len().saturating_sub(JOBS);
    let trend = trend.get(oldest_left_out..)?;
    let mut section = Section::new("Trend").aside(sparkline(trend)?);
    section.blocks = charts(trend).map(Block::Chart).collect();
    Some(section)
}

/// Mermaid charts, one for the size and one for the hit rate where they are known.
fn charts(trend: &[JobPoint]) -> impl Iterator<Item = String> {
    let unit = trend.iter().map(|job| job.bytes).max().unwrap_or(0);
    let (unit, divisor) = if unit >= 1_000_000_000 {
        ("GB", 1e9)
    } else {
        ("MB", 1e6)
    };
    let sizes: Vec<(u64, f64)> = trend
        .iter()
        .map(|job| (job.job, job.bytes as f64 / divisor))
        .collect();
    let rates: Vec<(u64, f64)> = trend
        .iter()
        .filter_map(|job| job.hit_rate.map(|rate| (job.job, rate * 100.0)))
        .collect();
    let top = sizes.iter().map(|(_, size)| *size).fold(0.0, f64::max) * 1.1;
    [
        chart(
            &format!("Size after each job ({unit})"),
            unit,
            top.max(0.1),
            &sizes,
        ),
        chart("Hit rate of each job (%)", "%", 100.0, &rates),
    ]
    .into_iter()
    .flatten()
}

fn chart(title: &str, unit: &str, top: f64, points: &[(u64, f64)]) -> Option<String> {
    if points.len() < 2 {
        return None;
    }
    let list = |values: Vec<String>| values.join(", ");
    Some(format!(
        "{STYLE}\nxychart-beta\n    title \"{title}\"\n    x-axis \"job\" [{}]\n    y-axis \"{unit}\" 0 --> {top:.1}\n    line [{}]",
        list(points.iter().map(|(job, _)| job.to_string()).collect()),
        list(
            points
                .iter()
                .map(|(_, value)| format!("{value:.2}"))
                .collect()
        ),
    ))
}

/// The trend in a line of eight heights, and its ends in words.
fn sparkline(trend: &[JobPoint]) -> Option<String> {
    const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let (first, last) = (trend.first()?, trend.last()?);
    if trend.len() < 2 {
        return None;
    }
    let top = trend.iter().map(|job| job.bytes).max().unwrap_or(0);
    let line: String = trend
        .iter()
        .map(|job| {
            let height = (human::share(job.bytes, top) * 7.0).round() as usize;
            HEIGHTS.get(height).copied().unwrap_or("█")
        })
        .collect();
    let mut text = format!(
        "{line}  {} → {}",
        human::size(first.bytes),
        human::size(last.bytes)
    );
    let rates: Vec<f64> = trend.iter().filter_map(|job| job.hit_rate).collect();
    if let (Some(first), Some(last)) = (rates.first(), rates.last()) {
        text.push_str(&format!(
            ", hit rate {} → {}",
            human::percent(*first),
            human::percent(*last)
        ));
    }
    Some(text)
}
