//! A CSV file that grows row by row and can be cut back to a remembered length.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::kill_point::kill_point_after;

/// Rows under their header as the bytes of a file that is written at once.
pub(crate) fn bytes_of<R: Serialize>(rows: impl IntoIterator<Item = R>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    rows.into_iter().try_for_each(|row| writer.serialize(row))?;
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// An open table. Rows reach the operating system one whole row at a time.
pub struct CsvFile {
    path: PathBuf,
    file: File,
    length: u64,
}

impl CsvFile {
    /// Opens `path`, keeping its first `keep` bytes and dropping what follows; 0 starts afresh.
    ///
    /// # Errors
    /// The file cannot be opened, or holds fewer than `keep` bytes.
    pub fn open(path: &Path, keep: u64) -> io::Result<Self> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot open {}: {error}", path.display()));
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(path).map_err(named)?;
        let found = file.metadata().map_err(named)?.len();
        if found < keep {
            let message = format!(
                "{} holds {found} bytes where the checkpoint remembers {keep}; restore the file or start again with --force",
                path.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        file.set_len(keep).map_err(named)?;
        let mut csv = Self { path: path.to_owned(), file, length: keep };
        csv.file.seek(SeekFrom::End(0)).map_err(|error| csv.failed(error))?;
        Ok(csv)
    }

    /// Appends `rows`; the header comes first in an empty file.
    ///
    /// # Errors
    /// A full disk or another failure to write; the file may then end in a torn row, which the next [`CsvFile::open`] cuts.
    pub fn append<R: Serialize>(&mut self, rows: &[R]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut writer = csv::WriterBuilder::new().has_headers(self.length == 0).from_writer(Vec::new());
        for row in rows {
            writer.serialize(row).map_err(|error| self.failed(io::Error::other(error)))?;
        }
        let bytes = writer.into_inner().map_err(|error| self.failed(io::Error::other(error.to_string())))?;
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        kill_point_after(&format!("{name}.in_row"), || {
            // If even half a row cannot be written the process still dies here, which is what the caller asked for.
            let _ = self.file.write_all(&bytes[..bytes.len() / 2]);
        });
        self.file.write_all(&bytes).map_err(|error| self.failed(error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Flushes to the disk and returns the length to remember.
    ///
    /// # Errors
    /// A failure to write.
    pub fn sync(&mut self) -> io::Result<u64> {
        self.file.sync_data().map_err(|error| self.failed(error))?;
        Ok(self.length)
    }

    fn failed(&self, error: io::Error) -> io::Error {
        let is_full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let hint = if is_full { "; free some space and continue with --resume" } else { "" };
        io::Error::new(error.kind(), format!("cannot write {}: {error}{hint}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_row_is_cut_on_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        let mut csv = CsvFile::open(&path, 0).unwrap();
        csv.append(&[(1, 2)]).unwrap();
        let kept = csv.sync().unwrap();
        drop(csv);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, [whole.as_slice(), b"3,"].concat()).unwrap();
        let mut csv = CsvFile::open(&path, kept).unwrap();
        csv.append(&[(5, 6)]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "1,2\n5,6\n");
    }

    #[test]
    fn a_file_shorter_than_its_checkpoint_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        std::fs::write(&path, "1,2\n").unwrap();
        let error = CsvFile::open(&path, 10).err().unwrap().to_string();
        assert!(error.contains("holds 4 bytes where the checkpoint remembers 10"), "{error}");
    }
}
