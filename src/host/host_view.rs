//! The numbers of a tensor on flex, read where they lie.

use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{Element, Tensor};
use bytemuck::Pod;
use widthwise_tensors::Number;

/// Row-major numbers of a tensor, copied only where they lie in another order, in another precision or on another device.
#[derive(Debug)]
pub(crate) enum HostView<T> {
    /// In the memory of the tensor.
    There(FlexTensor),
    /// In memory of their own.
    Copied(Vec<T>),
}

impl<T: Number + Element + Pod> HostView<T> {
    /// The numbers of `tensor`.
    pub(crate) fn of<const D: usize>(tensor: &Tensor<D>) -> Self {
        match tensor.clone().try_into_primitive::<Flex>() {
            Ok(there) if there.as_slice::<T>().is_some() => HostView::There(there),
            _ => HostView::Copied(T::pull(tensor.clone())),
        }
    }

    /// All of them.
    pub(crate) fn numbers(&self) -> &[T] {
        match self {
            HostView::There(tensor) => tensor.as_slice().unwrap_or_default(),
            HostView::Copied(numbers) => numbers,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn numbers_are_those_of_the_tensor_in_every_order_and_precision() {
        let tensor = Tensor::<2>::from_data([[1.0_f32, 2.0, 3.0], [4.0, 5.0, 6.0]], &Device::flex());
        let is_there = |host_view: &HostView<f32>| matches!(host_view, HostView::There(_));
        let whole = HostView::<f32>::of(&tensor);
        assert!(is_there(&whole));
        assert_eq!(whole.numbers(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let rows = HostView::<f32>::of(&tensor.clone().narrow(0, 1, 1));
        assert!(is_there(&rows));
        assert_eq!(rows.numbers(), [4.0, 5.0, 6.0]);
        let transposed = HostView::<f32>::of(&tensor.clone().transpose());
        assert!(!is_there(&transposed));
        assert_eq!(transposed.numbers(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(HostView::<f64>::of(&tensor).numbers(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let graphed = tensor.to_device(&Device::flex().autodiff());
        assert_eq!(HostView::<f32>::of(&graphed).numbers(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }
}
