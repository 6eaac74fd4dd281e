//! Times of infinite-width kernels: `cargo bench -p widthwise-theory --bench kernels [-- words of a name]`.
//!
//! A row gives the median and the best wall time of preparing all examples and filling both kernels, the processor time of one
//! repetition, dual evaluations a second of processor time, and how much faster the median is than neural-tangents
//! (0.6.5, jit-compiled, f64, on two cores of one machine; first runs, which compile, are left out). Wall times mean little on a
//! machine that others use as well; processor time suffers less.

mod cases;

use std::time::Instant;

use cases::{Case, cases};
use faer::Mat;
use widthwise_theory::TheoryError;
use widthwise_theory::kernel::{Inputs, KernelEngine, KernelTile, TrainedLayers};

/// Repetitions at least, and seconds after which no further one begins.
const LEAST: usize = 3;
const SECONDS: f64 = 3.0;

fn main() -> Result<(), TheoryError> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    println!("{:<58} {:>10} {:>10} {:>10} {:>12} {:>8}", "", "median ms", "best ms", "cpu ms", "duals/cpu s", "times");
    for case in cases().iter().filter(|case| words.iter().all(|word| case.name.contains(word.as_str()))) {
        time(case)?;
    }
    Ok(())
}

fn time(case: &Case) -> Result<(), TheoryError> {
    let (net, examples) = (&case.architecture, case.examples);
    let inputs = Inputs::new(numbers(examples * net.input.features()), net.input)?;
    let engine = KernelEngine::new(net, TrainedLayers::All)?;
    let (mut nngp, mut ntk) = (Mat::<f64>::zeros(examples, examples), Mat::<f64>::zeros(examples, examples));
    let mut times = Vec::new();
    let (begin, before) = (Instant::now(), processor_seconds());
    while times.len() < LEAST || begin.elapsed().as_secs_f64() < SECONDS {
        let start = Instant::now();
        let prepared = engine.prepare(&inputs)?;
        engine.fill(&prepared, None, KernelTile::both(nngp.as_mut(), ntk.as_mut()))?;
        times.push(start.elapsed().as_secs_f64());
    }
    let used = before.zip(processor_seconds()).map(|(before, after)| (after - before) / times.len() as f64);
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let text = |number: Option<f64>, digits: usize| number.map_or(String::new(), |x| format!("{x:.digits$}"));
    println!(
        "{:<58} {:>10.2} {:>10.2} {:>10} {:>12} {:>8}",
        case.name,
        1e3 * median,
        1e3 * times[0],
        text(used.map(|used| 1e3 * used), 2),
        used.map_or(String::new(), |used| format!("{:.2e}", case.duals / used)),
        text(case.reference_s.map(|reference| reference / median), 1),
    );
    Ok(())
}

/// Fractional parts of a quadratic sequence, centred: examples without a pattern that matters.
fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|i| (i as f64 * 0.754_877_666 + (i * i) as f64 * 0.569_840_291).fract() * 3.0 - 1.5).collect()
}

/// Processor time of all threads of this process, where the system tells.
fn processor_seconds() -> Option<f64> {
    let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    Some(1e-9 * tasks.filter_map(|task| nanoseconds(task.ok()?)).sum::<f64>())
}
