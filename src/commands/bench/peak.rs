//! The speed of a large matrix product on this machine, in which other speeds are stated.

use std::fs;
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

/// How fast products are, in units of 1e9 operations.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peak {
    /// A second, on all threads.
    pub(super) wall: f64,
    /// A second of one processor, where the system counts those.
    pub(super) processor: Option<f64>,
}

#[derive(Debug, Serialize)]
struct PeakLine {
    event: &'static str,
    library: &'static str,
    gflop_per_s: f64,
    threads: usize,
}

/// The speed of a large product.
pub(super) fn peak(console: &Console) -> Result<Peak> {
    let a = Mat::<f32>::from_fn(LARGE, LARGE, |i, j| ((7 * i + 3 * j) % 17) as f32 - 8.0);
    let mut c = Mat::<f32>::zeros(LARGE, LARGE);
    let tensor = Tensor::<2>::random([LARGE, LARGE], Distribution::Default, (&Device::flex(), DType::F32));
    let operations = 2.0 * (LARGE as f64).powi(3) * 1e-9;
    let threads = rayon::current_num_threads();
    let mut fastest = [f64::INFINITY; 2];
    let mut processor: Option<f64> = None;
    for _ in 0..4 {
        let start = Instant::now();
        matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.transpose(), 1.0_f32, Par::rayon(threads));
        fastest[0] = fastest[0].min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        let product = tensor.clone().matmul(tensor.clone());
        ensure!(product.dims() == [LARGE, LARGE], "a product of another size");
        fastest[1] = fastest[1].min(start.elapsed().as_secs_f64());
        // On one thread: threads that wait for others would count as busy.
        let start = processor_s();
        matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.transpose(), 1.0_f32, Par::Seq);
        let spent = processor_s().zip(start).map(|(end, start)| end - start).filter(|spent| *spent > 0.0);
        let speed = spent.map(|spent| operations / spent);
        processor = [processor, speed].into_iter().flatten().reduce(f64::max);
    }
    for (library, seconds) in [("faer", fastest[0]), ("burn-flex", fastest[1])] {
        console.json(&PeakLine { event: "peak", library, gflop_per_s: operations / seconds, threads })?;
        console.note(format_args!("{library}: {} GFLOP/s", number(operations / seconds, 3)));
    }
    Ok(Peak { wall: operations / fastest[0].min(fastest[1]), processor })
}

/// Seconds that processors have spent on this process, where the system counts them.
pub(super) fn processor_s() -> Option<f64> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let of_thread = |entry: std::io::Result<fs::DirEntry>| -> Option<f64> {
        let text = fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(1e-9 * threads.filter_map(of_thread).sum::<f64>()).filter(|spent| *spent > 0.0)
}
