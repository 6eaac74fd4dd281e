//! Requests that have no limit, and the words in which they are refused.

use widthwise_testing::{assert_relative, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, Branch, InputShape, Layer};
use widthwise_theory::kernel::{
    BATCH_NORM_HAS_NO_KERNEL, Inputs, KernelEngine, KernelTile, MAX_POOLING_HAS_NO_KERNEL, TrainedLayers, kernels,
    kernels_when_training, preactivation_variances,
};
use widthwise_theory::signal::partial_jacobian_norms;

use crate::networks::{activation, dense, flat_inputs, network, numbers, variance};

const SIGMA_W2: f64 = 1.8;
const SIGMA_B2: f64 = 0.2;
const LAYER_NORM: Layer = Layer::LayerNorm { epsilon: 0.0 };

fn weights(width: usize) -> Layer {
    dense(width, variance(SIGMA_W2, SIGMA_B2))
}

fn relu() -> Layer {
    activation(&Activation::Relu)
}

fn flat(features: usize, layers: Vec<Layer>) -> Architecture {
    network(InputShape::flat(features), layers)
}

/// A request that has no limit, and words that its refusal must contain.
fn refused(net: &Architecture, words: &[&str]) {
    let inputs = Inputs::new(numbers(2 * net.input.features()), net.input).expect("two examples");
    let error = kernels(net, &inputs, None).expect_err("no limit");
    assert!(matches!(error, TheoryError::NoPrediction { .. }), "{error}");
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "\"{message}\" does not say \"{word}\"");
    }
}

#[test]
fn refusals_say_why_there_is_no_limit() {
    let branch = |layers: Vec<Layer>| Branch { scale: 1.0, layers };
    let sum = |branches: Vec<Branch>| vec![weights(8), Layer::Branches { branches }, weights(1)];
    // x + phi(x): one state, two paths without weights.
    refused(&flat(4, sum(vec![branch(vec![]), branch(vec![relu()])])), &["share a state", "weight layer into one"]);
    refused(&flat(4, sum(vec![branch(vec![]), branch(vec![Layer::Dropout { keep: 0.5 }])])), &["dependent"]);
    // A skip around a skip still reaches the state.
    let nested = Layer::residual(1.0, vec![weights(8)]);
    refused(&flat(4, sum(vec![branch(vec![]), branch(vec![nested])])), &["share a state"]);
    // Two branches with means.
    let biased = || branch(vec![weights(8), relu()]);
    refused(&flat(4, sum(vec![biased(), biased()])), &["means other than zero", "branches 1 and 2"]);
    // Data has a mean as well.
    let data = vec![Layer::Branches { branches: vec![branch(vec![]), branch(vec![weights(4), relu()])] }, weights(1)];
    refused(&flat(4, data), &["means other than zero"]);
    // What is not Gaussian has no duals.
    let not_gaussian = "not Gaussian at infinite width";
    let cases = [
        (vec![weights(8), relu(), relu(), weights(1)], "come out of an activation"),
        (vec![weights(8), Layer::Dropout { keep: 0.5 }, relu(), weights(1)], "random masks"),
        (
            vec![weights(8), Layer::residual(1.0, vec![weights(8), relu()]), relu(), weights(1)],
            "branches is not Gaussian",
        ),
        (vec![Layer::residual(1.0, vec![weights(4)]), relu(), weights(1)], "branches is not Gaussian"),
        (vec![weights(8), relu(), LAYER_NORM, relu(), weights(1)], "come out of an activation"),
    ];
    for (layers, why) in cases {
        refused(&flat(4, layers), &[not_gaussian, why]);
    }
    refused(&flat(4, vec![Layer::Dropout { keep: 0.5 }, weights(8), relu(), weights(1)]), &["stays random", "masks"]);
    refused(&flat(4, vec![weights(8), Layer::GlobalAveragePool, weights(1)]), &["have no positions"]);
    assert!(MAX_POOLING_HAS_NO_KERNEL.contains("joint law of both whole windows"));
    assert!(BATCH_NORM_HAS_NO_KERNEL.contains("depend on the other examples"));
    assert!(BATCH_NORM_HAS_NO_KERNEL.contains("explode with depth"));
}

#[test]
fn functions_with_jumps_have_covariances_and_readout_kernels_only() -> Result<(), TheoryError> {
    let inputs = flat_inputs(3, 4)?;
    let net =
        flat(4, vec![weights(8), activation(&Activation::Sign), weights(8), activation(&Activation::Sign), weights(1)]);
    let words = ["sign", "grows like", "infinite on the diagonal", "train the readout only"];
    refused(&net, &words);
    let frozen = kernels_when_training(&net, &inputs, None, TrainedLayers::BiasesFrozen);
    assert!(frozen.is_err_and(|error| error.to_string().contains("infinite on the diagonal")));
    assert!(partial_jacobian_norms(&net, &inputs).is_err_and(|error| error.to_string().contains("sign")));
    // Twice Sheppard's formula, by hand.
    let product = |i: usize, j: usize| {
        let sum: f64 = inputs.example(i).iter().zip(inputs.example(j)).map(|(x, y)| x * y).sum();
        SIGMA_W2 * sum / 4.0 + SIGMA_B2
    };
    let [a, c, b] = [product(0, 0), product(0, 1), product(1, 1)];
    let next = |c: f64| SIGMA_W2 * std::f64::consts::FRAC_2_PI * c.asin() + SIGMA_B2;
    let expected = next(next(c / (a * b).sqrt()) / (SIGMA_W2 + SIGMA_B2));
    let readout = kernels_when_training(&net, &inputs, None, TrainedLayers::ReadoutOnly)?;
    assert_relative(readout.nngp[(0, 1)], expected, round_off(100), "K");
    assert_relative((&readout.ntk - &readout.nngp).norm_max(), 0.0, round_off(10), "Theta of the readout");
    let engine = KernelEngine::new(&net, TrainedLayers::All)?;
    let prepared = engine.prepare(&inputs)?;
    let mut nngp = faer::Mat::<f64>::zeros(3, 3);
    engine.fill(&prepared, None, KernelTile::nngp(nngp.as_mut()))?;
    assert_eq!(nngp, readout.nngp);
    assert!(engine.kernels(&prepared, None).is_err_and(|error| error.to_string().contains("sign")));
    assert!(engine.single_precision_error(&prepared, &prepared, 9)?.ntk.is_none());
    assert_eq!(preactivation_variances(&net, &inputs)?[(2, 2)], SIGMA_W2 + SIGMA_B2);
    Ok(())
}
