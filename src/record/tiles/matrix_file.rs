//! A matrix in a `.npy` file, read and written block by block at its place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use widthwise_datasets::part::open_own;

use super::super::kill_point::kill_point;
use super::super::npy::{Header, NumberFamily, NumberFormat};

/// Numbers as they are stored, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredNumber {
    /// Double precision.
    F64,
    /// Single precision.
    F32,
}

impl StoredNumber {
    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
        }
    }

    /// The name on the command line and in journals.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::F32 => "f32",
        }
    }

    fn descr(self) -> &'static str {
        match self {
            Self::F64 => "<f8",
            Self::F32 => "<f4",
        }
    }

    /// Puts `values` into `bytes`, which is emptied first.
    pub fn encode(self, values: impl Iterator<Item = f64>, bytes: &mut Vec<u8>) {
        bytes.clear();
        match self {
            Self::F64 => values.for_each(|value| bytes.extend_from_slice(&value.to_le_bytes())),
            Self::F32 => values.for_each(|value| bytes.extend_from_slice(&(value as f32).to_le_bytes())),
        }
    }

    /// The numbers in `bytes`.
    pub fn decode(self, bytes: &[u8]) -> impl Iterator<Item = f64> {
        bytes.chunks_exact(self.bytes()).map(move |number| match (self, number) {
            (Self::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
            (Self::F32, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
            // Chunks are as long as a number.
            _ => f64::NAN,
        })
    }
}

/// An open file.
#[derive(Debug)]
pub struct MatrixFile {
    file: File,
    path: PathBuf,
    rows: usize,
    columns: usize,
    storage: StoredNumber,
    is_fortran: bool,
    data: u64,
}

impl MatrixFile {
    /// Makes a file of zeros, in C order and of full size, replacing what is there.
    ///
    /// # Errors
    /// A failure to write, with the path in its message.
    pub fn create(path: &Path, rows: usize, columns: usize, storage: StoredNumber) -> io::Result<Self> {
        let make = || {
            // Removed first: a link in its place is not written through.
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            let header = header(rows, columns, storage);
            file.write_all(&header)?;
            let length = (rows as u64).checked_mul(columns as u64).and_then(|n| n.checked_mul(storage.bytes() as u64));
            let data = header.len() as u64;
            let length = length.and_then(|length| length.checked_add(data));
            file.set_len(length.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?)?;
            let path = path.to_owned();
            Ok(Self { file, path, rows, columns, storage, is_fortran: false, data })
        };
        make().map_err(|error: io::Error| at(path, "cannot write", &error))
    }

    /// Opens a file to read it, and to write it with `for_writing`.
    ///
    /// # Errors
    /// The file cannot be opened, or is no whole matrix of `f64` or `f32` numbers; a vector is one row.
    pub fn open(path: &Path, for_writing: bool) -> io::Result<Self> {
        let file = match for_writing {
            true => open_own(OpenOptions::new().read(true).write(true), path),
            false => File::open(path),
        };
        let file = file.map_err(|error| at(path, "cannot read", &error))?;
        let refuse = |what: String| {
            let message =
                format!("{}: {what}; expected a .npy array of f64 or f32 with 1 or 2 dimensions", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        };
        let length = file.metadata()?.len();
        let Header { shape, number, is_fortran, start, .. } = Header::read(&file, length).map_err(refuse)?;
        let (rows, columns) = match shape.as_slice() {
            &[n] => (1, n),
            &[n, m] => (n, m),
            other => return Err(refuse(format!("found {} dimensions", other.len()))),
        };
        let storage = match number {
            NumberFormat { family: NumberFamily::Float, bytes: 8, is_big_endian: false } => StoredNumber::F64,
            NumberFormat { family: NumberFamily::Float, bytes: 4, is_big_endian: false } => StoredNumber::F32,
            _ => return Err(refuse("found numbers of another kind".to_owned())),
        };
        Ok(Self { file, path: path.to_owned(), rows, columns, storage, is_fortran, data: start })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// How numbers are stored.
    pub fn storage(&self) -> StoredNumber {
        self.storage
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a block, whose bytes stand row by row; only for files in C order, as [`create`](Self::create) makes them.
    ///
    /// # Errors
    /// A failure to write, with the path in its message.
    pub fn write_block(&self, rows: Range<usize>, columns: Range<usize>, bytes: &[u8]) -> io::Result<()> {
        let length = columns.len() * self.storage.bytes();
        let middle = rows.len() / 2;
        for (number, (row, bytes)) in rows.zip(bytes.chunks_exact(length.max(1))).enumerate() {
            if number == middle {
                kill_point("tile.in_write");
            }
            write_at(&self.file, bytes, self.place(row, columns.start))
                .map_err(|error| at(&self.path, "cannot write", &error))?;
        }
        Ok(())
    }

    /// Reads a block row by row into `bytes`, which is emptied first.
    ///
    /// # Errors
    /// A failure to read, with the path in its message.
    pub fn read_block(&self, rows: Range<usize>, columns: Range<usize>, bytes: &mut Vec<u8>) -> io::Result<()> {
        let number = self.storage.bytes();
        bytes.clear();
        bytes.resize(rows.len() * columns.len() * number, 0);
        let cannot = |error: io::Error| at(&self.path, "cannot read", &error);
        if columns.is_empty() {
            return Ok(());
        }
        if !self.is_fortran {
            for (row, bytes) in rows.zip(bytes.chunks_exact_mut(columns.len() * number)) {
                read_at(&self.file, bytes, self.place(row, columns.start)).map_err(cannot)?;
            }
            return Ok(());
        }
        let mut column_bytes = vec![0; rows.len() * number];
        let width = columns.len();
        for (j, column) in columns.enumerate() {
            read_at(&self.file, &mut column_bytes, self.place(rows.start, column)).map_err(cannot)?;
            for (i, value) in column_bytes.chunks_exact(number).enumerate() {
                let to = (i * width + j) * number;
                bytes[to..to + number].copy_from_slice(value);
            }
        }
        Ok(())
    }

    /// Reads a block as numbers, row by row, into `values`, which is emptied first; `bytes` is room to work in.
    ///
    /// # Errors
    /// A failure to read, with the path in its message.
    pub fn read_values(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        bytes: &mut Vec<u8>,
        values: &mut Vec<f64>,
    ) -> io::Result<()> {
        self.read_block(rows, columns, bytes)?;
        values.clear();
        values.extend(self.storage.decode(bytes));
        Ok(())
    }

    /// Waits until the disk has everything.
    ///
    /// # Errors
    /// A failure to write, with the path in its message.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_all().map_err(|error| at(&self.path, "cannot write", &error))
    }

    fn place(&self, row: usize, column: usize) -> u64 {
        let index = if self.is_fortran { column * self.rows + row } else { row * self.columns + column };
        self.data + index as u64 * self.storage.bytes() as u64
    }
}

/// Version 1.0, padded so that the numbers start at a multiple of 64.
fn header(rows: usize, columns: usize, storage: StoredNumber) -> Vec<u8> {
    let descr = storage.descr();
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    let before = 10;
    let padding = (before + text.len() + 1).next_multiple_of(64) - (before + text.len() + 1);
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes
}

fn at(path: &Path, what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, place)
}

#[cfg(unix)]
fn read_at(file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, bytes, place)
}

/// Moves the one position of the file: a file is read and written by one thread.
#[cfg(not(unix))]
fn write_at(mut file: &File, bytes: &[u8], place: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(place))?;
    file.write_all(bytes)
}

#[cfg(not(unix))]
fn read_at(mut file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(place))?;
    io::Read::read_exact(&mut file, bytes)
}

#[cfg(test)]
mod tests {
    use faer::Mat;

    use super::*;
    use crate::record::npy;

    fn entry(i: usize, j: usize) -> f64 {
        (i as f64 + 0.5) / (j as f64 + 3.0)
    }

    #[test]
    fn blocks_make_the_file_that_is_written_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let whole = folder.path().join("whole.npy");
        npy::write(&whole, &Mat::from_fn(5, 4, entry)).unwrap();
        let path = folder.path().join("tiles.npy");
        let file = MatrixFile::create(&path, 5, 4, StoredNumber::F64).unwrap();
        let mut bytes = Vec::new();
        for (rows, columns) in [(0..3, 0..2), (0..3, 2..4), (3..5, 0..2), (3..5, 2..4)] {
            let values = rows.clone().flat_map(|i| columns.clone().map(move |j| entry(i, j)));
            StoredNumber::F64.encode(values, &mut bytes);
            file.write_block(rows, columns, &bytes).unwrap();
        }
        assert_eq!(npy::read(&path).unwrap(), npy::read(&whole).unwrap());
        let mut values = Vec::new();
        file.read_values(1..4, 1..3, &mut bytes, &mut values).unwrap();
        assert_eq!(values, [entry(1, 1), entry(1, 2), entry(2, 1), entry(2, 2), entry(3, 1), entry(3, 2)]);
    }

    #[test]
    fn single_precision_and_column_order_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("single.npy");
        let file = MatrixFile::create(&path, 2, 2, StoredNumber::F32).unwrap();
        let mut bytes = Vec::new();
        StoredNumber::F32.encode([1.0, 0.1, 2.0, 3.0].into_iter(), &mut bytes);
        file.write_block(0..2, 0..2, &bytes).unwrap();
        assert_eq!(npy::read(&path).unwrap()[(0, 1)], f64::from(0.1_f32));
        // The same bytes said to be columns.
        let mut whole = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&whole[10..74]).replace("False", "True ");
        whole[10..74].copy_from_slice(text.as_bytes());
        std::fs::write(&path, whole).unwrap();
        let file = MatrixFile::open(&path, false).unwrap();
        let mut values = Vec::new();
        file.read_values(0..2, 0..2, &mut bytes, &mut values).unwrap();
        assert_eq!(values, [1.0, 2.0, f64::from(0.1_f32), 3.0]);
    }

    #[test]
    fn what_is_no_matrix_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.npy");
        MatrixFile::create(&path, 2, 2, StoredNumber::F64).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for bytes in [b"".as_slice(), b"not numpy", &whole[..whole.len() - 1]] {
            std::fs::write(&path, bytes).unwrap();
            let message = MatrixFile::open(&path, false).unwrap_err().to_string();
            assert!(message.contains("expected a .npy array") && message.contains("k.npy"), "{message}");
        }
        let message = MatrixFile::open(&folder.path().join("none.npy"), false).unwrap_err().to_string();
        assert!(message.contains("cannot read"), "{message}");
    }
}
