//! A run to be judged, wherever it lies: in its folder, in a bundle, or in a bundle that was unpacked.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Component, Path, PathBuf};

use flate2::bufread::GzDecoder;
use tar::{Archive, EntryType};
use tempfile::TempDir;

use super::{BundleDescription, data, is_bundled, sums};
use crate::error::{At, Error, Result, bail};

/// The folder of a run that may be read. What was unpacked is removed with it.
#[derive(Debug)]
pub struct OpenedRun {
    folder: PathBuf,
    /// Where an archive was unpacked to.
    unpacked: Option<TempDir>,
    is_bundle: bool,
}

impl OpenedRun {
    /// Opens the folder of a run, or a bundle, every file of which is held against its checksum.
    ///
    /// # Errors
    /// A bundle that is damaged, or a file that is none.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_file() {
            let unpacked = tempfile::Builder::new().prefix("widthwise-").tempdir()?;
            unpack(path, unpacked.path())?;
            sums::expect_whole(unpacked.path(), path)?;
            return Ok(Self { folder: unpacked.path().to_owned(), unpacked: Some(unpacked), is_bundle: true });
        }
        let is_bundle = [sums::FILE, BundleDescription::FILE].iter().any(|name| path.join(name).is_file());
        if is_bundle {
            sums::expect_whole(path, path)?;
        }
        Ok(Self { folder: path.to_owned(), unpacked: None, is_bundle })
    }

    /// The folder with the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it lies there only as long as this value lives.
    pub fn is_archive(&self) -> bool {
        self.unpacked.is_some()
    }

    /// Whether it is a bundle, packed or not.
    pub fn is_bundle(&self) -> bool {
        self.is_bundle
    }

    /// Whether it has the data of the run with it.
    ///
    /// # Errors
    /// A description of a later version.
    pub fn has_data(&self) -> Result<bool> {
        if self.is_bundle { data::is_there(&self.folder) } else { Ok(false) }
    }
}

/// Unpacks the files of a bundle into `folder`; what is no such file, links above all, is refused.
fn unpack(path: &Path, folder: &Path) -> Result<()> {
    let file = File::open(path).at("read", path)?;
    let mut archive = Archive::new(GzDecoder::new(BufReader::new(file)));
    let damaged = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::PermissionDenied => Error::Io(error),
        _ => Error::damaged(format!(
            "{} is no bundle, or it is damaged ({}); copy it again, or make it with `widthwise bundle`",
            path.display(),
            error.to_string().trim().replace('\n', " ")
        )),
    };
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if kind == EntryType::Directory {
            continue;
        }
        let whole = entry.path().map_err(damaged)?.into_owned();
        let name = inner(&whole).filter(|name| *name == sums::FILE || is_bundled(name));
        let Some(name) = name.filter(|_| kind == EntryType::Regular) else {
            bail!(
                damaged: "{} is no bundle of this program: it holds {}, which no bundle does",
                path.display(),
                whole.display()
            );
        };
        let to = folder.join(&name);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).at("make the folder", parent)?;
        }
        let mut file = File::create_new(&to).at("write", &to)?;
        io::copy(&mut entry, &mut file).map_err(damaged)?;
    }
    // The checksum of the compressed whole stands at its end.
    archive.into_inner().read_to_end(&mut Vec::new()).map_err(damaged)?;
    Ok(())
}

/// The path within the one folder of the archive, with `/` between names.
fn inner(path: &Path) -> Option<String> {
    let names: Option<Vec<&str>> = path
        .components()
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    Some(names?.split_first()?.1.join("/"))
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// An archive of one entry.
    fn archive(path: &str, kind: EntryType) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        // The name goes in as it is: the library would refuse to write such paths.
        header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(kind);
        header.set_size(1);
        header.set_cksum();
        let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        builder.append(&header, b"x".as_slice()).unwrap();
        builder.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn what_is_no_file_of_a_bundle_is_not_unpacked() {
        let folder = tempfile::tempdir().unwrap();
        let (path, inner) = (folder.path().join("b.tar.gz"), folder.path().join("inner"));
        fs::create_dir(&inner).unwrap();
        for (name, kind) in [
            ("run/../../x/manifest.json", EntryType::Regular),
            ("/run/manifest.json", EntryType::Regular),
            ("../manifest.json", EntryType::Regular),
            ("run/evil.sh", EntryType::Regular),
            ("manifest.json", EntryType::Regular),
            ("run/manifest.json", EntryType::Symlink),
            ("run/manifest.json", EntryType::Link),
        ] {
            fs::write(&path, archive(name, kind)).unwrap();
            let told = unpack(&path, &inner).unwrap_err().to_string();
            assert!(told.contains("which no bundle does"), "{name}: {told}");
            assert_eq!(fs::read_dir(&inner).unwrap().count(), 0, "{name}");
        }
        fs::write(&path, archive("run/manifest.json", EntryType::Regular)).unwrap();
        unpack(&path, &inner).unwrap();
        assert_eq!(fs::read(inner.join("manifest.json")).unwrap(), b"x");
    }

    #[test]
    fn a_file_that_is_no_archive_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.csv");
        for bytes in [b"a,b\n1,2\n".as_slice(), b"", b"\x1f\x8b\x08\0\0\0\0\0\0\xff"] {
            fs::write(&path, bytes).unwrap();
            let told = OpenedRun::open(&path).unwrap_err().to_string();
            assert!(told.contains("results.csv") && told.contains("bundle"), "{told}");
        }
    }
}
