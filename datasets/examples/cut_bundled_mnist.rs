//! Cuts the bundled MNIST subset from the original files: `cut_bundled_mnist MNIST_FOLDER OUT_FOLDER`.
//!
//! The uncompressed results are the bundled ones byte for byte, whose MD5 sums stand in `bundled/mnist/NOTICE`. The
//! compressed sizes depend on the compressor; the files in the repository were written by zlib.

use flate2::Compression;
use flate2::write::GzEncoder;
use std::error::Error;
use std::fs::{self, File};
use std::path::Path;
use widthwise_datasets::bundled::stratified_head;
use widthwise_datasets::catalog::{DataFile, MNIST};
use widthwise_datasets::checksum::{Checksum, checksum_of};
use widthwise_datasets::idx::{self, Idx};
use widthwise_datasets::source;
use widthwise_datasets::verify::{FileState, verify};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        return Err("usage: cut_bundled_mnist MNIST_FOLDER OUT_FOLDER".into());
    };
    fs::create_dir_all(to)?;
    for (pair, count) in MNIST.files.chunks_exact(2).zip([5000, 1000]) {
        let images = read_original(&pair[0], Path::new(from))?;
        let labels = read_original(&pair[1], Path::new(from))?;
        let kept = stratified_head(&labels.data, count, MNIST.classes);
        write_part(&pair[0], &images, &kept, Path::new(to))?;
        write_part(&pair[1], &labels, &kept, Path::new(to))?;
    }
    Ok(())
}

fn read_original(file: &DataFile, folder: &Path) -> Result<Idx, Box<dyn Error>> {
    let path = folder.join(format!("{}.gz", file.name));
    match verify(file, &path)? {
        FileState::Verified => {}
        verdict => return Err(format!("{}: {verdict}", path.display()).into()),
    }
    let (reader, length) = source::open(&path)?;
    Ok(idx::read(reader, length)?)
}

/// Writes the kept examples in the IDX format and prints the MD5 sum of the uncompressed file.
fn write_part(file: &DataFile, original: &Idx, kept: &[usize], folder: &Path) -> Result<(), Box<dyn Error>> {
    let size: usize = original.dims[1..].iter().product();
    let values: Vec<u8> = kept.iter().flat_map(|&row| &original.data[row * size..(row + 1) * size]).copied().collect();
    let mut dims = original.dims.clone();
    dims[0] = kept.len();
    let mut bytes = Vec::new();
    idx::write(&mut bytes, &dims, &values)?;

    let target = File::create(folder.join(format!("{}.gz", file.name)))?;
    let mut encoder = GzEncoder::new(target, Compression::best());
    std::io::copy(&mut &bytes[..], &mut encoder)?;
    encoder.finish()?;
    println!("{}  {}", checksum_of(&bytes[..], Checksum::Md5(""))?, file.name);
    Ok(())
}
