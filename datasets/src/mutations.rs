//! Damaged files of data sets: an error in a sentence or values, never a panic, and no memory on the word of a header.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::catalog::{CatalogEntry, DataFile, MNIST};
use crate::cifar::{self, CifarVariant};
use crate::mutator::survive;
use crate::source::{self, Length};
use crate::{idx, unpack};

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn images(dims: &[usize]) -> Vec<u8> {
    let values: Vec<u8> = (0..dims.iter().product::<usize>()).map(|i| (i % 251) as u8).collect();
    let mut bytes = Vec::new();
    idx::write(&mut bytes, dims, &values).unwrap();
    bytes
}

#[test]
fn damaged_idx_files() {
    let valid = [images(&[7, 4, 4]), images(&[20]), images(&[2, 3, 2, 2])];
    survive("IDX", 15, 20_000, &valid, |bytes| {
        let exact = idx::read(bytes, Length::Exact(bytes.len() as u64));
        let open = idx::read(bytes, Length::AtMost(u64::MAX));
        if let Ok(found) = &open {
            assert_eq!(found.data.len(), found.dims.iter().product::<usize>());
        }
        exact.and(open).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn damaged_gzipped_idx_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("images.gz");
    let valid = [gzipped(&images(&[70, 10, 10])), [gzipped(&images(&[9])), gzipped(b"")].concat()];
    survive("gzipped IDX", 16, 4000, &valid, |bytes| {
        fs::write(&path, bytes).unwrap();
        let (reader, length) = source::open(&path).map_err(|error| error.to_string())?;
        idx::read(reader, length).map(drop).map_err(|error| error.to_string())
    });
}

#[test]
fn damaged_cifar_files() {
    for (variant, label) in [(CifarVariant::Ten, vec![3]), (CifarVariant::Hundred, vec![3, 77])] {
        let record: Vec<u8> = label.into_iter().chain((0..3072).map(|i| (i % 256) as u8)).collect();
        let valid = [record.clone(), record.repeat(3)];
        survive("CIFAR", 17, 4000, &valid, |bytes| {
            let found = cifar::read(bytes, Length::Exact(bytes.len() as u64), variant, 5);
            let open = cifar::read(bytes, Length::AtMost(u64::MAX), variant, 5);
            if let Ok((pixels, labels)) = &open {
                assert_eq!(pixels.len(), 3072 * labels.len());
            }
            found.and(open).map(drop).map_err(|error| error.to_string())
        });
    }
}

const FILES: [DataFile; 2] =
    [DataFile { name: "a.bin", bytes: 700, checksum: None }, DataFile { name: "b.bin", bytes: 40, checksum: None }];

fn entry() -> CatalogEntry {
    CatalogEntry { id: "sample", files: &FILES, downloads: &[], ..MNIST }
}

fn archive() -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, size) in [("sample/a.bin", 700), ("sample/notes.txt", 20), ("b.bin", 40)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, vec![7_u8; size as usize].as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

/// Everything that lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    entries.collect()
}

#[test]
fn damaged_archives() {
    let outer = tempfile::tempdir().unwrap();
    let [path, folder] = ["sample.tar.gz", "data"].map(|name| outer.path().join(name));
    let mut unpacked = |bytes: &[u8]| {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        fs::write(&path, bytes).unwrap();
        let result = unpack::unpack(&entry(), &path, &folder, &mut |_| {}).map_err(|error| error.to_string());
        // Nothing else, nowhere else, and nothing unfinished.
        let found = names(&folder);
        assert!(found.iter().all(|name| name == "a.bin" || name == "b.bin"), "{found:?}");
        assert_eq!(names(outer.path()).len(), 2);
        result
    };
    survive("archives", 18, 1500, &[gzipped(&archive())], &mut unpacked);
    // Under a sound compression, so that the damage reaches the archive.
    survive("archives within", 19, 3000, &[archive()], |bytes| unpacked(&gzipped(bytes)));
}
