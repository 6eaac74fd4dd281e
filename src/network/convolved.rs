//! Convolutions of stride 1 on flex outside any graph: image by image, as products of shifted views.

use burn::tensor::{DType, Device, Element, Tensor, TensorData};
use bytemuck::Pod;
use rayon::prelude::*;
use widthwise_tensors::Number;
use widthwise_theory::{InputShape, Layer};

use crate::host::lanes::Lanes;
use crate::host::lent::Lent;
use crate::host::raster::Raster;
use crate::host::scratch::Scratch;
use crate::host::turn::turn;

/// Which of two maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Images to pre-activations.
    Up,
    /// Cotangents of pre-activations to those of images.
    Down,
}

/// The geometry, where these tensors can be convolved here.
pub(super) fn raster(images: &Tensor<2>, weight: &Tensor<2>, shape: InputShape, layer: &Layer) -> Option<Raster> {
    let is_plain = |tensor: &Tensor<2>| !tensor.is_autodiff() && tensor.device() == Device::flex();
    let is_known = matches!(images.dtype(), DType::F32 | DType::F64);
    Raster::new(shape, layer).filter(|_| is_known && is_plain(images) && is_plain(weight))
}

/// Images convolved with `weight`, or the adjoint, without gain and bias.
pub(super) fn convolved(images: &Tensor<2>, weight: &Tensor<2>, raster: Raster, way: Way) -> Tensor<2> {
    match images.dtype() {
        DType::F64 => on_host::<f64>(images, weight, raster, way),
        _ => on_host::<f32>(images, weight, raster, way),
    }
}

fn on_host<T>(images: &Tensor<2>, weight: &Tensor<2>, raster: Raster, way: Way) -> Tensor<2>
where
    T: Number + Lanes + Element + Pod,
{
    let (examples, units) = (images.dims()[0], weight.dims()[0]);
    let weights = Lent::<T>::of(weight);
    let (raster, filters, channels) = match way {
        Way::Up => (raster, raster.pack(weights.numbers(), units), units),
        Way::Down => (raster.adjoint(units), raster.pack_adjoint(weights.numbers(), units), raster.channels()),
    };
    let [image, padded, positions] = raster.sizes();
    let rooms = || [image, padded, positions * channels].map(Scratch::new);
    let images = Lent::<T>::of(images);
    let mut made = vec![T::ZERO; examples * positions * channels];
    let each = images.numbers().par_chunks_exact(image).zip(made.par_chunks_exact_mut(positions * channels));
    each.for_each_init(rooms, |[turned, padded, z], (image, into)| {
        turn(image, image.len() / raster.channels(), turned);
        raster.pad(turned, padded);
        raster.convolve(padded, (&filters, channels), None, z);
        turn(z, channels, into);
    });
    Tensor::from_data(TensorData::new(made, [examples, positions * channels]), (&Device::flex(), T::DTYPE))
}
