//! Arrays as `.npy`: matrices are written as version 1.0, little-endian f64, C order; all real numbers are read.

mod header;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use faer::Mat;
use npyz::WriterBuilder;

use super::atomic;
pub use header::{Header, NumberFamily, NumberFormat};

/// Numbers read at once.
const AT_ONCE: usize = 1 << 16;

/// Most dimensions that an array may have: examples, channels, height and width.
const DIMENSIONS: usize = 4;

/// Writes a matrix.
///
/// # Errors
/// A failure to write.
pub fn write(path: &Path, matrix: &Mat<f64>) -> io::Result<()> {
    atomic::write(path, &bytes(matrix)?)
}

/// A matrix as the bytes of its file.
///
/// # Errors
/// Memory alone.
pub fn bytes(matrix: &Mat<f64>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let shape = [matrix.nrows() as u64, matrix.ncols() as u64];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes).begin_nd()?;
    for i in 0..matrix.nrows() {
        for j in 0..matrix.ncols() {
            writer.push(&matrix[(i, j)])?;
        }
    }
    writer.finish()?;
    Ok(bytes)
}

/// An array, its last dimension running fastest whatever the order in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Sizes of the 1 to 4 dimensions.
    pub shape: Vec<usize>,
    /// Values; as many as the product of the dimensions.
    pub values: Vec<f64>,
}

/// Reads a matrix of numbers of any kind; a vector becomes one row.
///
/// # Errors
/// The file is missing, is no `.npy` file, or holds something else than numbers in one or two dimensions.
pub fn read(path: &Path) -> io::Result<Mat<f64>> {
    let Array { shape, values } = read_array(path)?;
    let (rows, columns) = match shape.as_slice() {
        [n] => (1, *n),
        [n, m] => (*n, *m),
        other => return Err(refused(path, &format!("found {} dimensions where a matrix has 2", other.len()))),
    };
    Ok(Mat::from_fn(rows, columns, |i, j| values[i * columns + j]))
}

/// Reads the header alone.
///
/// # Errors
/// As [`read_array`].
pub fn read_header(path: &Path) -> io::Result<Header> {
    let (_, header, _) = open(path)?;
    Ok(header)
}

/// Reads booleans, integers and floating-point numbers of every size up to 8 bytes, in both byte orders and both orders of
/// dimensions.
///
/// # Errors
/// The file is missing, is no whole `.npy` file, holds something else than numbers in 1 to 4 dimensions, or more than fit
/// into memory.
pub fn read_array(path: &Path) -> io::Result<Array> {
    let (mut file, Header { shape, count, number, is_fortran, start }, length) = open(path)?;
    if !(1..=DIMENSIONS).contains(&shape.len()) {
        return Err(refused(path, &format!("found {} dimensions", shape.len())));
    }
    let surplus = length - start - (count * number.bytes) as u64;
    if surplus > 0 && count > 0 {
        let what =
            format!("{surplus} bytes follow the {count} numbers that the header claims; save one array in a file");
        return Err(refused(path, &what));
    }
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        let message = format!("{}: {count} numbers do not fit into memory; take fewer examples", path.display());
        io::Error::new(io::ErrorKind::OutOfMemory, message)
    })?;
    let cannot = |error: io::Error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()));
    let mut bytes = Vec::new();
    let mut place = is_fortran.then(|| FortranOrder::new(&shape));
    if is_fortran {
        values.resize(count, 0.0);
    }
    let mut left = count;
    while left > 0 {
        let now = left.min(AT_ONCE);
        bytes.resize(now * number.bytes, 0);
        file.read_exact(&mut bytes).map_err(cannot)?;
        match &mut place {
            None => values.extend(number.decode(&bytes)),
            Some(place) => number.decode(&bytes).for_each(|value| values[place.next()] = value),
        }
        left -= now;
    }
    Ok(Array { shape, values })
}

/// A file that stands behind its header, and its length.
fn open(path: &Path) -> io::Result<(File, Header, u64)> {
    let cannot = |error: io::Error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(cannot)?;
    let length = file.metadata().map_err(cannot)?.len();
    let header = Header::read(&mut file, length).map_err(|what| refused(path, &what))?;
    Ok((file, header, length))
}

fn refused(path: &Path, what: &str) -> io::Error {
    let message = format!(
        "{}: {what}; expected a .npy array of floating-point numbers, integers or booleans with 1 to {DIMENSIONS} dimensions",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Places, with the last dimension running fastest, of values whose first one does.
struct FortranOrder<'a> {
    shape: &'a [usize],
    strides: Vec<usize>,
    index: Vec<usize>,
    place: usize,
}

impl<'a> FortranOrder<'a> {
    fn new(shape: &'a [usize]) -> Self {
        let strides = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        Self { shape, strides, index: vec![0; shape.len()], place: 0 }
    }

    /// The place of the value that comes next.
    fn next(&mut self) -> usize {
        let place = self.place;
        for axis in 0..self.shape.len() {
            self.index[axis] += 1;
            self.place += self.strides[axis];
            if self.index[axis] < self.shape[axis] {
                break;
            }
            self.place -= self.shape[axis] * self.strides[axis];
            self.index[axis] = 0;
        }
        place
    }
}

#[cfg(test)]
mod tests;
