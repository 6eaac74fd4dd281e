//! Matrices as `.npy`, version 1.0, little-endian f64, C order.

use std::io;
use std::path::Path;

use faer::Mat;
use npyz::WriterBuilder;

use super::atomic;

/// Writes a matrix.
///
/// # Errors
/// A failure to write.
pub fn write(path: &Path, matrix: &Mat<f64>) -> io::Result<()> {
    let mut bytes = Vec::new();
    let shape = [matrix.nrows() as u64, matrix.ncols() as u64];
    let mut writer = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(&mut bytes).begin_nd()?;
    for i in 0..matrix.nrows() {
        for j in 0..matrix.ncols() {
            writer.push(&matrix[(i, j)])?;
        }
    }
    writer.finish()?;
    atomic::write(path, &bytes)
}

/// Reads a matrix of f64 or f32 numbers; a vector becomes one row.
///
/// # Errors
/// The file is missing, is no `.npy` file, or holds something else than numbers in one or two dimensions.
pub fn read(path: &Path) -> io::Result<Mat<f64>> {
    let refuse = |what: String| {
        let message = format!("{}: {what}; expected a .npy array of f64 or f32 with 1 or 2 dimensions", path.display());
        io::Error::new(io::ErrorKind::InvalidData, message)
    };
    let bytes = std::fs::read(path)
        .map_err(|error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display())))?;
    let file = npyz::NpyFile::new(bytes.as_slice()).map_err(|error| refuse(error.to_string()))?;
    let shape: Vec<usize> = file.shape().iter().map(|&size| size as usize).collect();
    let (rows, columns) = match shape.as_slice() {
        [n] => (1, *n),
        [n, m] => (*n, *m),
        other => return Err(refuse(format!("found {} dimensions", other.len()))),
    };
    // The header may claim anything: the data must be there before memory is asked for.
    let count = rows.checked_mul(columns).filter(|count| count.checked_mul(4).is_some_and(|n| n <= bytes.len()));
    if count.is_none() {
        return Err(refuse(format!("the header claims {shape:?} but the file has {} bytes", bytes.len())));
    }
    let is_fortran = file.order() == npyz::Order::Fortran;
    let dtype = file.dtype().descr();
    let values: Vec<f64> = if dtype.contains("f4") {
        file.into_vec::<f32>().map(|v| v.into_iter().map(f64::from).collect())
    } else {
        file.into_vec::<f64>()
    }
    .map_err(|error| refuse(error.to_string()))?;
    let index = |i: usize, j: usize| if is_fortran { j * rows + i } else { i * columns + j };
    Ok(Mat::from_fn(rows, columns, |i, j| values[index(i, j)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.npy");
        let matrix = Mat::from_fn(3, 2, |i, j| (i as f64 + 0.1) / (j as f64 + 3.0));
        write(&path, &matrix).unwrap();
        assert_eq!(read(&path).unwrap(), matrix);
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.npy");
        for bytes in [b"".as_slice(), b"not numpy", b"\x93NUMPY\x01\x00\xff\xff"] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read(&path).unwrap_err().to_string().contains("expected a .npy array"));
        }
    }
}
