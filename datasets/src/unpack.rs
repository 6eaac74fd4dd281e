//! Taking a data set's files from its authors' gzipped tar archive.
//!
//! Only members whose file name the catalog knows are written, under that name and to one folder, so no path in an archive
//! is ever followed.

use crate::catalog::{CatalogEntry, DataFile};
use crate::checksum::HashingReader;
use crate::fetch_error::FetchError;
use crate::part::PartialFile;
use flate2::bufread::MultiGzDecoder;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Unpacks all files of `entry` into `folder`, each under its name only once its checksum was found right.
pub(crate) fn unpack(
    entry: &CatalogEntry,
    archive: &Path,
    folder: &Path,
    unpacked: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let damaged = |reason: String| FetchError::Archive { path: archive.to_path_buf(), reason };
    let unreadable = |error: io::Error| damaged(format!("the archive cannot be read: {error}"));

    let reader = BufReader::new(File::open(archive).map_err(|source| FetchError::io(archive, source))?);
    let mut members = tar::Archive::new(MultiGzDecoder::new(reader));
    let mut missing: Vec<&DataFile> = entry.files.iter().collect();
    for member in members.entries().map_err(unreadable)? {
        let member = member.map_err(unreadable)?;
        if !member.header().entry_type().is_file() {
            continue;
        }
        let position = {
            let path = member.path().map_err(unreadable)?;
            missing.iter().position(|file| path.file_name() == Some(OsStr::new(file.name)))
        };
        let Some(position) = position else { continue };
        let file = missing.swap_remove(position);
        if member.size() != file.bytes {
            return Err(damaged(format!("{} has {} bytes instead of {}", file.name, member.size(), file.bytes)));
        }
        write_member(file, member, archive, folder)?;
        unpacked(file.name);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|file| file.name).collect();
    Err(damaged(format!("the archive lacks {}", names.join(", "))))
}

fn write_member(file: &DataFile, member: impl Read, archive: &Path, folder: &Path) -> Result<(), FetchError> {
    let part = folder.join(format!("{}.part", file.name));
    let io = |source| FetchError::io(&part, source);
    let mut reader = HashingReader::new(member, file.checksum);
    let mut target = PartialFile::create(part.clone()).map_err(io)?;
    io::copy(&mut reader, &mut target).map_err(io)?;
    if let (Some(expected), Some(found)) = (file.checksum, reader.finish())
        && found != expected.hex()
    {
        return Err(FetchError::Archive {
            path: archive.to_path_buf(),
            reason: format!("{} has the checksum {found} instead of {expected}", file.name),
        });
    }
    target.sync().map_err(io)?;
    target.rename(&folder.join(file.name)).map_err(io)
}
