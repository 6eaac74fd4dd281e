//! Every known difference of convention is found on a kernel that was made with it, and nothing is found where nothing is known.

use faer::Mat;
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, Parameterization};
use widthwise_theory::conventions::{Explanation, KernelKind, KernelQuestion, explain};
use widthwise_theory::kernel::{Inputs, TrainedLayers, kernels_when_training};

use crate::networks::{flat_inputs, mlp, numbers, variance};

const TOLERANCE: f64 = 1e-6;
const FEATURES: usize = 6;
const WIDTHS: [usize; 2] = [40, 50];

fn erf(depth: usize, sigma_w2: f64, sigma_b2: f64) -> Architecture {
    mlp(
        FEATURES,
        &WIDTHS[..depth.min(2)].repeat(depth.div_ceil(2))[..depth],
        &Activation::Erf,
        variance(sigma_w2, sigma_b2),
    )
}

fn question(kind: KernelKind) -> Result<KernelQuestion, TheoryError> {
    let left = flat_inputs(9, FEATURES)?;
    Ok(KernelQuestion { architecture: erf(2, 1.7, 0.3), left, right: None, trained: TrainedLayers::All, kind })
}

fn found(question: &KernelQuestion, other: &Mat<f64>) -> Result<Vec<Explanation>, TheoryError> {
    let all = explain(question, other.as_ref(), TOLERANCE)?;
    Ok(all.into_iter().take_while(|explanation| explanation.remains.max <= TOLERANCE).collect())
}

/// Asserts that the likeliest explanation is `id`, or one that makes the same kernel, and that its text has these words.
#[track_caller]
fn expect(explanations: &[Explanation], id: &str, words: &str) {
    let here = explanations.iter().find(|explanation| explanation.id == id);
    let Some(here) = here else { panic!("{id} is not among {explanations:?}") };
    assert_eq!(here.complexity, explanations[0].complexity, "{id} is not the likeliest of {explanations:?}");
    assert!(here.text.contains(words), "{}", here.text);
}

fn scaled_inputs(inputs: &Inputs, factor: f64) -> Inputs {
    Inputs { values: inputs.values.iter().map(|x| x * factor).collect(), shape: inputs.shape }
}

fn with_length(inputs: &Inputs, length: f64) -> Inputs {
    let mut changed = inputs.clone();
    for i in 0..inputs.examples() {
        let norm = inputs.example(i).iter().map(|x| x * x).sum::<f64>().sqrt();
        let range = i * FEATURES..(i + 1) * FEATURES;
        changed.values[range].iter_mut().for_each(|x| *x *= length / norm);
    }
    changed
}

#[test]
fn other_variances_layers_and_inputs_are_recognized() -> Result<(), TheoryError> {
    let d = FEATURES as f64;
    let inputs = flat_inputs(9, FEATURES)?;
    let (w, b) = (1.7_f64, 0.3_f64);
    let per_layer = |variances: [(f64, f64); 3]| {
        let mut architecture = erf(2, w, b);
        let mut next = variances.into_iter();
        for layer in &mut architecture.layers {
            layer.change_variances(&mut |init| {
                let (sigma_w2, sigma_b2) = next.next().unwrap_or((f64::NAN, f64::NAN));
                *init = variance(sigma_w2, sigma_b2);
            });
        }
        architecture
    };
    let cases = [
        ("sigma_w2_squared", "taken for a standard deviation", erf(2, w * w, b), inputs.clone()),
        ("sigma_w2_root", "was given for their variance", erf(2, w.sqrt(), b), inputs.clone()),
        ("sigma_b2_squared", "sigma_b2 = 0.3 was taken", erf(2, w, b * b), inputs.clone()),
        ("sigma_b2_root", "of the biases", erf(2, w, b.sqrt()), inputs.clone()),
        ("both_squared", "sigma_w2 = 1.7 and sigma_b2 = 0.3", erf(2, w * w, b * b), inputs.clone()),
        ("both_root", "standard deviations", erf(2, w.sqrt(), b.sqrt()), inputs.clone()),
        ("no_biases", "no biases", erf(2, w, 0.0), inputs.clone()),
        ("no_readout_bias", "readout has no bias", per_layer([(w, b), (w, b), (w, 0.0)]), inputs.clone()),
        ("unit_readout", "weight variance 1", per_layer([(w, b), (w, b), (1.0, b)]), inputs.clone()),
        ("variance_doubled", "sqrt(2)", per_layer([(w, b), (2.0 * w, b), (2.0 * w, b)]), inputs.clone()),
        ("variance_halved", "half", per_layer([(w, b), (0.5 * w, b), (0.5 * w, b)]), inputs.clone()),
        ("all_variances_doubled", "twice", erf(2, 2.0 * w, b), inputs.clone()),
        ("all_variances_halved", "half", erf(2, 0.5 * w, b), inputs.clone()),
        ("layer_less", "one hidden layer less", erf(1, w, b), inputs.clone()),
        ("layer_more", "one hidden layer more", erf(3, w, b), inputs.clone()),
        ("input_not_divided", "number of inputs, 6", erf(2, w, b), scaled_inputs(&inputs, d.sqrt())),
        ("input_divided_twice", "once more", erf(2, w, b), scaled_inputs(&inputs, 1.0 / d.sqrt())),
        ("inputs_of_norm_1", "|x| = 1", erf(2, w, b), with_length(&inputs, 1.0)),
        ("inputs_of_norm_sqrt_d", "|x|^2 = d", erf(2, w, b), with_length(&inputs, d.sqrt())),
    ];
    for (id, words, architecture, inputs) in cases {
        let other = kernels_when_training(&architecture, &inputs, None, TrainedLayers::All)?;
        expect(&found(&question(KernelKind::Ntk)?, &other.ntk)?, id, words);
        expect(&found(&question(KernelKind::Nngp)?, &other.nngp)?, id, words);
    }
    Ok(())
}

#[test]
fn another_kernel_other_trained_layers_and_parameterizations_are_recognized() -> Result<(), TheoryError> {
    let ntk = question(KernelKind::Ntk)?;
    let nngp = question(KernelKind::Nngp)?;
    let (architecture, inputs) = (&ntk.architecture, &ntk.left);
    let kernels = |trained| kernels_when_training(architecture, inputs, None, trained);
    let all = kernels(TrainedLayers::All)?;
    expect(&found(&ntk, &all.nngp)?, "nngp_for_ntk", "NNGP");
    expect(&found(&nngp, &all.ntk)?, "ntk_for_nngp", "NTK");
    expect(&found(&ntk, &kernels(TrainedLayers::ReadoutOnly)?.ntk)?, "readout_only", "readout alone");
    expect(&found(&ntk, &kernels(TrainedLayers::BiasesFrozen)?.ntk)?, "biases_frozen", "biases are not trained");
    let readout = KernelQuestion { trained: TrainedLayers::ReadoutOnly, ..ntk.clone() };
    expect(&found(&readout, &all.ntk)?, "all_trained", "all weights");
    let standard = Architecture { parameterization: Parameterization::Standard, ..architecture.clone() };
    let other = kernels_when_training(&standard, inputs, None, TrainedLayers::All)?;
    expect(&found(&ntk, &other.ntk)?, "standard_parameterization", "standard");
    let standard = KernelQuestion { architecture: standard, ..ntk.clone() };
    expect(&found(&standard, &all.ntk)?, "ntk_parameterization", "NTK parameterization");
    Ok(())
}

#[test]
fn factors_and_constants_are_recognized_and_named() -> Result<(), TheoryError> {
    let question = question(KernelKind::Ntk)?;
    let here = question.answer()?;
    for (factor, words) in [
        (0.5, "1/2"),
        (2.0, "1/2"),
        (1.0 / 6.0, "one over the number of input features, 6"),
        (1.7, "sigma_w2 = 1.7"),
        (10.0, "a sum (trace) over 10 outputs"),
        (1.0 / 9.0, "one over the number of examples, 9"),
        (1.0 / 50.0, "one over the width of the last hidden layer, 50"),
        (0.123_456_7, "0.123457 times as large"),
    ] {
        expect(&found(&question, &(&here * factor))?, "factor", words);
    }
    for (constant, words) in
        [(0.3, "larger by 0.3"), (-0.6, "smaller by 0.6"), (0.6, "2 times sigma_b2"), (0.1234, "0.1234")]
    {
        let other = Mat::from_fn(9, 9, |i, j| here[(i, j)] + constant);
        expect(&found(&question, &other)?, "constant", words);
    }
    let other = Mat::from_fn(9, 9, |i, j| 2.0 * here[(i, j)] + 0.3);
    expect(&found(&question, &other)?, "factor_and_constant", "plus 0.3");
    Ok(())
}

#[test]
fn two_mistakes_at_once_are_found() -> Result<(), TheoryError> {
    let question = question(KernelKind::Ntk)?;
    let squared = kernels_when_training(&erf(2, 1.7 * 1.7, 0.3), &question.left, None, TrainedLayers::All)?;
    expect(&found(&question, &(&squared.ntk * 0.5))?, "sigma_w2_squared+factor", "and it is 0.5");
    Ok(())
}

#[test]
fn cross_kernels_are_explained_too() -> Result<(), TheoryError> {
    let right = Inputs::new(numbers(30 * FEATURES)[24 * FEATURES..].to_vec(), flat_inputs(1, FEATURES)?.shape)?;
    let question = KernelQuestion { right: Some(right.clone()), ..question(KernelKind::Ntk)? };
    let other = kernels_when_training(&erf(1, 1.7, 0.3), &question.left, Some(&right), TrainedLayers::All)?;
    expect(&found(&question, &other.ntk)?, "layer_less", "one hidden layer less");
    Ok(())
}

#[test]
fn what_is_not_known_is_not_explained() -> Result<(), TheoryError> {
    let question = question(KernelKind::Ntk)?;
    let other = mlp(FEATURES, &WIDTHS, &Activation::Relu, variance(1.3, 0.7));
    let other = kernels_when_training(&other, &question.left, None, TrainedLayers::All)?;
    assert_eq!(found(&question, &other.ntk)?, Vec::new());
    // The nearest is still said to be that, with what it leaves.
    let all = explain(&question, other.ntk.as_ref(), TOLERANCE)?;
    assert!(all[0].remains.max > TOLERANCE && all[0].remains.max <= all[1].remains.max);
    assert!(explain(&question, Mat::zeros(3, 3).as_ref(), TOLERANCE).is_err());
    Ok(())
}
