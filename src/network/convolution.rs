//! Convolutions: pad explicitly, then a `valid` convolution. A dense layer applied at every position.

use burn::tensor::module::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Device, Int, Slice, Tensor};
use widthwise_theory::architecture::{InputShape, Layer, Padding, Scaling};

use super::LayerParameters;
use super::convolved::{ConvolutionMap, convolved, shifted_gemm};
use super::dense::scale;

/// Filter, stride, output size and padding of a convolution on an image.
struct ConvolutionWindow {
    filter: [usize; 2],
    stride: [usize; 2],
    out: [usize; 2],
    low: [usize; 2],
    padded: [usize; 2],
}

impl ConvolutionWindow {
    fn new(shape: InputShape, layer: &Layer) -> Self {
        let Layer::Convolution { filter_size, stride, padding, .. } = layer else {
            unreachable!("called for convolutions only");
        };
        let size = [shape.height, shape.width];
        let axis = |i: usize| padding.geometry(i, size[i], filter_size[i], stride[i]).unwrap_or((1, 0));
        let ([rows, columns], filter, stride) = ([axis(0), axis(1)], *filter_size, *stride);
        let out = [rows.0, columns.0];
        let padded = std::array::from_fn(|i| match padding {
            Padding::Valid => size[i],
            Padding::Same | Padding::Circular => size[i].max((out[i] - 1) * stride[i] + filter[i]),
            Padding::Zeros(cells) => size[i] + 2 * cells[i],
        });
        Self { filter, stride, out, low: [rows.1, columns.1], padded }
    }

    fn is_padded(&self, shape: InputShape) -> bool {
        self.padded != [shape.height, shape.width]
    }

    /// `[N, C, H, W]` to the padded size.
    fn pad(&self, image: Tensor<4>, shape: InputShape, wrapped: Wrapped<'_>) -> Tensor<4> {
        if !self.is_padded(shape) {
            return image;
        }
        match wrapped {
            Some([rows, columns]) => image.select(2, rows.clone()).select(3, columns.clone()),
            // Not `Tensor::pad`: on a device with autodiff Burn makes its constant on the host and uploads it.
            None => {
                let [n, channels, ..] = image.dims();
                let dims = [n, channels, self.padded[0], self.padded[1]];
                let inside = |axis: usize, size: usize| self.low[axis]..self.low[axis] + size;
                let place = [0..n, 0..channels, inside(0, shape.height), inside(1, shape.width)];
                Tensor::zeros(dims, (&image.device(), image.dtype())).slice_assign(place, image)
            }
        }
    }

    /// Adjoint of [`ConvolutionWindow::pad`].
    fn unpad(&self, image: Tensor<4>, shape: InputShape, wrapped: Wrapped<'_>) -> Tensor<4> {
        if !self.is_padded(shape) {
            return image;
        }
        match wrapped {
            Some([rows, columns]) => {
                let (rows, columns) = (rows.clone(), columns.clone());
                let [n, channels, _, padded_width] = image.dims();
                let options = (&image.device(), image.dtype());
                let folded = Tensor::zeros([n, channels, shape.height, padded_width], options);
                let folded = folded.select_assign(2, rows, image, burn::tensor::IndexingUpdateOp::Add);
                let whole = Tensor::zeros([n, channels, shape.height, shape.width], options);
                whole.select_assign(3, columns, folded, burn::tensor::IndexingUpdateOp::Add)
            }
            None => image.narrow(2, self.low[0], shape.height).narrow(3, self.low[1], shape.width),
        }
    }

    /// Source index of every padded index along one axis of `size`.
    fn source(&self, axis: usize, size: usize, device: &Device) -> Tensor<1, Int> {
        let shift = size * self.low[axis].div_ceil(size) - self.low[axis];
        let indices: Vec<i64> = (0..self.padded[axis]).map(|i| ((i + shift) % size) as i64).collect();
        Tensor::from_data(indices.as_slice(), device)
    }
}

/// Source indices of a circular padding, an axis each.
pub(super) type Wrapped<'a> = Option<&'a [Tensor<1, Int>; 2]>;

/// Those of `layer` on images of `shape`, made and sent to the device once a network; `None` unless it pads circularly.
pub(super) fn wrapped(shape: InputShape, layer: &Layer, device: &Device) -> Option<[Tensor<1, Int>; 2]> {
    let Layer::Convolution { padding: Padding::Circular, .. } = layer else { return None };
    let window = ConvolutionWindow::new(shape, layer);
    Some([window.source(0, shape.height, device), window.source(1, shape.width, device)])
}

impl ConvolutionWindow {
    /// `[n, C, k_h, k_w]`.
    fn filters(&self, parameters: &LayerParameters, shape: InputShape) -> Tensor<4> {
        let width = parameters.weight.dims()[0];
        parameters.weight.clone().reshape([width, shape.channels, self.filter[0], self.filter[1]])
    }
}

fn as_image(state: Tensor<2>, shape: InputShape) -> Tensor<4> {
    let n = state.dims()[0];
    state.reshape([n, shape.channels, shape.height, shape.width])
}

pub(super) fn forward(
    state: Tensor<2>,
    parameters: &LayerParameters,
    scaling: &Scaling,
    shape: InputShape,
    layer: &Layer,
    wrapped: Wrapped<'_>,
) -> Tensor<2> {
    let window = ConvolutionWindow::new(shape, layer);
    let n = state.dims()[0];
    let width = parameters.weight.dims()[0];
    let z = match shifted_gemm(&state, &parameters.weight, shape, layer) {
        Some(shifted_gemm) => {
            let z = convolved(&state, &parameters.weight, shifted_gemm, ConvolutionMap::Up);
            z.reshape([n, width, window.out[0], window.out[1]])
        }
        None => {
            let filters = window.filters(parameters, shape);
            let padded = window.pad(as_image(state, shape), shape, wrapped);
            conv2d(padded, filters, None, ConvOptions::new(window.stride, [0, 0], [1, 1], 1))
        }
    };
    let z = scale(z, scaling.weight_gain);
    let z = match &parameters.bias {
        Some(bias) => z + scale(bias.clone(), scaling.bias_gain).reshape([1, width, 1, 1]),
        None => z,
    };
    z.reshape([n, width * window.out[0] * window.out[1]])
}

/// Patches `[N, P, C k_h k_w]`, in the order of the filters.
pub(super) fn rows(state: Tensor<2>, shape: InputShape, layer: &Layer, wrapped: Wrapped<'_>) -> Tensor<3> {
    let window = ConvolutionWindow::new(shape, layer);
    let n = state.dims()[0];
    let padded = window.pad(as_image(state, shape), shape, wrapped);
    let [positions, taps] = [window.out[0] * window.out[1], window.filter[0] * window.filter[1]];
    let slices = |tap: usize, axis: usize| {
        let end = tap + (window.out[axis] - 1) * window.stride[axis] + 1;
        Slice::new(tap as isize, Some(end as isize), window.stride[axis] as isize)
    };
    let mut patches = Vec::with_capacity(taps);
    for i in 0..window.filter[0] {
        for j in 0..window.filter[1] {
            let patch = padded.clone().slice([Slice::full(), Slice::full(), slices(i, 0), slices(j, 1)]);
            patches.push(patch.reshape([n, shape.channels, 1, positions]));
        }
    }
    Tensor::cat(patches, 2).permute([0, 3, 1, 2]).reshape([n, positions, shape.channels * taps])
}

pub(super) fn pull_back(
    cotangents: Tensor<2>,
    parameters: &LayerParameters,
    scaling: &Scaling,
    shape: InputShape,
    layer: &Layer,
    wrapped: Wrapped<'_>,
) -> Tensor<2> {
    let window = ConvolutionWindow::new(shape, layer);
    let copies = cotangents.dims()[0];
    let width = parameters.weight.dims()[0];
    if let Some(shifted_gemm) = shifted_gemm(&cotangents, &parameters.weight, shape, layer) {
        return scale(
            convolved(&cotangents, &parameters.weight, shifted_gemm, ConvolutionMap::Down),
            scaling.weight_gain,
        );
    }
    let filters = window.filters(parameters, shape);
    let cotangents = scale(cotangents, scaling.weight_gain).reshape([copies, width, window.out[0], window.out[1]]);
    // Padded rows that no window reaches.
    let rest = std::array::from_fn(|i| window.padded[i] - ((window.out[i] - 1) * window.stride[i] + window.filter[i]));
    let options = ConvTransposeOptions::new(window.stride, [0, 0], rest, [1, 1], 1);
    let pulled = conv_transpose2d(cotangents, filters, None, options);
    window.unpad(pulled, shape, wrapped).reshape([copies, shape.features()])
}
