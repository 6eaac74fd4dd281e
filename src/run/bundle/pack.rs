//! Packs a run.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::data::{self, DataDescription, data_of};
use super::sums::{self, Checksums};
use super::{BundleDescription, NEEDED, OUTPUTS, VERSION};
use crate::config::load_recorded;
use crate::error::{At, Result, ensure};
use crate::memory::Bytes;
use crate::record::atomic;
use crate::record::manifest::Manifest;
use crate::run::check::check;
use crate::run::folder::member;
use crate::session::Session;
use crate::training::Outcome;

/// Data that take more than this are left out: 256 MiB.
const MOST_DATA: u64 = 256 << 20;

/// What a bundle is made with.
#[derive(Debug, Clone, Default)]
pub struct BundleOptions {
    /// The file; the folder of the run with `.tar.gz` after its name if left out.
    pub out: Option<PathBuf>,
    /// The only folder in which the data of the run are searched for.
    pub data_dir: Option<PathBuf>,
    /// Whether the data stay outside, as where they may not be given away.
    pub without_data: bool,
}

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleSummary {
    /// The archive.
    pub file: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
    /// Its bytes.
    pub bytes: u64,
    /// Files in it, but for their checksums.
    pub files: usize,
    /// Whether the data are among them; why not, where they were asked for.
    pub data: BundledData,
}

/// Whether a bundle has the data of its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BundledData {
    /// It has.
    Included,
    /// They were not asked for.
    LeftOut,
    /// They take so much.
    TooLarge(Bytes),
}

/// What stands in a file of the archive.
enum PackedContent {
    /// What stands in this file.
    File(PathBuf),
    /// These bytes.
    Made(Vec<u8>),
}

/// Packs the run in `folder`, which has to be finished.
///
/// # Errors
/// No run there, one that is unfinished or lacks files, data that are not found, or an archive that cannot be written.
pub fn bundle(folder: &Path, options: &BundleOptions) -> Result<BundleSummary> {
    ensure!(!folder.is_file(), Folder: "{} is a file; give the folder of a run", folder.display());
    let manifest = Manifest::read(folder)?;
    ensure!(
        !matches!(manifest.outcome, Outcome::Running | Outcome::Interrupted),
        Folder: "the run in {} is unfinished; continue it with `widthwise run ... --resume`, then bundle it",
        folder.display()
    );
    // A run that nobody can judge is not worth a bundle.
    check(folder)?;
    let out = options.out.clone().unwrap_or_else(|| beside(folder));
    let (arrays, description, data) = packed_data(folder, &manifest, options)?;
    let mut contents: Vec<(String, PackedContent)> = Vec::new();
    for name in NEEDED.into_iter().map(str::to_owned).chain((0..manifest.members).map(|own| of_member(own, OUTPUTS))) {
        ensure!(
            folder.join(&name).is_file(),
            Folder: "{} holds only a part of a run: {name} is missing; make the run again",
            folder.display()
        );
    }
    let kept = sums::files_in(folder)?.into_iter();
    // An unpacked bundle has data and a description, which are made anew.
    let kept = kept.filter(|path| *path != BundleDescription::FILE && !data::is_bundled(path));
    contents.extend(kept.map(|path| (path.clone(), PackedContent::File(folder.join(path)))));
    contents.extend(arrays.into_iter().map(|(name, bytes)| (name.to_owned(), PackedContent::Made(bytes))));
    let mut text = serde_json::to_vec_pretty(&description)?;
    text.push(b'\n');
    contents.push((BundleDescription::FILE.to_owned(), PackedContent::Made(text)));
    contents.sort_by(|(first, _), (second, _)| first.cmp(second));
    let sum = |content: &PackedContent| match content {
        PackedContent::File(path) => sums::of_file(path),
        PackedContent::Made(bytes) => Ok(sums::of_bytes(bytes)),
    };
    let checksums: Checksums =
        contents.iter().map(|(name, content)| Ok((name.clone(), sum(content)?))).collect::<Result<_>>()?;
    let files = contents.len();
    contents.insert(0, (sums::FILE.to_owned(), PackedContent::Made(sums::text(&checksums).into_bytes())));
    atomic::write_with(&out, |file| pack(file, &manifest.run, &contents))?;
    let bytes = fs::metadata(&out).at("read", &out)?.len();
    Ok(BundleSummary { sha256: sums::of_file(&out)?, file: out, bytes, files, data })
}

/// The folder's own name with an ending, next to it.
fn beside(folder: &Path) -> PathBuf {
    let name = folder.file_name().map_or_else(|| "run".into(), |name| name.to_string_lossy().into_owned());
    folder.with_file_name(format!("{name}.tar.gz"))
}

fn of_member(index: usize, file: &str) -> String {
    let path = member(Path::new(""), index).join(file);
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

type NamedArrays = Vec<(&'static str, Vec<u8>)>;

/// The arrays that go into the bundle, its description, and what became of the data.
fn packed_data(
    folder: &Path,
    manifest: &Manifest,
    options: &BundleOptions,
) -> Result<(NamedArrays, BundleDescription, BundledData)> {
    let describe = |data| BundleDescription { bundle_version: VERSION, data_hash: manifest.data_hash.clone(), data };
    if options.without_data {
        return Ok((Vec::new(), describe(None), BundledData::LeftOut));
    }
    let experiment = load_recorded(&folder.join("config.toml"))?;
    let session = Session::new(&experiment, data_of(folder, options.data_dir.as_deref())?, Device::flex())?;
    session.expect_data_of(manifest, folder)?;
    let size = data::size(&session.prepared);
    if size > MOST_DATA {
        return Ok((Vec::new(), describe(None), BundledData::TooLarge(Bytes(size))));
    }
    let description = describe(Some(DataDescription::of(&session.prepared)));
    Ok((data::arrays(&session.prepared)?, description, BundledData::Included))
}

/// Writes the archive: no time, no user, no group, and the rights of a plain file.
fn pack(file: &mut dyn Write, folder: &str, contents: &[(String, PackedContent)]) -> io::Result<()> {
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::new(6)));
    let mut append = |name: &str, size: u64, content: &mut dyn Read| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        archive.append_data(&mut header, format!("{folder}/{name}"), content)
    };
    for (name, content) in contents {
        match content {
            PackedContent::Made(bytes) => append(name, bytes.len() as u64, &mut bytes.as_slice())?,
            PackedContent::File(path) => {
                let file = File::open(path)?;
                let size = file.metadata()?.len();
                append(name, size, &mut file.take(size))?;
            }
        }
    }
    archive.into_inner()?.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_holds_no_time_and_no_user() {
        let contents = [("config.toml".to_owned(), PackedContent::Made(b"x".to_vec()))];
        let mut bytes = Vec::new();
        pack(&mut bytes, "run", &contents).unwrap();
        // RFC 1952: no name, no time.
        assert_eq!(bytes[..8], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap(), Path::new("run/config.toml"));
        let header = entry.header();
        let numbers = [header.mtime().unwrap(), header.uid().unwrap(), header.gid().unwrap()];
        assert_eq!((numbers, header.mode().unwrap()), ([0; 3], 0o644));
        assert_eq!(header.as_ustar().unwrap().uname, [0; 32]);
    }

    #[test]
    fn a_bundle_lies_next_to_its_run() {
        assert_eq!(beside(Path::new("runs/a.b")), Path::new("runs/a.b.tar.gz"));
        assert_eq!(beside(Path::new("run/")), Path::new("run.tar.gz"));
        assert_eq!(of_member(3, OUTPUTS), "members/003/outputs_initial.npy");
    }
}
