//! How long kernels of infinite width take, NNGP and NTK together.

use std::time::Instant;

use faer::Mat;
use serde::Serialize;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InputShape, Layer, Padding};
use widthwise_theory::kernel::{Inputs, kernels};

use super::networks::{DENSE_INIT, FEATURES, IMAGE, architecture, value};
use super::{BenchError, Named, PATIENCE_S};

/// One kernel computation: NNGP and tangent kernel of `examples` random inputs with themselves.
#[derive(Debug, Clone)]
pub struct KernelCase {
    /// Its name, sizes included.
    pub name: &'static str,
    /// The network.
    pub architecture: Architecture,
    /// Examples.
    pub examples: usize,
}

impl Named for KernelCase {
    fn name(&self) -> &str {
        self.name
    }
}

/// What a case took.
#[derive(Debug, Serialize)]
pub struct KernelTiming {
    /// What the line is about.
    pub event: &'static str,
    /// Name of the case.
    pub case: &'static str,
    /// Examples.
    pub examples: usize,
    /// Timed repeats.
    pub repeats: usize,
    /// Seconds, the median of all repeats.
    pub median_s: f64,
    /// Seconds of the fastest.
    pub fastest_s: f64,
    /// Seconds of the slowest.
    pub slowest_s: f64,
    /// Threads at work.
    pub threads: usize,
    /// Evaluations of a dual activation and its derivative for distinct pairs, a second and thread.
    pub duals_per_s_per_thread: f64,
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

/// All cases.
pub fn cases() -> Vec<KernelCase> {
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

/// Times a case after a first run that warms caches, tables and threads.
///
/// # Errors
/// A kernel that cannot be computed.
pub fn time(case: &KernelCase, repeats: usize) -> Result<KernelTiming, BenchError> {
    let features = case.architecture.input.features();
    let inputs = Inputs::new((0..case.examples * features).map(value).collect(), case.architecture.input)?;
    let run = || -> Result<f64, BenchError> {
        let start = Instant::now();
        let computed = kernels(&case.architecture, &inputs, None)?;
        let seconds = start.elapsed().as_secs_f64();
        let trace = |kernel: &Mat<f64>| (0..kernel.nrows()).map(|i| kernel[(i, i)]).sum::<f64>();
        let is_sane = trace(&computed.ntk) > trace(&computed.nngp);
        if is_sane { Ok(seconds) } else { Err(BenchError::nonsense(case.name, "the kernels make")) }
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
