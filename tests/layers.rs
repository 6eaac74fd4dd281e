//! Every kind of layer as finite networks against its infinite-width kernel: norms, residual blocks, sums of branches, sum
//! pooling, dropout.

use burn::tensor::{DType, Device};
use faer::{Mat, Side};
use widthwise::ensemble::{Job, Shard};
use widthwise::monitor::Silent;
use widthwise::monte_carlo::{SampledKernels, Sampling, extrapolate, sample_kernels};
use widthwise::signals::StopFlag;
use widthwise_theory::architecture::{Architecture, Layer, Parameterization};
use widthwise_theory::kernel::{Inputs, Kernels, kernels};

use crate::ensembles::{Entry, assert_sampled, overlapping_inputs};
use crate::networks::layered;

const EXAMPLES: usize = 3;
const MEMBERS: usize = 200;

fn quiet(stop: &StopFlag) -> Job<'_> {
    Job { shard: Shard::WHOLE, stop, monitor: &Silent }
}

fn sampling(members: usize, seed: u64) -> Sampling {
    Sampling { members, seed, device: Device::flex(), dtype: DType::F64 }
}

fn entries(sampled: &SampledKernels, predicted: &Kernels) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (name, sampled, predicted) in [("K", &sampled.nngp, &predicted.nngp), ("Theta", &sampled.ntk, &predicted.ntk)] {
        for i in 0..predicted.nrows() {
            for j in i..predicted.ncols() {
                entries.push(Entry {
                    name: format!("{name}[{i},{j}]"),
                    measured: sampled.mean[(i, j)],
                    // A normalized state has no fluctuation at all: round-off is left.
                    standard_error: sampled.standard_error[(i, j)].hypot(16.0 * f64::EPSILON * predicted[(i, j)]),
                    predicted: predicted[(i, j)],
                });
            }
        }
    }
    entries
}

fn theory(architecture: &Architecture, inputs: &[f64]) -> Kernels {
    kernels(architecture, &Inputs::new(inputs.to_vec(), architecture.input).unwrap(), None).unwrap()
}

fn named(name: &str, width: usize) -> Architecture {
    layered(width, Parameterization::Ntk).into_iter().find(|(found, _)| *found == name).unwrap().1
}

#[test]
fn kernels_of_every_layer_agree_with_theory() {
    for (seed, (name, architecture)) in layered(256, Parameterization::Ntk).into_iter().enumerate() {
        let inputs = overlapping_inputs(EXAMPLES, architecture.input.features(), 0.4);
        let sampled = sample_kernels(
            &architecture,
            &inputs,
            None,
            &sampling(MEMBERS, 70 + seed as u64),
            &quiet(&StopFlag::default()),
        )
        .map(Option::unwrap);
        let entries = entries(&sampled.unwrap(), &theory(&architecture, &inputs));
        assert_sampled(&format!("{name}, n = 256, {MEMBERS} networks"), &entries);
    }
}

/// The kernel without the mean subtraction, which neural-tangents uses for LayerNorm, is not that of a network with LayerNorm
/// after its activation, and it is that of one with RmsNorm.
#[test]
fn layer_norm_after_an_activation_subtracts_a_mean() {
    let with_mean = named("layer norm after", 256);
    let mut without = with_mean.clone();
    without.layers.iter_mut().for_each(|layer| {
        if let Layer::LayerNorm { epsilon } = *layer {
            *layer = Layer::RmsNorm { epsilon };
        }
    });
    let inputs = overlapping_inputs(EXAMPLES, with_mean.input.features(), 0.4);
    let sample = |architecture: &Architecture, seed| {
        sample_kernels(architecture, &inputs, None, &sampling(60, seed), &quiet(&StopFlag::default())).unwrap().unwrap()
    };
    let entries_of = |sampled: &Architecture, seed, predicted: &Architecture| {
        entries(&sample(sampled, seed), &theory(predicted, &inputs))
    };
    assert_sampled("RmsNorm network, kernel without mean", &entries_of(&without, 81, &without));
    let mistaken = entries_of(&with_mean, 82, &without);
    let worst = mistaken.iter().map(|entry| entry.z().abs()).fold(0.0, f64::max);
    eprintln!("a LayerNorm network is {worst:.0} standard errors off the kernel without a mean");
    assert!(worst > 20.0);
}

/// `2 K_{2n} - K_n` agrees where the narrow networks alone would not, the bias being of order `1/n`.
#[test]
fn two_widths_extrapolate_to_infinite_width() {
    let wide = named("residual", 64);
    let narrow = wide.with_hidden_width(32);
    let inputs = overlapping_inputs(EXAMPLES, wide.input.features(), 0.4);
    let sample = |architecture: &Architecture, seed| {
        sample_kernels(architecture, &inputs, None, &sampling(1500, seed), &quiet(&StopFlag::default()))
            .unwrap()
            .unwrap()
    };
    let (narrow, wide_sample) = (sample(&narrow, 83), sample(&wide, 84));
    let predicted = theory(&wide, &inputs);
    let worst = |entries: &[Entry]| entries.iter().map(|entry| entry.z().abs()).fold(0.0, f64::max);
    let extrapolated = entries(&extrapolate(&narrow, &wide_sample), &predicted);
    eprintln!("n = 32: |z| up to {:.1}", worst(&entries(&narrow, &predicted)));
    assert_sampled("residual, n = 32 and 64 extrapolated", &extrapolated);
}

#[test]
fn an_ensemble_does_not_depend_on_the_number_of_threads() {
    let architecture = named("dropout", 16);
    let inputs = overlapping_inputs(EXAMPLES, architecture.input.features(), 0.4);
    let sample = || {
        sample_kernels(&architecture, &inputs, None, &sampling(7, 85), &quiet(&StopFlag::default())).unwrap().unwrap()
    };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(sample);
    let three = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap().install(sample);
    assert_eq!(one, three);
    // Left and right sides are the blocks of the whole.
    let (left, right) = inputs.split_at(architecture.input.features());
    let cross = sample_kernels(&architecture, left, Some(right), &sampling(7, 85), &quiet(&StopFlag::default()))
        .unwrap()
        .unwrap();
    for j in 0..EXAMPLES - 1 {
        let (whole, block) = (one.ntk.mean[(0, j + 1)], cross.ntk.mean[(0, j)]);
        assert!((whole - block).abs() <= 1e-12 * whole.abs(), "{whole} {block}");
    }
}

#[test]
fn kernels_are_positive_semi_definite_to_round_off() {
    const N: usize = 40;
    for (name, architecture) in layered(8, Parameterization::Ntk) {
        let inputs = overlapping_inputs(N, architecture.input.features(), 0.4);
        let found = theory(&architecture, &inputs);
        for (which, kernel) in [("K", &found.nngp), ("Theta", &found.ntk)] {
            let eigenvalues = kernel.self_adjoint_eigenvalues(Side::Lower).unwrap();
            let (smallest, largest) = (eigenvalues[0], eigenvalues[N - 1]);
            let bound = 10.0 * f64::EPSILON * N as f64 * largest;
            assert!(smallest >= -bound, "{name}: {which} has {smallest:e}, beyond -{bound:e}");
            let asymmetry = Mat::from_fn(N, N, |i, j| kernel[(i, j)] - kernel[(j, i)]).norm_max();
            assert_eq!(asymmetry, 0.0, "{name}: {which}");
        }
    }
}
