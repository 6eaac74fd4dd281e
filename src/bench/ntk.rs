//! Empirical tangent kernels, in f32, next to the speed of a large matrix product in the same run.
//!
//! Counted are the operations of the structured formula, additions and multiplications each as one, with `N` examples and `O`
//! outputs, for a layer of `n` units, fan-in `F` and `P` positions:
//!
//! ```text
//! pullback through every layer but the first and the readout   2 N O P F n
//! contraction of positions, where P > 1                        2 N O P F n
//! products, half of them by symmetry                           trace N^2 O D,  full N^2 O^2 D
//!                                  with D = n for P = 1 and F n for P > 1
//! Gram of the input rows, where P = 1                          N^2 F
//! ```
//!
//! The forward pass and everything elementwise are not counted. What a layer right below the readout saves, whose derivatives
//! are a weight times a slope, is counted as if it were done: `performed` leaves it out.

use std::fs;
use std::time::Instant;

use burn::tensor::{DType, Device};
use faer::Mat;
use serde::Serialize;
use widthwise_probes::ntk::{BlockPlan, NtkOutput, block_kernel, empirical_ntk, empirical_ntk_full};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, UpdateRule};

use super::networks::{OUTPUTS, cnn, inputs, mlp};
use super::peak::{Peak, processor_s};
use super::{BenchError, Named, PATIENCE_S};
use crate::memory::peak_resident;
use crate::network::Network;
use crate::ntk::BlockMaker;
use crate::observation::Observation;

/// One kernel.
#[derive(Debug, Clone)]
pub struct NtkCase {
    /// Its name, sizes included.
    pub name: String,
    /// The network.
    pub architecture: Architecture,
    /// Examples.
    pub examples: usize,
    /// Which numbers.
    pub output: NtkOutput,
}

impl Named for NtkCase {
    fn name(&self) -> &str {
        &self.name
    }
}

/// What a case took.
#[derive(Debug, Serialize)]
pub struct NtkTiming {
    /// What the line is about.
    pub event: &'static str,
    /// Name of the case.
    pub case: String,
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
    /// Operations counted, in units of 1e9.
    pub gflop: f64,
    /// Operations performed, in units of 1e9.
    pub performed_gflop: f64,
    /// Of the speed of a large product, as counted.
    pub fraction_of_peak: f64,
    /// The same, as performed.
    pub performed_fraction_of_peak: f64,
    /// Median seconds of all processors together: other work on the machine does not count.
    pub processor_s: Option<f64>,
    /// Of the peak of as many seconds of one processor.
    pub fraction_of_processor_peak: Option<f64>,
    /// Memory that the process held at most.
    pub peak_bytes: Option<u64>,
}

/// All cases.
pub fn cases() -> Vec<NtkCase> {
    let relu = || Some(Activation::Relu);
    let mut cases = Vec::new();
    let mut add = |name: &str, architecture: Architecture, sizes: &[usize]| {
        for &examples in sizes {
            for (output, what) in [(NtkOutput::Trace, "trace"), (NtkOutput::Full, "full")] {
                cases.push(NtkCase {
                    name: format!("{name}_n{examples}_{what}"),
                    architecture: architecture.clone(),
                    examples,
                    output,
                });
            }
        }
    };
    add("mlp_784_512x3_10", mlp(512, OUTPUTS, relu()), &[64, 256, 512]);
    add("mlp_784_2048x3_10", mlp(2048, OUTPUTS, relu()), &[64, 256, 512]);
    add("cnn_3_64_64_64_gap_10", cnn(64), &[16, 32]);
    cases
}

/// Operations counted and performed, in units of 1e9.
fn operations(case: &NtkCase) -> Result<[f64; 2], TheoryError> {
    let layers = case.architecture.weight_layers()?;
    let (n, o) = (case.examples as f64, OUTPUTS as f64);
    let across = if case.output == NtkOutput::Full { n * n * o * o } else { n * n * o };
    let [mut counted, mut saved] = [0.0; 2];
    for layer in &layers {
        let (p, f, u) = (layer.positions as f64, layer.fan_in as f64, layer.width as f64);
        if layer.is_readout {
            counted += n * n * f;
            continue;
        }
        let pull = 2.0 * n * o * p * f * u;
        if !layer.is_first {
            counted += pull;
        }
        let depth = if layer.positions == 1 { u } else { f * u };
        let contraction = if layer.positions == 1 { n * n * f } else { pull };
        counted += contraction + across * depth;
        let is_last = layers.get(layer.layer).is_some_and(|next| next.is_readout);
        if is_last {
            let once = 1.0 - 1.0 / o;
            saved += if layer.positions > 1 { contraction * once } else { 0.0 };
            saved += if case.output == NtkOutput::Trace { across * depth * once } else { 0.0 };
        }
    }
    Ok([counted * 1e-9, (counted - saved) * 1e-9])
}

/// Times a case after a first run that warms caches and threads.
///
/// # Errors
/// A kernel that makes no sense.
pub fn time(case: &NtkCase, repeats: usize, peak: Peak, device: &Device) -> Result<NtkTiming, BenchError> {
    // The system forgets the peak of memory before this; where it does not, that of the whole run is shown.
    let _ = fs::write("/proc/self/clear_refs", "5");
    let network = Network::new(&case.architecture, UpdateRule::Linear, 1, 0, device, DType::F32)?;
    let batch = network.batch(&inputs(&network, case.examples, 0));
    let plan = BlockPlan { output: case.output, outputs: OUTPUTS, rows: case.examples, columns: case.examples };
    let mut kernel = [Vec::<f32>::new()];
    let mut run = || -> Result<(f64, Option<f64>), BenchError> {
        let (start, before) = (Instant::now(), processor_s());
        let corner = if *device == Device::flex() {
            let block = BlockMaker::<f32>::new(&network, plan).block(&batch);
            block_kernel(&block, None, &mut kernel);
            f64::from(kernel[0][0])
        } else {
            on_device(&Observation::new(&network, &batch), case.output)[(0, 0)]
        };
        let seconds = start.elapsed().as_secs_f64();
        if corner.is_nan() || corner <= 0.0 {
            return Err(BenchError::nonsense(&case.name, "the kernel makes"));
        }
        Ok((seconds, processor_s().zip(before).map(|(after, before)| after - before)))
    };
    // The first run warms caches and threads.
    let mut spent = run()?.0;
    let (mut seconds, mut of_processors) = (Vec::new(), Vec::new());
    while seconds.is_empty() || (seconds.len() < repeats && spent < PATIENCE_S) {
        let (last, processors) = run()?;
        spent += last;
        seconds.push(last);
        of_processors.extend(processors);
    }
    of_processors.sort_by(f64::total_cmp);
    let processor_s = of_processors.get(of_processors.len() / 2).copied();
    seconds.sort_by(f64::total_cmp);
    let median_s = seconds[seconds.len() / 2];
    let [gflop, performed_gflop] = operations(case)?;
    Ok(NtkTiming {
        event: "bench",
        case: case.name.clone(),
        examples: case.examples,
        repeats: seconds.len(),
        median_s,
        fastest_s: seconds[0],
        slowest_s: seconds[seconds.len() - 1],
        gflop,
        performed_gflop,
        fraction_of_peak: gflop / median_s / peak.wall,
        performed_fraction_of_peak: performed_gflop / median_s / peak.wall,
        processor_s,
        fraction_of_processor_peak: processor_s.zip(peak.processor).map(|(spent, peak)| gflop / spent / peak),
        peak_bytes: peak_resident().map(|bytes| bytes.0),
    })
}

/// The kernel in tensors, the path of every device but flex; it ends in host memory.
fn on_device(observation: &Observation<'_>, output: NtkOutput) -> Mat<f64> {
    if output == NtkOutput::Full { empirical_ntk_full(observation) } else { empirical_ntk(observation) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_formula() {
        let find = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap();
        let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        let n2 = 64.0 * 64.0;
        let pull = 2.0 * 2.0 * 640.0 * 512.0 * 512.0;
        let [counted, performed] = operations(&find("mlp_784_512x3_10_n64_trace")).unwrap();
        near(counted, (pull + n2 * (3.0 * 5120.0 + 784.0 + 3.0 * 512.0)) * 1e-9);
        near(performed, (pull + n2 * (2.0 * 5120.0 + 512.0 + 784.0 + 3.0 * 512.0)) * 1e-9);
        let [counted, performed] = operations(&find("mlp_784_512x3_10_n64_full")).unwrap();
        near(counted, (pull + n2 * (3.0 * 51200.0 + 784.0 + 3.0 * 512.0)) * 1e-9);
        assert_eq!(counted, performed);
        // About 49 GFLOP, as the pullback of 160 sensitivities through two layers and the contraction of three.
        let [counted, _] = operations(&find("cnn_3_64_64_64_gap_10_n16_trace")).unwrap();
        assert!((48.0..50.0).contains(&counted), "{counted}");
    }
}
