//! Importing folders, with the genuine files where they are available and with damaged ones everywhere.

use std::fs;
use std::path::{Path, PathBuf};
use widthwise_datasets::import::import;
use widthwise_datasets::{DataError, DatasetSpec, load};

/// The folder with the genuine data sets, if there is one.
fn genuine(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("WIDTHWISE_TEST_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"), PathBuf::from);
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} is not there; WIDTHWISE_TEST_DATA names the folder of the genuine data", folder.display());
    None
}

#[test]
fn genuine_mnist_is_recognised_copied_and_loaded() {
    let Some(folder) = genuine("mnist") else { return };
    let data_dir = tempfile::tempdir().unwrap();
    let report = import(&folder, data_dir.path()).unwrap();
    assert_eq!(report.imported.len(), 4);
    assert!(report.imported.iter().all(|file| file.id == "mnist" && file.verified));
    assert_eq!((report.rejected.len(), report.incomplete.len()), (0, 0));

    let data = load(&DatasetSpec::Mnist {}, Some(data_dir.path()), 0).unwrap();
    assert_eq!((data.train.n, data.test.n), (60_000, 10_000));
    // Importing the data folder into itself changes nothing.
    assert_eq!(import(data_dir.path(), data_dir.path()).unwrap().imported.len(), 4);
    load(&DatasetSpec::Mnist {}, Some(data_dir.path()), 0).unwrap();
}

#[test]
fn one_genuine_cifar_batch_is_imported_and_the_others_are_missing() {
    let Some(folder) = genuine("cifar10") else { return };
    let from = tempfile::tempdir().unwrap();
    fs::create_dir(from.path().join("sub")).unwrap();
    fs::copy(folder.join("data_batch_1.bin.gz"), from.path().join("sub/data_batch_1.bin.gz")).unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    let report = import(from.path(), data_dir.path()).unwrap();
    let (id, missing) = &report.incomplete[0];
    assert_eq!((*id, missing.len()), ("cifar10", 5));

    let error = load(&DatasetSpec::Cifar10 {}, Some(data_dir.path()), 0).unwrap_err();
    assert!(error.to_string().contains("missing: data_batch_2.bin"), "{error}");
}

#[test]
fn a_damaged_file_is_refused_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t10k-labels-idx1-ubyte"), vec![0; 10_008]).unwrap();
    fs::write(folder.path().join("data_batch_1.bin"), "short").unwrap();
    fs::write(folder.path().join("cifar-10-binary.tar.gz"), "no archive").unwrap();
    fs::write(folder.path().join("test_batch.bin.gz"), "no gzip").unwrap();
    fs::write(folder.path().join("holiday.jpg"), "unrelated").unwrap();
    let data_dir = tempfile::tempdir().unwrap();
    let error = import(folder.path(), data_dir.path()).unwrap_err();
    let DataError::NothingToImport { rejected, .. } = &error else { panic!("{error}") };
    assert_eq!(rejected.len(), 4, "{rejected:?}");
    let message = error.to_string();
    for part in ["5 bytes instead of 30730000", "27ae3e4e09519cfbb04c329615203637", "c32a1d4ab5d03f1284b67883e8d87530"]
    {
        assert!(message.contains(part), "{message} lacks {part}");
    }
}

#[test]
fn a_folder_that_is_none_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(matches!(import(&file, folder.path()), Err(DataError::NotAFolder { .. })));
    assert!(matches!(import(&folder.path().join("none"), folder.path()), Err(DataError::MissingFolder { .. })));
}
