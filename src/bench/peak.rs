//! The speed of a large matrix product on this machine, in which other speeds are stated.

use std::fs;
use std::time::Instant;

use burn::tensor::{DType, Device, Distribution, Tensor};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};

use super::BenchError;

/// Rows of the large matrices.
const LARGE: usize = 3072;

/// How fast products are, in units of 1e9 operations.
#[derive(Debug, Clone, Copy)]
pub struct Peak {
    /// A second, on all threads.
    pub wall: f64,
    /// A second of one processor, where the system counts those.
    pub processor: Option<f64>,
}

/// Seconds of products between two reads, and of a first product below which a larger one is tried.
const ROUND_S: f64 = 0.2;
/// Rows of the largest matrices on devices other than flex.
const LARGEST: usize = 8192;

/// What one library reaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LibraryPeak {
    /// Its name.
    pub library: &'static str,
    /// Rows of the matrices, where these are chosen by the speed of the device.
    pub rows: Option<usize>,
    /// 1e9 operations a second.
    pub gflop_per_s: f64,
}

/// The speed of a large product on `device`, and what it is the best of.
///
/// # Errors
/// A product that makes no sense.
pub fn peak(device: &Device) -> Result<(Peak, Vec<LibraryPeak>), BenchError> {
    if *device == Device::flex() { peak_on_host() } else { peak_in_tensors(device) }
}

/// On the threads of this machine, the faster of two libraries.
fn peak_on_host() -> Result<(Peak, Vec<LibraryPeak>), BenchError> {
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
        if product.dims() != [LARGE, LARGE] {
            return Err(BenchError::nonsense("the peak", "a product makes"));
        }
        fastest[1] = fastest[1].min(start.elapsed().as_secs_f64());
        // On one thread: threads that wait for others would count as busy.
        let start = processor_s();
        matmul(c.as_mut(), Accum::Replace, a.as_ref(), a.transpose(), 1.0_f32, Par::Seq);
        let spent = processor_s().zip(start).map(|(end, start)| end - start).filter(|spent| *spent > 0.0);
        let speed = spent.map(|spent| operations / spent);
        processor = [processor, speed].into_iter().flatten().reduce(f64::max);
    }
    let reached = [("faer", fastest[0]), ("burn-flex", fastest[1])].map(|(library, seconds)| LibraryPeak {
        library,
        rows: None,
        gflop_per_s: operations / seconds,
    });
    Ok((Peak { wall: operations / fastest[0].min(fastest[1]), processor }, reached.to_vec()))
}

/// On `device`, of matrices that keep it busy.
fn peak_in_tensors(device: &Device) -> Result<(Peak, Vec<LibraryPeak>), BenchError> {
    let mut size = 1024;
    loop {
        let matrix = Tensor::<2>::random([size, size], Distribution::Default, (device, DType::F32));
        let seconds = |count: usize| -> Result<f64, BenchError> {
            let start = Instant::now();
            let mut product = matrix.clone();
            for _ in 0..count {
                product = matrix.clone().matmul(matrix.clone());
            }
            // Reading one number waits for all products before.
            let corner: f64 = product.slice([0..1, 0..1]).into_data().iter::<f64>().sum();
            if !corner.is_finite() {
                return Err(BenchError::nonsense("the peak", "a product makes"));
            }
            Ok(start.elapsed().as_secs_f64() / count as f64)
        };
        // The first one compiles and tunes kernels.
        seconds(1)?;
        let one = seconds(1)?;
        if one < ROUND_S && size < LARGEST {
            size *= 2;
            continue;
        }
        let count = ((ROUND_S / one) as usize).clamp(1, 100);
        let mut fastest = f64::INFINITY;
        for _ in 0..4 {
            fastest = fastest.min(seconds(count)?);
        }
        let wall = 2.0 * (size as f64).powi(3) * 1e-9 / fastest;
        let reached = vec![LibraryPeak { library: "burn", rows: Some(size), gflop_per_s: wall }];
        return Ok((Peak { wall, processor: None }, reached));
    }
}

/// Seconds that processors have spent on this process, where the system counts them.
pub(crate) fn processor_s() -> Option<f64> {
    let threads = fs::read_dir("/proc/self/task").ok()?;
    let of_thread = |entry: std::io::Result<fs::DirEntry>| -> Option<f64> {
        let text = fs::read_to_string(entry.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some(1e-9 * threads.filter_map(of_thread).sum::<f64>()).filter(|spent| *spent > 0.0)
}
