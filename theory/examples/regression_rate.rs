//! Rates of large kernel regression on this machine, next to that of one large matrix product in `f32`.
//!
//!     cargo run --release -p widthwise-theory --example regression_rate -- 4000 8000
//!
//! Every argument is a number of examples. The kernel is `exp(-|x - x'|)` on random points of the 3-cube, with ten outputs.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, Par};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use widthwise_theory::regression::{JitterSearch, KernelStore, RidgeOptions};

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get();
    println!("{threads} threads: product of 4000 x 4000 matrices in f32 {:.0} GFLOP/s", product_rate(4000));
    for argument in std::env::args().skip(1) {
        measure(argument.parse()?)?;
    }
    Ok(())
}

/// GFLOP/s of a square product, its rows shared out over the threads.
fn product_rate(size: usize) -> f64 {
    let left = Mat::<f32>::from_fn(size, size, |i, j| ((7 * i + 3 * j) % 11) as f32 - 5.0);
    let mut product = Mat::<f32>::zeros(size, size);
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let begin = Instant::now();
        matmul(product.as_mut(), Accum::Add, left.as_ref(), left.transpose(), 1.0, Par::rayon(0));
        best = best.min(begin.elapsed().as_secs_f64());
    }
    black_box(&product);
    2e-9 * (size as f64).powi(3) / best
}

fn measure(size: usize) -> Result<(), Box<dyn Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let points: Vec<[f64; 3]> = (0..size).map(|_| random.random()).collect();
    let begin = Instant::now();
    let mut store = KernelStore::new(size)?;
    store.fill(256, |rows, columns, mut tile| {
        for (c, right) in points[columns].iter().enumerate() {
            for (r, left) in points[rows.clone()].iter().enumerate() {
                let distance: f64 = left.iter().zip(right).map(|(a, b)| (a - b).powi(2)).sum();
                tile[(r, c)] = (-distance.sqrt()).exp();
            }
        }
        Ok(())
    })?;
    let fill = begin.elapsed().as_secs_f64();
    let targets = Mat::from_fn(size, 10, |i, o| ((i * (o + 1)) as f64).sin());
    let factored = store.factor(&JitterSearch { start: 1e-3, tries: 5 })?;
    let solution = factored.solve(targets.as_ref(), &RidgeOptions { ridge: 1e-3, ..RidgeOptions::default() }, None)?;
    let last = factored.seconds() / factored.tries().len() as f64;
    println!("{size}: fill {fill:.2} s, factor {:.0} GFLOP/s", 1e-9 * (size as f64).powi(3) / 3.0 / last);
    println!(
        "  {:?} after {} iterations, tries {:?}, {:?}, {:?}",
        solution.end,
        solution.iterations,
        factored.tries(),
        solution.spectrum,
        solution.times
    );
    Ok(())
}
