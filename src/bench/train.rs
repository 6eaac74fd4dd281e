//! Training steps of networks, in f32, next to the speed of a large matrix product in the same run.
//!
//! Counted are the products of a step, additions and multiplications each as one, for a layer of `n` units, fan-in `F` and `P` positions
//! on `B` examples: `2 B P F n` forward, as many for the gradient of the weights, and as many for the pullback through every
//! layer but the first. Everything elementwise and the update are not counted.

use std::time::Instant;

use burn::tensor::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::Serialize;
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, UpdateRule};

use super::networks::{OUTPUTS, cnn, examples, gated, mlp, narrow};
use super::{BenchError, Named};
use crate::config::{Anchor, L2, Loss, Optimizer};
use crate::memory::peak_resident;
use crate::network::Network;
use crate::training::optimizer::{OptimizerState, Updater};
use crate::training::{generic_step, sharing_threads, take_step};

/// Seconds of steps after the first, in which rounds are repeated.
const ROUND_S: f64 = 0.5;

/// One network, or several that are trained side by side.
#[derive(Debug, Clone)]
pub struct TrainCase {
    /// Its name, sizes included.
    pub name: String,
    /// The network.
    pub architecture: Architecture,
    /// Examples of a step.
    pub batch: usize,
    /// Networks.
    pub members: usize,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// The loss.
    pub loss: Loss,
    /// Whether to take the steps by automatic differentiation although there is a faster path.
    pub is_generic: bool,
}

impl Named for TrainCase {
    fn name(&self) -> &str {
        &self.name
    }
}

/// What a case took.
#[derive(Debug, Serialize)]
pub struct TrainTiming {
    /// What the line is about.
    pub event: &'static str,
    /// Name of the case.
    pub case: String,
    /// Examples of a step.
    pub batch: usize,
    /// Networks.
    pub members: usize,
    /// Timed repeats.
    pub repeats: usize,
    /// Seconds, the median of all repeats.
    pub median_s: f64,
    /// Seconds of the fastest.
    pub fastest_s: f64,
    /// Seconds of the slowest.
    pub slowest_s: f64,
    /// Steps a second.
    pub steps_per_s: f64,
    /// Operations counted, in units of 1e9.
    pub gflop: f64,
    /// 1e9 operations a second.
    pub gflop_per_s: f64,
    /// Of the speed of a large product, as counted.
    pub fraction_of_peak: f64,
    /// Memory that the process held at most.
    pub peak_bytes: Option<u64>,
    /// Threads at work.
    pub threads: usize,
}

/// All cases; those that are generic are other paths of flex alone.
pub fn cases() -> Vec<TrainCase> {
    let case = |name: String, architecture: Architecture, batch: usize| TrainCase {
        name,
        architecture,
        batch,
        members: 1,
        optimizer: Optimizer::Momentum { beta: 0.9 },
        loss: Loss::HalfMean,
        is_generic: false,
    };
    let relu = Some(Activation::Relu);
    let mut cases = Vec::new();
    for width in [128, 512, 2048, 8192] {
        let name = format!("mlp_784_{width}x3_10_b128");
        cases.push(case(name.clone(), mlp(width, OUTPUTS, relu.clone()), 128));
        if width < 8192 {
            cases.push(TrainCase {
                is_generic: true,
                ..case(format!("{name}_generic"), mlp(width, OUTPUTS, relu.clone()), 128)
            });
        }
    }
    cases.push(case("cnn_3_64_64_64_gap_10_b64".to_owned(), cnn(64), 64));
    cases.push(case("deep_linear_784_512x3_10_b128".to_owned(), mlp(512, OUTPUTS, None), 128));
    cases.push(case("gated_deep_linear_784_128x3_10_b128".to_owned(), gated(128), 128));
    cases.push(TrainCase {
        members: 32,
        ..case("ensemble32_mlp_784_128x3_10_b128".to_owned(), mlp(128, OUTPUTS, relu), 128)
    });
    // The network of Shwartz-Ziv and Tishby (2017), whose steps are little arithmetic: alone, and side by side as members of a run.
    for members in [1, 4] {
        let name = format!("narrow{members}_12_10_7_5_4_3_2_b512_adam");
        let (optimizer, loss) = (Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }, Loss::CrossEntropy);
        cases.push(TrainCase { members, optimizer, loss, ..case(name, narrow(), 512) });
    }
    cases
}

/// Operations of one step of one member, in units of 1e9.
fn operations(case: &TrainCase) -> Result<f64, TheoryError> {
    let mut counted = 0.0;
    for layer in case.architecture.weight_layers()? {
        let rows = (case.batch * layer.positions) as f64;
        let product = 2.0 * rows * (layer.fan_in * layer.branches) as f64 * layer.width as f64;
        counted += product * if layer.is_first { 2.0 } else { 3.0 };
    }
    Ok(counted * 1e-9)
}

/// Times the steps of a case; `peak` is in units of 1e9 operations a second.
///
/// # Errors
/// A network that makes no sense.
pub fn time(case: &TrainCase, repeats: usize, peak: f64, device: &Device) -> Result<TrainTiming, BenchError> {
    // The system forgets the peak of memory before this; where it does not, that of the whole run is shown.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let optimizer = case.optimizer;
    let updater =
        Updater { optimizer, learning_rate: 1e-3, l2: L2 { strength: 0.0, toward: Anchor::Zero }, anchor: None };
    let mut members = Vec::new();
    for member in 0..case.members {
        let network = Network::new(&case.architecture, UpdateRule::Linear, 1, member, device, DType::F32)?;
        let state = OptimizerState::new(optimizer, &network.parameters);
        members.push((network, state));
    }
    let (batch, targets) = examples(&members[0].0, case.batch, 0);
    let seen = (&batch, &targets, case.loss);
    let mut step = 0;
    let mut round = |steps: u64| -> Result<f64, BenchError> {
        let start = Instant::now();
        let mut last = None;
        let take = if case.is_generic { generic_step } else { take_step };
        for _ in 0..steps {
            let mut losses: Vec<Tensor<1>> = match &mut members[..] {
                [(network, state)] => vec![take(network, seen, &updater, step, state)],
                // Side by side, one a thread, as ladders and recipes train theirs.
                members => members
                    .par_iter_mut()
                    .with_max_len(1)
                    .map(|(network, state)| {
                        sharing_threads(case.members, || take(network, seen, &updater, step, state))
                    })
                    .collect(),
            };
            last = losses.pop();
            step += 1;
        }
        // Reading the loss waits for every step before.
        let loss = last.map(|loss| loss.into_data().iter::<f64>().sum::<f64>());
        let seconds = start.elapsed().as_secs_f64();
        let is_sane = loss.is_some_and(f64::is_finite);
        if is_sane { Ok(seconds) } else { Err(BenchError::nonsense(&case.name, "the loss makes")) }
    };
    // The first round warms caches and threads, compiles and tunes kernels; the second tells how many steps fill one.
    round(2)?;
    let first = round(2)? / 2.0;
    let steps = ((ROUND_S / first).round() as u64).clamp(1, 1000);
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        seconds.push(round(steps)? / steps as f64);
    }
    seconds.sort_by(f64::total_cmp);
    let median_s = seconds[seconds.len() / 2];
    let gflop = operations(case)? * case.members as f64;
    Ok(TrainTiming {
        event: "bench",
        case: case.name.clone(),
        batch: case.batch,
        members: case.members,
        repeats: seconds.len(),
        median_s,
        fastest_s: seconds[0],
        slowest_s: seconds[seconds.len() - 1],
        steps_per_s: 1.0 / median_s,
        gflop,
        gflop_per_s: gflop / median_s,
        fraction_of_peak: gflop / median_s / peak,
        peak_bytes: peak_resident().map(|bytes| bytes.0),
        threads: rayon::current_num_threads(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_those_of_the_products() {
        let find = |name: &str| cases().into_iter().find(|case| case.name == name).unwrap();
        let near = |found: f64, expected: f64| assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
        let products = 2.0 * 784.0 * 512.0 + 3.0 * (2.0 * 512.0 * 512.0 + 512.0 * 10.0);
        near(operations(&find("mlp_784_512x3_10_b128")).unwrap(), 2.0 * 128.0 * products * 1e-9);
        let products = 1024.0 * (2.0 * 27.0 * 64.0 + 3.0 * 2.0 * 576.0 * 64.0) + 3.0 * 640.0;
        near(operations(&find("cnn_3_64_64_64_gap_10_b64")).unwrap(), 2.0 * 64.0 * products * 1e-9);
        let products = 2.0 * 784.0 * 128.0 + 3.0 * 8.0 * (2.0 * 128.0 * 128.0 + 1280.0);
        near(operations(&find("gated_deep_linear_784_128x3_10_b128")).unwrap(), 2.0 * 128.0 * products * 1e-9);
    }
}
