//! Loading against the genuine files where they are available, and against damaged copies.

use widthwise_testing::{assert_near, reference};

use crate::bundled::{self, stratified_head};
use crate::catalog::{FASHION_MNIST, MNIST};
use crate::cifar::{self, CifarVariant};
use crate::dataset::{Dataset, SplitInputs};
use crate::error::DataError;
use crate::format_error::FormatError;
use crate::load::{load_entry, load_from};
use crate::locate::SearchPath;
use crate::source;
use crate::verify::{FileState, verify};
use flate2::read::GzDecoder;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of genuine data, if there is one.
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

fn pixels(inputs: &SplitInputs) -> &[u8] {
    match inputs {
        SplitInputs::Bytes(pixels) => pixels,
        SplitInputs::Real(_) => panic!("files hold bytes"),
    }
}

/// Mean and standard deviation of pixels, by exact integer sums.
fn moments<'a>(values: impl Iterator<Item = &'a u8>) -> (f64, f64) {
    let (mut count, mut sum, mut squares) = (0_u64, 0_u64, 0_u64);
    for &value in values {
        let value = u64::from(value);
        (count, sum, squares) = (count + 1, sum + value, squares + value * value);
    }
    let mean = sum as f64 / count as f64;
    (mean, (squares as f64 / count as f64 - mean * mean).sqrt())
}

fn load_genuine_mnist(folder: &Path) -> Dataset {
    load_entry(&MNIST, Some(folder)).unwrap()
}

#[test]
fn genuine_mnist_has_the_known_counts_and_moments() {
    let Some(folder) = genuine("mnist") else { return };
    let data = load_genuine_mnist(&folder);
    assert_eq!(data.train.label_counts(10), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(data.test.label_counts(10), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    let (mean, deviation) = moments(pixels(&data.train.inputs).iter());
    assert_near(mean / 255.0, 0.13066, reference(5));
    assert_near(deviation / 255.0, 0.30811, reference(5));
    assert!(data.source.contains("checksums verified"), "{}", data.source);
}

#[test]
fn the_bundled_subset_is_the_head_of_every_class() {
    let Some(folder) = genuine("mnist") else { return };
    let (full, subset) = (load_genuine_mnist(&folder), bundled::mnist().unwrap());
    for (full, subset) in [(&full.train, &subset.train), (&full.test, &subset.test)] {
        let kept = stratified_head(&full.labels, subset.n, 10);
        let mut expected = vec![0.0; 784];
        let mut found = vec![0.0; 784];
        assert_eq!(kept.len(), subset.n);
        for (position, &row) in kept.iter().enumerate() {
            full.copy_row(row, &mut expected);
            subset.copy_row(position, &mut found);
            assert!(full.labels[row] == subset.labels[position] && expected == found, "example {position}");
        }
    }
}

#[test]
fn the_genuine_cifar_batch_is_verified_and_parsed() {
    let Some(folder) = genuine("cifar10") else { return };
    let path = folder.join("data_batch_1.bin.gz");
    assert_eq!(verify(&crate::catalog::CIFAR10.files[0], &path).unwrap(), FileState::Verified);
    let (reader, length) = source::open(&path).unwrap();
    let (pixels, labels) = cifar::read(reader, length, CifarVariant::Ten, 10_000).unwrap();
    assert_eq!((labels.len(), pixels.len()), (10_000, 30_720_000));
    // The first image of the batch is a frog.
    assert_eq!(labels[0], 6);
}

#[test]
fn all_of_genuine_cifar10_has_the_known_counts_and_moments() {
    let Some(folder) = genuine("cifar10") else { return };
    if !folder.join("test_batch.bin.gz").is_file() {
        eprintln!("skipped: {} holds only part of CIFAR-10", folder.display());
        return;
    }
    let data = load_entry(&crate::catalog::CIFAR10, Some(&folder)).unwrap();
    assert_eq!(data.train.label_counts(10), [5000; 10]);
    assert_eq!(data.test.label_counts(10), [1000; 10]);
    let expected = [(125.306918046875, 62.9932), (122.950394140625, 62.0887), (113.86538318359375, 66.7049)];
    for (channel, (mean, deviation)) in expected.into_iter().enumerate() {
        let plane = pixels(&data.train.inputs).chunks_exact(1024).skip(channel).step_by(3).flatten();
        let found = moments(plane);
        assert_near(found.0, mean, reference(9));
        assert_near(found.1, deviation, reference(4));
    }
}

#[test]
fn genuine_fashion_mnist_is_verified() {
    let Some(folder) = genuine("fashion-mnist") else { return };
    let data = load_entry(&FASHION_MNIST, Some(&folder)).unwrap();
    assert_eq!(data.train.label_counts(10), [6000; 10]);
    assert_eq!(data.test.label_counts(10), [1000; 10]);
}

/// The genuine MNIST with its test labels replaced by these bytes under this name.
fn with_test_labels(genuine: &Path, name: &str, bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mnist")).unwrap();
    for file in &MNIST.files[..3] {
        let name = format!("{}.gz", file.name);
        fs::copy(genuine.join(&name), folder.path().join("mnist").join(&name)).unwrap();
    }
    fs::write(folder.path().join("mnist").join(name), bytes).unwrap();
    folder
}

#[test]
fn damage_to_a_genuine_file_is_reported() {
    let Some(genuine) = genuine("mnist") else { return };
    let gz = fs::read(genuine.join("t10k-labels-idx1-ubyte.gz")).unwrap();
    let mut raw = Vec::new();
    GzDecoder::new(&gz[..]).read_to_end(&mut raw).unwrap();
    let outcome = |name: &str, bytes: &[u8]| {
        let folder = with_test_labels(&genuine, name, bytes);
        load_entry(&MNIST, Some(folder.path()))
    };

    assert!(outcome("t10k-labels-idx1-ubyte", &raw).is_ok());
    let mut flipped = raw.clone();
    flipped[100] ^= 1;
    let error = outcome("t10k-labels-idx1-ubyte", &flipped).unwrap_err();
    assert!(matches!(&error, DataError::Checksum { belongs_to: None, .. }), "{error}");
    assert!(error.to_string().contains("27ae3e4e09519cfbb04c329615203637"), "{error}");

    let error = outcome("t10k-labels-idx1-ubyte", &raw[..raw.len() - 1]).unwrap_err();
    assert!(matches!(error, DataError::Format { source: FormatError::Claim { .. }, .. }), "{error}");

    let mut flipped = gz.clone();
    flipped[gz.len() / 2] ^= 16;
    let error = outcome("t10k-labels-idx1-ubyte.gz", &flipped).unwrap_err();
    assert!(matches!(error, DataError::Format { .. }), "{error}");

    // The content says what is compressed, not the name.
    assert!(outcome("t10k-labels-idx1-ubyte", &gz).is_ok() && outcome("t10k-labels-idx1-ubyte.gz", &raw).is_ok());
    let error = outcome("t10k-labels-idx1-ubyte.gz", &gz[..gz.len() - 20]).unwrap_err();
    assert!(matches!(error, DataError::Format { source: FormatError::Read(_), .. }), "{error}");
}

#[test]
fn mnist_is_not_taken_for_fashion_mnist() {
    let Some(folder) = genuine("mnist") else { return };
    // Directly in the folder the names are shared, so MNIST's files do not count as an altered Fashion-MNIST.
    let error = load_entry(&FASHION_MNIST, Some(&folder)).unwrap_err();
    assert!(matches!(error, DataError::NotFound { id: "fashion-mnist", .. }), "{error}");
    // In Fashion-MNIST's own folder they do.
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("fashion-mnist");
    fs::create_dir(&own).unwrap();
    for file in MNIST.files {
        let name = format!("{}.gz", file.name);
        fs::copy(folder.join(&name), own.join(&name)).unwrap();
    }
    let error = load_entry(&FASHION_MNIST, Some(root.path())).unwrap_err();
    assert!(matches!(error, DataError::Checksum { belongs_to: Some("mnist"), .. }), "{error}");
}

#[test]
fn a_named_folder_without_the_set_is_an_error_even_for_mnist() {
    let folder = tempfile::tempdir().unwrap();
    let error = load_entry(&MNIST, Some(folder.path())).unwrap_err();
    let DataError::NotFound { missing, searched, .. } = &error else { panic!("{error}") };
    assert_eq!((missing.len(), &searched[..]), (4, &[folder.path().to_path_buf()][..]));
    assert!(error.to_string().contains("widthwise data fetch mnist"), "{error}");
}

#[test]
fn without_a_named_folder_mnist_falls_back_to_the_bundled_subset_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let search = SearchPath { folders: vec![folder.path().to_path_buf()], explicit: false };
    let data = load_from(&MNIST, &search).unwrap();
    assert_eq!((data.train.n, data.test.n), (5000, 1000));
    assert!(data.source.starts_with("bundled MNIST subset (5,000 train, 1,000 test), since the full set is not in"));

    fs::write(folder.path().join("train-images-idx3-ubyte"), "").unwrap();
    let data = load_from(&MNIST, &search).unwrap();
    assert!(data.source.contains("lacks train-labels-idx1-ubyte, t10k-images-idx3-ubyte"), "{}", data.source);
    assert!(!data.source.contains('\n'));

    assert!(matches!(load_from(&FASHION_MNIST, &search), Err(DataError::NotFound { .. })));
}

#[test]
fn a_cifar100_file_with_too_few_examples_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("cifar-100-binary");
    fs::create_dir(&own).unwrap();
    for name in ["train.bin", "test.bin"] {
        fs::write(own.join(name), vec![0; 2 * 3074]).unwrap();
    }
    let error = load_entry(&crate::catalog::CIFAR100, Some(folder.path())).unwrap_err();
    assert!(matches!(error, DataError::ExampleCount { expected: 50_000, found: 2, .. }), "{error}");
}
