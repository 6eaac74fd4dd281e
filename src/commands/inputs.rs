//! Examples in files of the user's: `.csv` of numbers or `.npy`.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use widthwise::record::npy;

/// Examples as read, `rows x columns` row-major.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Examples {
    pub(super) values: Vec<f64>,
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// Reads a file by the ending of its name.
///
/// # Errors
/// A file that cannot be read, has no examples, or holds something else than finite numbers in rows of one length.
pub(super) fn read(path: &Path) -> Result<Examples> {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let examples = match extension.as_deref() {
        Some("npy") => read_npy(path)?,
        Some("csv") => {
            let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            parse_csv(&text).with_context(|| path.display().to_string())?
        }
        _ => bail!("{}: inputs are a .csv or a .npy file; give the name one of these endings", path.display()),
    };
    ensure!(examples.rows > 0 && examples.columns > 0, "{} holds no numbers; one row is one example", path.display());
    if let Some(index) = examples.values.iter().position(|value| !value.is_finite()) {
        let (row, column) = (index / examples.columns + 1, index % examples.columns + 1);
        bail!("{}: row {row}, column {column} is {}; inputs must be finite", path.display(), examples.values[index]);
    }
    Ok(examples)
}

fn read_npy(path: &Path) -> Result<Examples> {
    let matrix = npy::read(path)?;
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    let values = (0..rows).flat_map(|i| (0..columns).map(move |j| (i, j))).map(|at| matrix[at]).collect();
    Ok(Examples { values, rows, columns })
}

/// A first row without any number is a header; empty lines are passed over.
fn parse_csv(text: &str) -> Result<Examples> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let mut examples = Examples { values: Vec::new(), rows: 0, columns: 0 };
    let mut is_first = true;
    for record in reader.records() {
        let record = record?;
        let line = record.position().map_or(0, csv::Position::line);
        let is_header = is_first && record.iter().all(|cell| cell.parse::<f64>().is_err());
        is_first = false;
        if is_header {
            examples.columns = record.len();
            continue;
        }
        if examples.columns == 0 {
            examples.columns = record.len();
        }
        let (found, expected) = (record.len(), examples.columns);
        ensure!(found == expected, "line {line} has {found} numbers, the lines before it {expected}");
        for cell in &record {
            let value = cell.parse::<f64>();
            examples.values.push(value.with_context(|| format!("line {line}: \"{cell}\" is not a number"))?);
        }
        examples.rows += 1;
    }
    Ok(examples)
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;

    #[test]
    fn csv_and_npy_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let (csv, npy_path) = (folder.path().join("x.csv"), folder.path().join("x.NPY"));
        std::fs::write(&csv, "a, b\n# a remark\n1, -2.5e-3\n\n3,4\n").unwrap();
        npy::write(&npy_path, &Mat::from_fn(2, 2, |i, j| [[1.0, -2.5e-3], [3.0, 4.0]][i][j])).unwrap();
        let expected = Examples { values: vec![1.0, -2.5e-3, 3.0, 4.0], rows: 2, columns: 2 };
        assert_eq!(read(&csv).unwrap(), expected);
        assert_eq!(read(&npy_path).unwrap(), expected);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        for (text, expected) in [
            ("1,2\n3\n", "line 2 has 1 numbers, the lines before it 2"),
            ("1,2\n3,x\n", "line 2: \"x\" is not a number"),
            ("1,2\n3,nan\n", "row 2, column 2 is NaN"),
            ("", "holds no numbers"),
            ("a,b\n", "holds no numbers"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("x.csv");
            std::fs::write(&path, text).unwrap();
            let message = format!("{:#}", read(&path).unwrap_err());
            assert!(message.contains(expected), "{message}");
        }
        let message = read(Path::new("x.txt")).unwrap_err().to_string();
        assert!(message.contains(".csv or a .npy"), "{message}");
    }
}
