//! The two precisions of the host path.

use burn::tensor::{DType, Tensor};
use faer::traits::RealField;

/// `f32` or `f64`.
pub trait Number: RealField + Copy + Default + Send + Sync + 'static {
    /// The name of the type for tensors.
    const DTYPE: DType;

    /// Rounds.
    fn of(value: f64) -> Self;

    /// Widens.
    fn wide(self) -> f64;

    /// Row-major values of a tensor.
    fn pull<const D: usize>(tensor: Tensor<D>) -> Vec<Self>;
}

macro_rules! number {
    ($number:ty, $dtype:expr) => {
        impl Number for $number {
            const DTYPE: DType = $dtype;

            #[inline]
            fn of(value: f64) -> Self {
                value as $number
            }

            #[inline]
            fn wide(self) -> f64 {
                f64::from(self)
            }

            fn pull<const D: usize>(tensor: Tensor<D>) -> Vec<Self> {
                let data = tensor.cast(Self::DTYPE).into_data();
                data.try_into_vec::<$number>().unwrap_or_else(|_| unreachable!("the type of the tensor after the cast"))
            }
        }
    };
}

number!(f32, DType::F32);
number!(f64, DType::F64);
