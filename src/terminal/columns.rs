//! Text in columns.

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Sets `rows`, the heading among them, in columns two spaces apart. The last column keeps its own width, so its cells may
/// hold colours.
pub(crate) fn columns<const N: usize>(align: [Align; N], rows: &[[String; N]]) -> Vec<String> {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let set = |row: &[String; N]| {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let room = widths[column];
            line.push_str(&match align[column] {
                _ if column + 1 == N => cell.clone(),
                Align::Left => format!("{cell:<room$}  "),
                Align::Right => format!("{cell:>room$}  "),
            });
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(set).collect()
}

/// `value` with `digits` significant digits.
pub(crate) fn number(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !value.is_finite() {
        return value.to_string();
    }
    let decimals = digits.saturating_sub(1);
    let scientific = format!("{value:.decimals$e}");
    // The exponent after rounding, which may differ from the one before.
    let exponent = scientific.rsplit_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok()).unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        return scientific;
    }
    let decimals = usize::try_from(decimals as i32 - exponent).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// As [`number`], empty without a value.
pub(crate) fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(String::new, |value| number(value, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_digits() {
        let written = [1.0, -0.001234567, 123456.7, 9999996.0, 2.5e-9, 0.99999999].map(|value| number(value, 6));
        assert_eq!(written, ["1.00000", "-0.00123457", "123457", "1.00000e7", "2.50000e-9", "1.00000"]);
        assert_eq!([0.0, f64::NAN, f64::INFINITY].map(|value| number(value, 3)), ["0", "NaN", "inf"]);
        assert_eq!(cell(None, 6), "");
    }

    #[test]
    fn columns_line_up() {
        let rows = [["name", "n"], ["mnist", "60000"], ["é", "1"]].map(|row| row.map(str::to_owned));
        let rows: Vec<[String; 3]> = rows.into_iter().map(|[a, b]| [a, b, "end".to_owned()]).collect();
        let set = columns([Align::Left, Align::Right, Align::Left], &rows);
        assert_eq!(set, ["name       n  end", "mnist  60000  end", "é          1  end"]);
    }
}
