//! Columns for the text form: no lines, two spaces between.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// One line a row. `align` has a letter per column: `l` or `r`.
/// Cells must be escaped already and hold no line breaks.
pub(crate) fn lines(rows: &[Vec<String>], align: &str) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.add_rows(rows);
    let last = align.len().saturating_sub(1);
    for (index, letter) in align.chars().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, if index == last { 0 } else { 2 }));
            if letter == 'r' {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    table
        .lines()
        .map(|line| line.trim_end().to_owned())
        .collect()
}
