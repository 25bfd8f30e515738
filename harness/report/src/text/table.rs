//! Columns that line up.

/// How a column is set.
pub type Align = bool;
/// To the left.
pub const LEFT: Align = false;
/// To the right, as numbers are.
pub const RIGHT: Align = true;

/// The rows below each other, two spaces in and two between columns. Rows may be of
/// different length; the last column of each is not padded.
#[must_use]
pub fn render(rows: &[Vec<String>], aligns: &[Align]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            line.push_str("  ");
            let padding = " ".repeat(widths[column] - cell.chars().count());
            if aligns.get(column).copied().unwrap_or(LEFT) {
                line.push_str(&padding);
                line.push_str(cell);
            } else {
                line.push_str(cell);
                line.push_str(&padding);
            }
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_characters() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect();
        let text = render(
            &[row(&["a", "p50"]), row(&["proxy", "7 µs"]), row(&["x"])],
            &[LEFT, RIGHT],
        );
        assert_eq!(text, "  a       p50\n  proxy  7 µs\n  x\n");
    }
}
