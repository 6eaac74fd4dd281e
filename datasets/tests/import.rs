//! Importing folders, with the genuine files where they are available and with damaged ones everywhere.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use flate2::read::GzDecoder;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use widthwise_datasets::catalog::MNIST;
use widthwise_datasets::import::import;
use widthwise_datasets::{DataError, DatasetSpec, idx, load};

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

const NAMES: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// The bytes of a genuine file, compressed and not.
fn bytes_of(folder: &Path, name: &str) -> [Vec<u8>; 2] {
    let compressed = fs::read(folder.join(format!("{name}.gz"))).unwrap();
    let mut raw = Vec::new();
    GzDecoder::new(&compressed[..]).read_to_end(&mut raw).unwrap();
    [compressed, raw]
}

fn write(path: impl AsRef<Path>, bytes: &[u8]) {
    fs::create_dir_all(path.as_ref().parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn load_mnist(folder: &Path) -> Result<usize, String> {
    load(&DatasetSpec::Mnist {}, Some(folder), 0).map(|data| data.train.n).map_err(|error| error.to_string())
}

/// Images of noise and labels under MNIST's names, as KMNIST's, EMNIST's or the user's own.
fn write_others(folder: &Path, [train, test]: [usize; 2]) {
    for (count, [images, labels]) in [(train, [NAMES[0], NAMES[1]]), (test, [NAMES[2], NAMES[3]])] {
        let mut bytes = Vec::new();
        let pixels: Vec<u8> = (0..count * 784).map(|at| ((at * at) >> 3) as u8).collect();
        idx::write(&mut bytes, &[count, 28, 28], &pixels).unwrap();
        write(folder.join(images), &bytes);
        bytes.clear();
        idx::write(&mut bytes, &[count], &vec![3; count]).unwrap();
        write(folder.join(labels), &bytes);
    }
}

#[test]
fn genuine_files_are_recognised_under_any_name_and_get_their_own() {
    let Some(genuine) = genuine("mnist") else { return };
    let [images, labels, test_images, test_labels] = NAMES.map(|name| bytes_of(&genuine, name));
    let from = tempfile::tempdir().unwrap();
    let named: [(&str, &[u8], &str); 4] = [
        ("train-images.idx3-ubyte", &images[1], "train-images-idx3-ubyte"),
        ("train-labels-idx1-ubyte.gz", &labels[1], "train-labels-idx1-ubyte"),
        ("t10k-images-idx3-ubyte.GZ", &test_images[0], "t10k-images-idx3-ubyte.gz"),
        ("holiday.jpg", &test_labels[0], "t10k-labels-idx1-ubyte.gz"),
    ];
    named.iter().for_each(|(name, bytes, _)| write(from.path().join(name), bytes));
    let data_dir = tempfile::tempdir().unwrap();
    let report = import(from.path(), data_dir.path()).unwrap();
    assert_eq!((report.imported.len(), report.rejected.len(), report.incomplete.len()), (4, 0, 0), "{report:?}");
    for (_, bytes, name) in named {
        assert!(fs::read(data_dir.path().join("mnist").join(name)).unwrap() == bytes, "{name}");
    }
    assert_eq!(load_mnist(data_dir.path()), Ok(60_000));

    // As they lie, where the names are near enough; and as torchvision keeps them.
    fs::rename(from.path().join("holiday.jpg"), from.path().join("t10k-labels.idx1-ubyte")).unwrap();
    assert_eq!(load_mnist(from.path()), Ok(60_000));
    let root = tempfile::tempdir().unwrap();
    for (name, [_, raw]) in NAMES.into_iter().zip([&images, &labels, &test_images, &test_labels]) {
        write(root.path().join("MNIST/raw").join(name), raw);
    }
    assert_eq!(load_mnist(root.path()), Ok(60_000));
    assert_eq!(import(root.path(), data_dir.path()).unwrap().imported.len(), 4);
}

#[test]
fn exchanged_images_and_labels_are_told_and_put_right() {
    let Some(genuine) = genuine("mnist") else { return };
    let folder = tempfile::tempdir().unwrap();
    for (name, other) in [(0, 1), (1, 0), (2, 2), (3, 3)] {
        write(folder.path().join("mnist").join(format!("{}.gz", NAMES[name])), &bytes_of(&genuine, NAMES[other])[0]);
    }
    let message = load_mnist(folder.path()).unwrap_err();
    assert!(message.contains("is MNIST's train-labels-idx1-ubyte under the name of another"), "{message}");
    let data_dir = tempfile::tempdir().unwrap();
    assert_eq!(import(folder.path(), data_dir.path()).unwrap().imported.len(), 4);
    assert_eq!(load_mnist(data_dir.path()), Ok(60_000));
    // Where they lie, too.
    let report = import(folder.path(), folder.path()).unwrap();
    assert_eq!((report.imported.len(), report.incomplete.len()), (4, 0), "{report:?}");
    assert_eq!(load_mnist(folder.path()), Ok(60_000));
}

#[test]
fn a_damaged_twin_is_set_aside_and_the_set_is_usable() {
    let Some(genuine) = genuine("mnist") else { return };
    let data_dir = tempfile::tempdir().unwrap();
    let own = data_dir.path().join("mnist");
    let [_, mut raw] = bytes_of(&genuine, NAMES[0]);
    raw.truncate(1000);
    write(own.join(NAMES[0]), &raw);
    write(own.join(NAMES[1]), b"other");
    let report = import(&genuine, data_dir.path()).unwrap();
    let aside = [NAMES[0], NAMES[1]].map(|name| (own.join(name), own.join(format!("{name}.other"))));
    assert_eq!((report.set_aside, report.incomplete.len()), (aside.to_vec(), 0));
    assert_eq!(fs::read(own.join("train-images-idx3-ubyte.other")).unwrap(), raw);
    assert_eq!(load_mnist(data_dir.path()), Ok(60_000));

    // Damaged there and not imported: the set is not complete.
    let data_dir = tempfile::tempdir().unwrap();
    write(data_dir.path().join("mnist").join(NAMES[2]), &raw);
    let from = tempfile::tempdir().unwrap();
    for name in [NAMES[0], NAMES[1], NAMES[3]] {
        fs::copy(genuine.join(format!("{name}.gz")), from.path().join(format!("{name}.gz"))).unwrap();
    }
    let report = import(from.path(), data_dir.path()).unwrap();
    assert_eq!(report.incomplete, [("mnist", vec![NAMES[2]])]);
}

#[test]
fn another_set_under_the_names_of_mnist_is_called_another_set() {
    for counts in [[100, 20], [60_000, 10_000]] {
        let folder = tempfile::tempdir().unwrap();
        write_others(&folder.path().join("mnist"), counts);
        let target = tempfile::tempdir().unwrap();
        let [train, test] = counts;
        let imported = import(folder.path(), target.path()).unwrap_err().to_string();
        for words in [
            "it is not MNIST's file",
            "it is not Fashion-MNIST's file",
            &format!("it holds {train} images of 28 x 28 pixels"),
            &format!("it holds {test} labels"),
        ] {
            assert!(imported.contains(words), "no {words:?} in {imported}");
        }
        let loaded = load_mnist(folder.path()).unwrap_err();
        let words = format!("it holds {train} images of 28 x 28 pixels");
        assert!(loaded.contains("is not MNIST") && loaded.contains(&words), "{loaded}");
        assert!(!imported.contains("delete") && !loaded.contains("delete"), "{imported} {loaded}");
        assert_eq!(fs::read_dir(target.path()).unwrap().count(), 0);
    }
    // Larger than MNIST and gzipped: it only looks cut where MNIST would end.
    let folder = tempfile::tempdir().unwrap();
    write_others(folder.path(), [60_001, 1]);
    let raw = fs::read(folder.path().join(NAMES[0])).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &raw).unwrap();
    fs::remove_file(folder.path().join(NAMES[0])).unwrap();
    write(folder.path().join("train-images-idx3-ubyte.gz"), &encoder.finish().unwrap());
    let loaded = load_mnist(folder.path()).unwrap_err();
    assert!(loaded.contains("is not MNIST: it holds 60001 images of 28 x 28 pixels"), "{loaded}");
    assert_eq!(MNIST.files[0].name, NAMES[0]);
}

#[test]
fn the_python_version_of_cifar_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    write(
        folder.path().join("cifar-10-batches-py/data_batch_1"),
        b"\x80\x02}q\x01(U\x0bbatch_labelq\x02U\x15training batch 1",
    );
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o644);
    builder.append_data(&mut header, "cifar-10-batches-py/data_batch_4", &b"abc"[..]).unwrap();
    write(folder.path().join("cifar-10-python.tar.gz"), &builder.into_inner().unwrap().finish().unwrap());
    write(folder.path().join("weights.pkl"), b"\x80\x02}q\x01.");
    let data_dir = tempfile::tempdir().unwrap();
    let error = import(folder.path(), data_dir.path()).unwrap_err();
    let DataError::NothingToImport { rejected, .. } = &error else { panic!("{error}") };
    assert_eq!(rejected.len(), 2, "{error}");
    let says = |(_, reason): &(PathBuf, String)| reason.contains("the Python version of CIFAR (pickles)");
    assert!(rejected.iter().all(says), "{error}");
}
