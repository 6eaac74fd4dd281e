//! Convolutions of stride 1 on flex outside any graph: image by image, as products of shifted views.

use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use bytemuck::Pod;
use rayon::prelude::*;
use widthwise_tensors::Number;
use widthwise_theory::architecture::{InputShape, Layer};

use crate::host::host_view::HostView;
use crate::host::lanes::Lanes;
use crate::host::scratch::Scratch;
use crate::host::shifted_gemm::ShiftedGemm;
use crate::host::transpose::transpose;

/// Which of two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConvolutionMap {
    /// Images to pre-activations.
    Up,
    /// Cotangents of pre-activations to those of images.
    Down,
}

/// The geometry, where these tensors can be convolved here.
pub(super) fn shifted_gemm(
    images: &Tensor<2>,
    weight: &Tensor<2>,
    shape: InputShape,
    layer: &Layer,
) -> Option<ShiftedGemm> {
    let is_plain = |tensor: &Tensor<2>| !tensor.is_autodiff() && tensor.device() == Device::flex();
    let is_known = matches!(images.dtype(), DType::F32 | DType::F64);
    ShiftedGemm::new(shape, layer).filter(|_| is_known && is_plain(images) && is_plain(weight))
}

/// Images convolved with `weight`, or the adjoint, without gain and bias.
pub(super) fn convolved(
    images: &Tensor<2>,
    weight: &Tensor<2>,
    shifted_gemm: ShiftedGemm,
    way: ConvolutionMap,
) -> Tensor<2> {
    match images.dtype() {
        DType::F64 => on_host::<f64>(images, weight, shifted_gemm, way),
        _ => on_host::<f32>(images, weight, shifted_gemm, way),
    }
}

fn on_host<T>(images: &Tensor<2>, weight: &Tensor<2>, shifted_gemm: ShiftedGemm, way: ConvolutionMap) -> Tensor<2>
where
    T: Number + Lanes + Element + Pod,
{
    let (examples, units) = (images.dims()[0], weight.dims()[0]);
    let weights = HostView::<T>::of(weight);
    let (shifted_gemm, filters, channels) = match way {
        ConvolutionMap::Up => (shifted_gemm, shifted_gemm.pack(weights.numbers(), units), units),
        ConvolutionMap::Down => {
            (shifted_gemm.adjoint(units), shifted_gemm.pack_adjoint(weights.numbers(), units), shifted_gemm.channels())
        }
    };
    let [image, padded, positions] = shifted_gemm.sizes();
    let rooms = || [image, padded, positions * channels].map(Scratch::new);
    let images = HostView::<T>::of(images);
    let mut made = vec![T::ZERO; examples * positions * channels];
    let each = images.numbers().par_chunks_exact(image).zip(made.par_chunks_exact_mut(positions * channels));
    each.for_each_init(rooms, |[transposed, padded, z], (image, into)| {
        transpose(image, image.len() / shifted_gemm.channels(), transposed);
        shifted_gemm.pad(transposed, padded);
        shifted_gemm.convolve(padded, (&filters, channels), None, z);
        transpose(z, channels, into);
    });
    Tensor::from_data(TensorData::new(made, [examples, positions * channels]), (&Device::flex(), T::DTYPE))
}
