//! What a snapshot of a network costs, probe by probe, in seconds and in training steps.
//!
//! Snapshots and steps are those of a run: `Probe::ALL` in f32 with the default settings of `[probes]`, at step 1 with the kernel and the
//! weights of step 0 behind it, and steps of momentum as `widthwise bench train` takes them. They are timed in turn. The snapshot is
//! all of it but `gaussianity`, which is taken at the first and last step alone. `ntk_on_tensors` is no part of a snapshot: it is the
//! path of other devices to the same kernel.

use std::time::Instant;

use burn::tensor::{DType, Device};
use faer::Mat;
use serde::Serialize;
use widthwise_probes::ntk::empirical_ntk;
use widthwise_tensors::{to_f64, to_matrix};
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, UpdateRule};

use super::networks::{OUTPUTS, cnn, examples, gated, mlp};
use super::{BenchError, Named, PATIENCE_S};
use crate::config::{Anchor, L2, Loss, Optimizer, ProbesConfig};
use crate::data::Data;
use crate::measurement::{InitialWeights, Measurement, Past, SharedPiece};
use crate::network::{Batch, Network};
use crate::objective::Targets;
use crate::observation::Observation;
use crate::quantity::Probe;
use crate::training::optimizer::{OptimizerState, Updater};
use crate::training::take_step;

/// Examples of a test set, and of a training set unless a case has its own, as configurations have by default.
pub const TEST: usize = 256;
/// As [`TEST`], of training.
pub const TRAIN: usize = 256;
/// Examples of a batch.
pub const BATCH: usize = 128;
/// Steps of the default run.
pub const STEPS: u64 = 200;
/// Seconds of steps between snapshots.
const ROUND_S: f64 = 0.2;

/// What is timed by itself: the pieces that probes share before the first that reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TimedPart {
    Shared(SharedPiece),
    Of(Probe),
}

const PARTS: [TimedPart; 12] = [
    TimedPart::Of(Probe::Evaluation),
    TimedPart::Shared(SharedPiece::ForwardPass),
    TimedPart::Of(Probe::Nngp),
    TimedPart::Shared(SharedPiece::Ntk),
    TimedPart::Of(Probe::Ntk),
    TimedPart::Of(Probe::GradientCovariance),
    TimedPart::Of(Probe::WeightDistance),
    TimedPart::Of(Probe::PartialJacobian),
    TimedPart::Of(Probe::PreactivationVariance),
    TimedPart::Of(Probe::InformationBinning),
    TimedPart::Of(Probe::InformationKde),
    TimedPart::Of(Probe::Gaussianity),
];

impl TimedPart {
    fn name(self) -> &'static str {
        match self {
            Self::Shared(SharedPiece::ForwardPass) => "forward_pass",
            Self::Shared(SharedPiece::Ntk) => "ntk",
            Self::Of(Probe::Ntk) => "ntk_metrics",
            Self::Of(probe) => probe.name(),
        }
    }
}

/// One network.
#[derive(Debug, Clone)]
pub struct ProbeCase {
    /// Its name, sizes included.
    pub name: String,
    /// The network.
    pub architecture: Architecture,
    /// Examples of a step.
    pub batch: usize,
    /// Training examples.
    pub train: usize,
}

impl Named for ProbeCase {
    fn name(&self) -> &str {
        &self.name
    }
}

/// What one probe of one network takes.
#[derive(Debug, Serialize)]
pub struct ProbeTiming {
    /// What the line is about.
    pub event: &'static str,
    /// Name of the case.
    pub case: String,
    /// What was measured.
    pub probe: &'static str,
    /// Examples of a step.
    pub batch: usize,
    /// Training examples.
    pub train_examples: usize,
    /// Test examples.
    pub test_examples: usize,
    /// Examples that probes see.
    pub probe_examples: usize,
    /// Threads at work.
    pub threads: usize,
    /// Timed repeats.
    pub repeats: usize,
    /// Seconds, the median of all repeats.
    pub median_s: f64,
    /// Seconds of the fastest.
    pub fastest_s: f64,
    /// Seconds of the slowest.
    pub slowest_s: f64,
    /// Median in units of that of one training step.
    pub in_steps: f64,
}

/// All cases.
pub fn cases() -> Vec<ProbeCase> {
    let relu = || Some(Activation::Relu);
    let case =
        |name: String, architecture: Architecture, batch: usize| ProbeCase { name, architecture, batch, train: TRAIN };
    let mut cases = vec![ProbeCase {
        train: BATCH,
        ..case("default_mlp_784_1024x3_1_b128".to_owned(), mlp(1024, 1, relu()), BATCH)
    }];
    for width in [128, 512, 2048] {
        cases.push(case(format!("mlp_784_{width}x3_10_b128"), mlp(width, OUTPUTS, relu()), BATCH));
    }
    for width in [16, 64] {
        cases.push(case(format!("cnn_3_{width}_{width}_{width}_gap_10_b64"), cnn(width), 64));
    }
    for width in [128, 512, 2048] {
        cases.push(case(format!("deep_linear_784_{width}x3_10_b128"), mlp(width, OUTPUTS, None), BATCH));
    }
    for width in [32, 128, 256] {
        cases.push(case(format!("gated_deep_linear_784_{width}x3_10_b128"), gated(width), BATCH));
    }
    cases
}

/// Training and test sets of random inputs, the first of which the probes read.
fn data(network: &Network, train: usize, probes: usize) -> Data {
    let labelled = |count: usize, start: usize| -> (Batch, Targets) { examples(network, count, start) };
    let (train_batch, train_targets) = labelled(train, 0);
    let (probe, probe_targets) = labelled(probes, 0);
    Data {
        test: Some(labelled(TEST, 12345)),
        probe_targets: to_matrix(probe_targets.values.clone()),
        probe_labels: (0..probes).map(|i| (i % OUTPUTS) as u8).collect(),
        probe_targets_on_device: probe_targets,
        classes: OUTPUTS,
        probe_is_train: probes == train,
        train: train_batch,
        train_targets,
        probe,
    }
}

/// Times the probes of a case, next to its steps.
///
/// # Errors
/// A network that makes no sense.
pub fn time(case: &ProbeCase, repeats: usize) -> Result<Vec<ProbeTiming>, BenchError> {
    let (optimizer, kind, config) = (Optimizer::Momentum { beta: 0.9 }, Loss::HalfMean, ProbesConfig::default());
    let l2 = L2 { strength: 0.0, toward: Anchor::Zero };
    let updater = Updater { optimizer, learning_rate: 1e-3, l2, anchor: None };
    let mut network = Network::new(&case.architecture, UpdateRule::Linear, 1, 0, &Device::flex(), DType::F32)?;
    let mut state = OptimizerState::new(optimizer, &network.parameters);
    let data = data(&network, case.train, config.examples);
    let (batch, targets) = examples(&network, case.batch, 0);
    let seen = (&batch, &targets, kind);

    let initial = InitialWeights::new(network.parameters.clone());
    let nothing = Past::default();
    let mut first = Measurement::new(&network, &data, &config, kind, (1, 0, 0), &nothing);
    Probe::ALL.iter().copied().try_for_each(|probe| first.take(probe))?;
    let ntk: Mat<f64> =
        first.finish().ntk.ok_or_else(|| BenchError::nonsense(&case.name, "a snapshot without kernel makes"))?;
    let past = Past { ntk: Some(&ntk), previous_ntk: Some((&ntk, 1)), weights: Some(&initial) };

    let mut round = |network: &mut Network, steps: usize| -> Result<f64, BenchError> {
        let start = Instant::now();
        let losses: Vec<_> = (0..steps).map(|_| take_step(network, seen, &updater, 0, &mut state)).collect();
        let loss: f64 = losses.last().map_or(f64::NAN, |loss| to_f64(loss.clone())[0]);
        let seconds = start.elapsed().as_secs_f64();
        if loss.is_finite() {
            Ok(seconds / steps as f64)
        } else {
            Err(BenchError::nonsense(&case.name, "the loss makes"))
        }
    };
    // The first rounds warm caches and threads, and tell how many steps fill one.
    round(&mut network, 1)?;
    let steps = ((ROUND_S / round(&mut network, 2)?).round() as usize).clamp(1, 1000);
    let names: Vec<&str> = ["step", "snapshot"].into_iter().chain(PARTS.map(TimedPart::name)).collect();
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); names.len() + 1];
    let start = Instant::now();
    for _ in 0..repeats {
        seconds[0].push(round(&mut network, steps)?);
        let mut snapshot = 0.0;
        let mut measurement = Measurement::new(&network, &data, &config, kind, (1, 0, 1), &past);
        for (place, part) in (2..).zip(PARTS) {
            let start = Instant::now();
            match part {
                TimedPart::Shared(piece) => measurement.prepare(piece),
                TimedPart::Of(probe) => measurement.take(probe)?,
            }
            let spent = start.elapsed().as_secs_f64();
            seconds[place].push(spent);
            snapshot += if part == TimedPart::Of(Probe::Gaussianity) { 0.0 } else { spent };
        }
        seconds[1].push(snapshot);
        let start_tensors = Instant::now();
        let on_tensors = empirical_ntk(&Observation::new(&network, &data.probe));
        seconds[names.len()].push(start_tensors.elapsed().as_secs_f64());
        if on_tensors[(0, 0)].is_nan() || on_tensors[(0, 0)] <= 0.0 {
            return Err(BenchError::nonsense(&case.name, "the kernel makes"));
        }
        if start.elapsed().as_secs_f64() > PATIENCE_S {
            break;
        }
    }
    seconds.iter_mut().for_each(|seconds| seconds.sort_by(f64::total_cmp));
    let median = |seconds: &[f64]| seconds[seconds.len() / 2];
    let step = median(&seconds[0]);
    let timing = |(probe, seconds): (&'static str, &Vec<f64>)| ProbeTiming {
        event: "bench",
        case: case.name.clone(),
        probe,
        batch: case.batch,
        train_examples: case.train,
        test_examples: TEST,
        probe_examples: config.examples,
        threads: rayon::current_num_threads(),
        repeats: seconds.len(),
        median_s: median(seconds),
        fastest_s: seconds[0],
        slowest_s: seconds[seconds.len() - 1],
        in_steps: median(seconds) / step,
    };
    Ok(names.into_iter().chain(["ntk_on_tensors"]).zip(&seconds).map(timing).collect())
}
