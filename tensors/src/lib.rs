//! Between tensors on a device and numbers on the host: the one place where either becomes the other.

mod number;

use burn::tensor::{DType, Tensor};
use faer::Mat;

pub use number::Number;

/// Copies a tensor to an f64 matrix of the same shape.
pub fn to_matrix(tensor: Tensor<2>) -> Mat<f64> {
    let [rows, columns] = tensor.dims();
    let values = to_f64(tensor);
    Mat::from_fn(rows, columns, |i, j| values[i * columns + j])
}

/// Row-major values of a tensor in f64.
pub fn to_f64<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    // What is narrower than f64 fits f32 without loss.
    if tensor.dtype() == DType::F64 {
        f64::pull(tensor)
    } else {
        f32::pull(tensor).into_iter().map(f64::from).collect()
    }
}

/// Row-major values of a tensor in f32.
pub fn to_f32<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    f32::pull(tensor)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn numbers_arrive_row_by_row_in_both_precisions() {
        let device = Device::flex();
        let tensor = Tensor::<2>::from_data([[1.0, 2.5, -3.0], [0.1, 5.0, 6.0]], (&device, DType::F64));
        assert_eq!(to_f64(tensor.clone()), [1.0, 2.5, -3.0, 0.1, 5.0, 6.0]);
        let matrix = to_matrix(tensor.clone());
        assert_eq!((matrix.nrows(), matrix.ncols(), matrix[(1, 0)]), (2, 3, 0.1));
        let narrow = tensor.cast(DType::F32);
        assert_eq!(to_f64(narrow.clone())[3], f64::from(0.1_f32));
        assert_eq!(to_f32(narrow)[4], 5.0);
    }
}
