//! Damaged files of examples: an error in a sentence or numbers, never a panic.

use std::fs;

use super::mutator::survive;
use super::{RowMeaning, read_file};
use crate::record::npy;
use faer::Mat;

/// Lets the reader see the damaged copies under this name.
fn read_as(name: &str, seed: u64, cases: usize, valid: &[Vec<u8>]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    survive(name, seed, cases, valid, |bytes| {
        fs::write(&path, bytes).unwrap();
        let examples = read_file(&path, RowMeaning::Inputs).map_err(|error| format!("{error:#}"))?;
        assert_eq!(examples.values.len(), examples.rows * examples.columns);
        assert!(examples.rows > 0 && examples.columns > 0 && examples.values.iter().all(|value| value.is_finite()));
        Ok(())
    });
}

#[test]
fn damaged_csv_files() {
    let valid = ["1,2,3\n4,5,-6.5e-3\n0.25,7,8\n", "a, b\n# a remark\n1, -2.5e-3\n\n3,4\n", "\"1\",\"2\"\r\n3,4\r\n"];
    read_as("x.csv", 20, 4000, &valid.map(|text| text.as_bytes().to_vec()));
}

#[test]
fn damaged_npy_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("valid.npy");
    let valid = [(3, 4), (1, 9), (70, 2)].map(|(rows, columns)| {
        npy::write(&path, &Mat::from_fn(rows, columns, |i, j| i as f64 - 0.3 * j as f64)).unwrap();
        fs::read(&path).unwrap()
    });
    read_as("x.npy", 21, 4000, &valid);
}
