//! The files of a kernel job.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::JobOptions;
use crate::record::atomic;
use crate::record::place::{PlaceError, expect_prefix, try_out, with_ending};
use crate::record::tiles::{Fingerprint, Grid, MatrixFile, MatrixTarget};

/// Kernels of at most this many entries are written as text too.
pub(super) const CSV_ENTRIES: usize = 1_000_000;

/// Rows read at once.
const ROWS_AT_ONCE: usize = 16;

/// Where everything goes.
#[derive(Debug)]
pub struct KernelFiles {
    /// What the kernels are called.
    pub names: Vec<String>,
    /// One `.npy` for each kernel that is wanted.
    pub npy: Vec<PathBuf>,
    /// The same as text.
    pub csv: Vec<PathBuf>,
    /// What is there while the job is unfinished.
    pub journal: PathBuf,
}

impl KernelFiles {
    /// Tries the places out.
    ///
    /// # Errors
    /// What stands in the way.
    pub fn new<N: Into<String>>(prefix: &Path, names: impl IntoIterator<Item = N>) -> Result<Self, PlaceError> {
        expect_prefix(prefix)?;
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        let all = |ending: &str| names.iter().map(|name| with_ending(prefix, &format!(".{name}.{ending}"))).collect();
        let (npy, csv) = (all("npy"), all("csv"));
        let files = Self { npy, csv, journal: with_ending(prefix, ".journal"), names };
        for file in files.npy.iter().chain(&files.csv) {
            try_out(file)?;
        }
        Ok(files)
    }

    /// The job that makes them.
    pub(super) fn target(&self, grid: Grid, options: &JobOptions, fingerprint: Fingerprint) -> MatrixTarget {
        MatrixTarget {
            files: self.npy.clone(),
            journal: self.journal.clone(),
            grid,
            keep_tile: options.tile.is_some(),
            storage: options.storage,
            fingerprint,
            restart: options.restart,
        }
    }
}

/// Writes a matrix as text: one row a line, 17 significant digits, which read back exactly.
///
/// # Errors
/// A failure to read or write.
pub(super) fn write_csv(path: &Path, matrix: &MatrixFile) -> io::Result<()> {
    let (mut bytes, mut values) = (Vec::new(), Vec::new());
    atomic::write_with(path, |out| {
        let mut out = BufWriter::new(out);
        for start in (0..matrix.rows()).step_by(ROWS_AT_ONCE) {
            let rows = start..(start + ROWS_AT_ONCE).min(matrix.rows());
            matrix.read_values(rows, 0..matrix.columns(), &mut bytes, &mut values)?;
            for row in values.chunks(matrix.columns()) {
                for (column, value) in row.iter().enumerate() {
                    write!(out, "{}{value:.16e}", if column == 0 { "" } else { "," })?;
                }
                out.write_all(b"\n")?;
            }
        }
        out.flush()
    })
}

#[cfg(test)]
mod tests {
    use super::super::WantedKernels;
    use super::*;
    use crate::record::npy;
    use faer::Mat;

    #[test]
    fn csv_reads_back_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let (npy_path, csv_path) = (folder.path().join("k.npy"), folder.path().join("k.csv"));
        let matrix = Mat::from_fn(35, 3, |i, j| (1.0 + i as f64) / (3.0 + j as f64));
        npy::write(&npy_path, &matrix).unwrap();
        write_csv(&csv_path, &MatrixFile::open(&npy_path, false).unwrap()).unwrap();
        let text = std::fs::read_to_string(csv_path).unwrap();
        assert_eq!(text.lines().count(), 35);
        for (i, line) in text.lines().enumerate() {
            for (j, cell) in line.split(',').enumerate() {
                assert_eq!(cell.parse::<f64>().unwrap(), matrix[(i, j)]);
            }
        }
        assert!(text.starts_with("3.3333333333333331e-1,"), "{text}");
    }

    #[test]
    fn a_prefix_must_name_a_file_in_a_folder_that_exists() {
        let folder = tempfile::tempdir().unwrap();
        assert!(KernelFiles::new(&folder.path().join("k"), WantedKernels::BOTH.names()).is_ok());
        let missing =
            KernelFiles::new(&folder.path().join("no/k"), WantedKernels::BOTH.names()).unwrap_err().to_string();
        assert!(missing.contains("does not exist"), "{missing}");
        let nameless = KernelFiles::new(Path::new("kernels/"), WantedKernels::BOTH.names()).unwrap_err().to_string();
        assert!(nameless.contains("kernels/kernel"), "{nameless}");
    }
}
