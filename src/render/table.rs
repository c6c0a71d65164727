//! Columns for the text form: no lines, two spaces between.

use unicode_width::UnicodeWidthStr;

/// One line a row. `align` has a letter per column: `l` or `r`.
/// Cells must be escaped already and hold no line breaks.
pub(crate) fn lines(rows: &[Vec<String>], align: &str) -> Vec<String> {
    let widths: Vec<usize> = (0..align.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        })
        .collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for ((cell, letter), width) in row.iter().zip(align.chars()).zip(&widths) {
            let space = " ".repeat(width - cell.width());
            let (left, right) = if letter == 'r' {
                (&*space, "")
            } else {
                ("", &*space)
            };
            line.extend([left, cell, right, "  "]);
        }
        line.truncate(line.trim_end().len());
        line
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other_however_wide_their_letters() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [row(["a", "1", "x"]), row(["\u{4e2d}\u{6587}", "100", ""])];
        assert_eq!(
            lines(&rows, "lrl"),
            ["a       1  x", "\u{4e2d}\u{6587}  100"]
        );
        assert_eq!(lines(&[], "lr"), Vec::<String>::new());
    }
}
