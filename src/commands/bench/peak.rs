//! The speed of a large matrix product on this machine, in which other speeds are stated.

use std::time::Instant;

use anyhow::{Result, ensure};
use burn::tensor::{DType, Device, Distribution, Tensor};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use serde::Serialize;

use crate::commands::columns::number;
use crate::commands::console::Console;

/// Rows of the large matrices.
const LARGE: usize = 3072;

#[derive(Debug, Serialize)]
struct PeakLine {
    event: &'static str,
    library: &'static str,
    gflop_per_s: f64,
    threads: usize,
}

/// The speed of a large product, in units of 1e9 operations a second.
pub(super) fn peak(console: &Console) -> Result<f64> {
    let a = Mat::<f32>::from_fn(LARGE, LARGE, |i, j| ((7 * i + 3 * j) % 17) as f32 - 8.0);
    let mut c = Mat::<f32>::zeros(LARGE, LARGE);
    let tensor = Tensor::<2>::random([LARGE, LARGE], Distribution::Default, (&Device::flex(), DType::F32));
    let operations = 2.0 * (LARGE as f64).powi(3) * 1e-9;
    let mut fastest = [f64::INFINITY; 2];
    for _ in 0..4 {
        let start = Instant::now();
        matmul(
            c.as_mut(),
            Accum::Replace,
            a.as_ref(),
            a.transpose(),
            1.0_f32,
            Par::rayon(rayon::current_num_threads()),
        );
        fastest[0] = fastest[0].min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let product = tensor.clone().matmul(tensor.clone());
        ensure!(product.dims() == [LARGE, LARGE], "a product of another size");
        fastest[1] = fastest[1].min(start.elapsed().as_secs_f64());
    }
    let threads = rayon::current_num_threads();
    for (library, seconds) in [("faer", fastest[0]), ("burn-flex", fastest[1])] {
        console.json(&PeakLine { event: "peak", library, gflop_per_s: operations / seconds, threads })?;
        console.note(format_args!("{library}: {} GFLOP/s", number(operations / seconds, 3)));
    }
    Ok(operations / fastest[0].min(fastest[1]))
}
