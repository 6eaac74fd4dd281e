//! Processor time of kernels of inputs that come near collinear: `cargo run --release -p widthwise-theory --example near_pairs`.
//!
//! Two thousand points on a circle, of which every point has some eighteen neighbors and opposites nearer than `1 - |rho| = 1e-4`,
//! and a Weyl sequence, whose neighbors differ in norm; against as many inputs of 64 features without structure, none of which
//! come near. A row has seconds of processor time of the calling process, the best of some rounds.

use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization};
use widthwise_theory::kernel::{Inputs, KernelEngine, TrainedLayers};

const POINTS: usize = 2000;
const ROUNDS: usize = 3;

fn main() -> Result<(), TheoryError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let functions = [
        Activation::Relu,
        Activation::Erf,
        Activation::Gelu,
        Activation::Gaussian,
        Activation::Sin { frequency: 1.0, phase: 0.0 },
        Activation::Tanh,
        Activation::Silu,
    ];
    println!("{:<10} {:>6} {:>10} {:>10} {:>10}", "", "layers", "circle", "weyl", "apart");
    for function in functions.iter().filter(|f| words.is_empty() || words.iter().any(|word| word == f.name())) {
        for depth in [3, 10] {
            let times =
                [circle(), weyl(64), apart(64)].map(|(values, features)| time(function, depth, values, features));
            let [circle, weyl, apart] =
                [times[0].as_ref(), times[1].as_ref(), times[2].as_ref()].map(|time| time.copied().unwrap_or(f64::NAN));
            println!("{:<10} {depth:>6} {circle:>10.3} {weyl:>10.3} {apart:>10.3}", function.name());
        }
    }
    Ok(())
}

/// Points on a circle, row-major.
fn circle() -> (Vec<f64>, usize) {
    let turn = |i: usize| std::f64::consts::TAU * i as f64 / POINTS as f64;
    ((0..POINTS).flat_map(|i| [turn(i).cos(), turn(i).sin()]).collect(), 2)
}

/// The fractional parts of multiples of the golden ratio.
fn weyl(features: usize) -> (Vec<f64>, usize) {
    let value = |i: usize| (i as f64 * 0.618_033_988_749_894_9).fract() - 0.5;
    ((0..POINTS * features).map(value).collect(), features)
}

/// Numbers without structure, by a mixing function.
fn apart(features: usize) -> (Vec<f64>, usize) {
    let value = |i: usize| {
        let mut x = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
    };
    ((0..POINTS * features).map(value).collect(), features)
}

fn time(function: &Activation, depth: usize, values: Vec<f64>, features: usize) -> Result<f64, TheoryError> {
    let init = InitVariance { sigma_w2: 1.9, sigma_b2: 0.1 };
    let mut layers = Vec::new();
    for _ in 0..depth {
        layers.push(Layer::Dense { width: 64, init });
        layers.push(Layer::Activation { function: function.clone() });
    }
    layers.push(Layer::Dense { width: 1, init });
    let architecture = Architecture {
        input: InputShape::flat(features),
        layers,
        gates: None,
        parameterization: Parameterization::Ntk,
        init_scheme: InitScheme::Gaussian,
    };
    let inputs = Inputs::new(values, InputShape::flat(features))?;
    let engine = KernelEngine::new(&architecture, TrainedLayers::All)?;
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let before = processor_seconds();
        let prepared = engine.prepare(&inputs)?;
        engine.kernels(&prepared, None)?;
        best = best.min(processor_seconds() - before);
    }
    Ok(best)
}

/// Processor time of all threads so far, where the system tells.
fn processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|word| word.parse::<f64>().ok()).unwrap_or(f64::NAN);
    (ticks(11) + ticks(12)) / 100.0
}
