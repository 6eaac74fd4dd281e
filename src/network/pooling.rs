//! Average pooling as two small matrices, one an axis: `M_h x M_w^T`, with the transposes as the exact adjoint.

use burn::tensor::{DType, Device, Tensor};
use widthwise_theory::{InputShape, Padding};

use super::from_f64;

/// `size x out`: column `p` averages the window of output `p`; outside cells count as zeros.
fn averaging(size: usize, window: usize, stride: usize, padding: Padding, device: &Device, dtype: DType) -> Tensor<2> {
    let (out, low) = padding.geometry(size, window, stride).unwrap_or((1, 0));
    let mut values = vec![0.0; size * out];
    for p in 0..out {
        for tap in 0..window {
            let cell = (p * stride + tap) as isize - low as isize;
            let cell = match padding {
                Padding::Circular => cell.rem_euclid(size as isize),
                Padding::Same | Padding::Valid => cell,
            };
            if (0..size as isize).contains(&cell) {
                values[cell as usize * out + p] += 1.0 / window as f64;
            }
        }
    }
    from_f64(values, [size, out], device, dtype)
}

fn matrices(
    like: &Tensor<2>,
    shape: InputShape,
    window: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> [Tensor<2>; 2] {
    let device = like.device().inner();
    let axis = |size, i: usize| averaging(size, window[i], stride[i], padding, &device, like.dtype());
    [axis(shape.height, 0), axis(shape.width, 1)]
}

pub(super) fn average(
    state: Tensor<2>,
    shape: InputShape,
    window: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Tensor<2> {
    let n = state.dims()[0];
    let [rows, columns] = matrices(&state, shape, window, stride, padding);
    let (out_h, out_w) = (rows.dims()[1], columns.dims()[1]);
    let images = n * shape.channels;
    let pooled = state.reshape([images * shape.height, shape.width]).matmul(columns);
    let pooled = pooled.reshape([images, shape.height, out_w]).swap_dims(1, 2);
    let pooled = pooled.reshape([images * out_w, shape.height]).matmul(rows);
    pooled.reshape([images, out_w, out_h]).swap_dims(1, 2).reshape([n, shape.channels * out_h * out_w])
}

pub(super) fn average_pull_back(
    cotangents: Tensor<2>,
    shape: InputShape,
    window: [usize; 2],
    stride: [usize; 2],
    padding: Padding,
) -> Tensor<2> {
    let copies = cotangents.dims()[0];
    let [rows, columns] = matrices(&cotangents, shape, window, stride, padding);
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
