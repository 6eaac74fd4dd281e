//! `widthwise bench`: how fast this machine is, case by case, with sizes in the names.

mod networks;
pub(crate) mod ntk;
mod peak;
pub(crate) mod probes;
pub(crate) mod train;

use std::time::Instant;

use anyhow::{Result, ensure};
use faer::Mat;
use serde::Serialize;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{
    Architecture, InitScheme, InitVariance, InputShape, Layer, Padding, Parameterization,
};
use widthwise_theory::kernel::{Inputs, kernels};

use networks::value;

use super::Exit;
use crate::cli::BenchCases;
use crate::terminal::columns::{Align, columns, number};
use crate::terminal::console::Console;

/// Seconds that one case may take before its repeats are cut.
const PATIENCE_S: f64 = 20.0;

/// One kernel computation: NNGP and tangent kernel of `examples` random inputs with themselves.
struct KernelCase {
    name: &'static str,
    architecture: Architecture,
    examples: usize,
}

/// What a case took.
#[derive(Debug, Serialize)]
struct KernelTiming {
    event: &'static str,
    case: &'static str,
    examples: usize,
    repeats: usize,
    median_s: f64,
    fastest_s: f64,
    slowest_s: f64,
    threads: usize,
    /// Evaluations of a dual activation and its derivative for distinct pairs, a second and thread.
    duals_per_s_per_thread: f64,
}

const DENSE_INIT: InitVariance = InitVariance { sigma_w2: 2.0, sigma_b2: 0.1 };
const FEATURES: usize = 784;
const IMAGE: InputShape = InputShape { channels: 3, height: 32, width: 32 };

fn architecture(input: InputShape, layers: Vec<Layer>) -> Architecture {
    let (parameterization, init_scheme) = (Parameterization::Ntk, InitScheme::Gaussian);
    Architecture { input, layers, gates: None, parameterization, init_scheme }
}

fn dense(function: &Activation, depth: usize) -> Architecture {
    let hidden = [Layer::Dense { width: 1024, init: DENSE_INIT }, Layer::Activation { function: function.clone() }];
    let mut layers: Vec<Layer> = std::iter::repeat_n(hidden, depth).flatten().collect();
    layers.push(Layer::Dense { width: 1, init: DENSE_INIT });
    architecture(InputShape::flat(FEATURES), layers)
}

fn convolutions(depth: usize, readout: Layer) -> Architecture {
    let hidden = [
        Layer::Convolution { width: 64, filter_size: [3, 3], stride: [1, 1], padding: Padding::Same, init: DENSE_INIT },
        Layer::Activation { function: Activation::Relu },
    ];
    let mut layers: Vec<Layer> = std::iter::repeat_n(hidden, depth).flatten().collect();
    layers.extend([readout, Layer::Dense { width: 1, init: DENSE_INIT }]);
    architecture(IMAGE, layers)
}

fn cases() -> Vec<KernelCase> {
    let case = |name, architecture, examples| KernelCase { name, architecture, examples };
    let fc = |name, phi: Activation, depth, examples| case(name, dense(&phi, depth), examples);
    let flat = |name, examples| case(name, convolutions(5, Layer::Flatten), examples);
    let pooled = |name, depth, examples| case(name, convolutions(depth, Layer::GlobalAveragePool), examples);
    vec![
        fc("fc_relu_depth3_n500", Activation::Relu, 3, 500),
        fc("fc_relu_depth10_n500", Activation::Relu, 10, 500),
        fc("fc_relu_depth3_n2000", Activation::Relu, 3, 2000),
        fc("fc_erf_depth3_n2000", Activation::Erf, 3, 2000),
        fc("fc_gelu_depth3_n2000", Activation::Gelu, 3, 2000),
        fc("fc_relu_depth10_n2000", Activation::Relu, 10, 2000),
        fc("fc_erf_depth10_n2000", Activation::Erf, 10, 2000),
        fc("fc_gelu_depth10_n2000", Activation::Gelu, 10, 2000),
        fc("fc_tanh_depth3_n2000", Activation::Tanh, 3, 2000),
        flat("conv3x3_depth5_32x32x3_flatten_relu_n50", 50),
        flat("conv3x3_depth5_32x32x3_flatten_relu_n100", 100),
        pooled("conv3x3_depth3_32x32x3_global_average_relu_n2", 3, 2),
        pooled("conv3x3_depth5_32x32x3_global_average_relu_n2", 5, 2),
        pooled("conv3x3_depth3_32x32x3_global_average_relu_n8", 3, 8),
    ]
}

/// Distinct dual evaluations that a case asks for: layers x pairs x positions (pairs of them below a global average).
fn dual_evaluations(case: &KernelCase) -> f64 {
    let n = case.examples as f64;
    let layers = &case.architecture.layers;
    let activations = layers.iter().filter(|layer| matches!(layer, Layer::Activation { .. })).count() as f64;
    let positions = (case.architecture.input.height * case.architecture.input.width) as f64;
    if layers.contains(&Layer::GlobalAveragePool) {
        // An example with itself is symmetric in its positions.
        let symmetric = 0.5 * positions * (positions + 1.0);
        return activations * (0.5 * n * (n - 1.0) * positions * positions + n * symmetric);
    }
    let per_pair = if case.architecture.input == IMAGE { positions } else { 1.0 };
    activations * 0.5 * n * (n + 1.0) * per_pair
}

/// The cases whose names hold the pattern.
///
/// # Errors
/// No such case.
fn chosen<C>(mut cases: Vec<C>, name: impl Fn(&C) -> &str, arguments: &BenchCases) -> Result<Vec<C>> {
    let names: Vec<String> = cases.iter().map(|case| name(case).to_owned()).collect();
    let Some(pattern) = &arguments.case else { return Ok(cases) };
    cases.retain(|case| name(case).contains(pattern.as_str()));
    ensure!(!cases.is_empty(), "--case {pattern} is part of no name; the cases are {}", names.join(", "));
    Ok(cases)
}

/// Times every case whose name holds the pattern.
///
/// # Errors
/// No such case, or a kernel that cannot be computed.
pub(crate) fn kernels_of_cases(arguments: &BenchCases, console: &Console) -> Result<Exit> {
    let chosen = chosen(cases(), |case| case.name, arguments)?;
    let heading = ["case", "median", "fastest", "slowest", "duals/s/thread"];
    let mut rows = vec![heading.map(str::to_owned)];
    for case in &chosen {
        console.note(format_args!("timing {}", case.name));
        let timing = time(case, arguments.repeats)?;
        console.json(&timing)?;
        let seconds = |value: f64| format!("{} s", number(value, 3));
        rows.push([
            case.name.to_owned(),
            seconds(timing.median_s),
            seconds(timing.fastest_s),
            seconds(timing.slowest_s),
            number(timing.duals_per_s_per_thread, 3),
        ]);
    }
    let [left, right] = [Align::Left, Align::Right];
    for line in columns([left, right, right, right, right], &rows) {
        console.line(line)?;
    }
    console.detail(format_args!("{} threads", rayon::current_num_threads()))?;
    Ok(Exit::Done)
}

fn time(case: &KernelCase, repeats: usize) -> Result<KernelTiming> {
    let features = case.architecture.input.features();
    let inputs = Inputs::new((0..case.examples * features).map(value).collect(), case.architecture.input)?;
    let run = || -> Result<f64> {
        let start = Instant::now();
        let computed = kernels(&case.architecture, &inputs, None)?;
        let seconds = start.elapsed().as_secs_f64();
        let trace = |kernel: &Mat<f64>| (0..kernel.nrows()).map(|i| kernel[(i, i)]).sum::<f64>();
        ensure!(trace(&computed.ntk) > trace(&computed.nngp), "{}: the kernels make no sense", case.name);
        Ok(seconds)
    };
    // The first run warms caches, tables and threads.
    let mut spent = run()?;
    let mut seconds = Vec::new();
    while seconds.is_empty() || (seconds.len() < repeats && spent < PATIENCE_S) {
        let last = run()?;
        spent += last;
        seconds.push(last);
    }
    seconds.sort_by(f64::total_cmp);
    let median_s = seconds[seconds.len() / 2];
    let threads = rayon::current_num_threads();
    Ok(KernelTiming {
        event: "bench",
        case: case.name,
        examples: case.examples,
        repeats: seconds.len(),
        median_s,
        fastest_s: seconds[0],
        slowest_s: seconds[seconds.len() - 1],
        threads,
        duals_per_s_per_thread: dual_evaluations(case) / median_s / threads as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_the_sizes_and_differ() {
        let all = cases();
        for case in &all {
            assert!(case.name.ends_with(&format!("_n{}", case.examples)), "{}", case.name);
            let depth = case.architecture.depth().unwrap();
            assert!(case.name.contains(&format!("depth{depth}_")), "{}", case.name);
        }
        let mut names: Vec<&str> = all.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn dual_evaluations_are_counted_once_a_pair() {
        let find = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap();
        assert_eq!(dual_evaluations(&find("fc_relu_depth3_n500")), 3.0 * 500.0 * 501.0 / 2.0);
        let flat = find("conv3x3_depth5_32x32x3_flatten_relu_n50");
        assert_eq!(dual_evaluations(&flat), 5.0 * 1024.0 * 50.0 * 51.0 / 2.0);
        // Two examples with themselves, symmetric in the positions, and one pair.
        let pooled = find("conv3x3_depth3_32x32x3_global_average_relu_n2");
        assert_eq!(dual_evaluations(&pooled), 3.0 * (2.0 * 1024.0 * 1025.0 / 2.0 + 1024.0 * 1024.0));
    }
}
