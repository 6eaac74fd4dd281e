//! Average and sum pooling as two small matrices, one an axis: `M_h x M_w^T`, with the transposes as the exact adjoint. They are made
//! and sent to the device once a network.

use burn::tensor::{DType, Device, Tensor};
use widthwise_theory::architecture::{InputShape, Layer, Padding};

use super::from_f64;

/// Windows of one pooling layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Windows {
    window: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
    /// Whether cells are added rather than averaged.
    sums: bool,
}

impl Windows {
    /// Those of `layer`, if it is a pooling layer.
    pub(super) fn of(layer: &Layer) -> Option<Self> {
        match *layer {
            Layer::AveragePool { window, stride, padding } => Some(Self { window, stride, padding, sums: false }),
            Layer::SumPool { window, stride, padding } => Some(Self { window, stride, padding, sums: true }),
            _ => None,
        }
    }

    /// `size x out` along `axis`: column `p` weighs the window of output `p`; outside cells count as zeros.
    fn matrix(self, size: usize, axis: usize, device: &Device, dtype: DType) -> Tensor<2> {
        let share = if self.sums { 1.0 } else { 1.0 / self.window[axis] as f64 };
        let geometry = self.padding.geometry(axis, size, self.window[axis], self.stride[axis]).unwrap_or((1, 0));
        let is_circular = self.padding == Padding::Circular;
        weights(size, geometry, [self.window[axis], self.stride[axis]], is_circular, share, device, dtype)
    }

    /// The matrices of the two axes for images of `shape`.
    pub(super) fn matrices(self, shape: InputShape, device: &Device, dtype: DType) -> [Tensor<2>; 2] {
        [self.matrix(shape.height, 0, device, dtype), self.matrix(shape.width, 1, device, dtype)]
    }
}

fn weights(
    size: usize,
    (out, low): (usize, usize),
    [window, stride]: [usize; 2],
    is_circular: bool,
    share: f64,
    device: &Device,
    dtype: DType,
) -> Tensor<2> {
    let mut values = vec![0.0; size * out];
    for p in 0..out {
        for tap in 0..window {
            let cell = (p * stride + tap) as isize - low as isize;
            let cell = if is_circular { cell.rem_euclid(size as isize) } else { cell };
            if (0..size as isize).contains(&cell) {
                values[cell as usize * out + p] += share;
            }
        }
    }
    from_f64(values, [size, out], device, dtype)
}

pub(super) fn forward(state: Tensor<2>, shape: InputShape, [rows, columns]: [Tensor<2>; 2]) -> Tensor<2> {
    let n = state.dims()[0];
    let (out_h, out_w) = (rows.dims()[1], columns.dims()[1]);
    let images = n * shape.channels;
    let pooled = state.reshape([images * shape.height, shape.width]).matmul(columns);
    let pooled = pooled.reshape([images, shape.height, out_w]).swap_dims(1, 2);
    let pooled = pooled.reshape([images * out_w, shape.height]).matmul(rows);
    pooled.reshape([images, out_w, out_h]).swap_dims(1, 2).reshape([n, shape.channels * out_h * out_w])
}

pub(super) fn pull_back(cotangents: Tensor<2>, shape: InputShape, [rows, columns]: [Tensor<2>; 2]) -> Tensor<2> {
    let copies = cotangents.dims()[0];
    let (out_h, out_w) = (rows.dims()[1], columns.dims()[1]);
    let images = copies * shape.channels;
    let spread = cotangents.reshape([images * out_h, out_w]).matmul(columns.transpose());
    let spread = spread.reshape([images, out_h, shape.width]).swap_dims(1, 2);
    let spread = spread.reshape([images * shape.width, out_h]).matmul(rows.transpose());
    spread.reshape([images, shape.width, shape.height]).swap_dims(1, 2).reshape([copies, shape.features()])
}

pub(super) fn global(state: Tensor<2>, shape: InputShape) -> Tensor<2> {
    let n = state.dims()[0];
    state.reshape([n, shape.channels, shape.height * shape.width]).mean_dim(2).reshape([n, shape.channels])
}

pub(super) fn global_pull_back(cotangents: Tensor<2>, shape: InputShape) -> Tensor<2> {
    let copies = cotangents.dims()[0];
    let positions = shape.height * shape.width;
    let spread = cotangents.div_scalar(positions as f64).reshape([copies, shape.channels, 1]).repeat_dim(2, positions);
    spread.reshape([copies, shape.features()])
}
