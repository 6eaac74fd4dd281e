//! Other questions that may have been asked elsewhere.

use super::{KernelKind, KernelQuestion};
use crate::architecture::{Architecture, InitVariance, Layer, Parameterization};
use crate::error::TheoryError;
use crate::kernel::{Inputs, TrainedLayers};

/// A question that differs in one convention.
#[derive(Debug)]
pub(super) struct Alternative {
    pub(super) id: &'static str,
    /// What the other kernel then is, as a clause.
    pub(super) text: String,
    pub(super) question: KernelQuestion,
    /// How many things are changed.
    pub(super) changes: usize,
}

/// All alternatives to `question`.
///
/// # Errors
/// As [`Architecture::weight_layers`].
pub(super) fn all(question: &KernelQuestion) -> Result<Vec<Alternative>, TheoryError> {
    let mut found = Vec::new();
    kinds(question, &mut found);
    variances(question, &mut found)?;
    layers(question, &mut found);
    inputs(question, &mut found);
    Ok(found)
}

fn kinds(question: &KernelQuestion, found: &mut Vec<Alternative>) {
    let mut push = |id, text: &str, change: &dyn Fn(&mut KernelQuestion)| {
        let mut question = question.clone();
        change(&mut question);
        found.push(Alternative { id, text: text.to_owned(), question, changes: 1 });
    };
    match question.kind {
        KernelKind::Ntk => push("nngp_for_ntk", "it is the NNGP kernel, not the NTK", &|q| q.kind = KernelKind::Nngp),
        KernelKind::Nngp => push("ntk_for_nngp", "it is the NTK, not the NNGP kernel", &|q| q.kind = KernelKind::Ntk),
    }
    if question.kind == KernelKind::Nngp {
        return;
    }
    for (trained, id, text) in [
        (TrainedLayers::All, "all_trained", "its NTK is of all weights and biases"),
        (TrainedLayers::ReadoutOnly, "readout_only", "its NTK is of the readout alone"),
        (TrainedLayers::BiasesFrozen, "biases_frozen", "its NTK is of the weights alone: biases are not trained"),
    ] {
        if trained != question.trained {
            push(id, text, &|q| q.trained = trained);
        }
    }
    for (parameterization, id, text) in [
        (Parameterization::Ntk, "ntk_parameterization", "its NTK is that of the NTK parameterization"),
        (
            Parameterization::Standard,
            "standard_parameterization",
            "its NTK is that of the standard parameterization at the widths of this network",
        ),
    ] {
        if parameterization != question.architecture.parameterization {
            push(id, text, &|q| q.architecture.parameterization = parameterization);
        }
    }
}

/// The architecture with the variances of its weight layers changed; `change(index, is_readout, variances)`.
fn with_variances(
    architecture: &Architecture,
    change: impl Fn(usize, bool, &mut InitVariance),
) -> Result<Architecture, TheoryError> {
    let count = architecture.weight_layers()?.len();
    let mut changed = architecture.clone();
    let mut index = 0;
    for layer in &mut changed.layers {
        layer.change_variances(&mut |init| {
            change(index, index + 1 == count, init);
            index += 1;
        });
    }
    Ok(changed)
}

fn variances(question: &KernelQuestion, found: &mut Vec<Alternative>) -> Result<(), TheoryError> {
    let layers = question.architecture.weight_layers()?;
    let Some(readout) = layers.last() else { return Ok(()) };
    let fan_in = layers[0].fan_in as f64;
    let (w, b) = (readout.init.sigma_w2, readout.init.sigma_b2);
    let (w_std, b_std) = (w.sqrt(), b.sqrt());
    type Change<'a> = &'a dyn Fn(usize, bool, &mut InitVariance);
    let changes: [(&'static str, String, Change<'_>, usize); 15] = [
        (
            "sigma_w2_squared",
            format!("sigma_w2 = {w} was taken for a standard deviation there, so that the variance is {:.6}", w * w),
            &|_, _, init| init.sigma_w2 = init.sigma_w2.powi(2),
            1,
        ),
        (
            "sigma_w2_root",
            format!("the standard deviation {w_std:.6} of the weights was given for their variance there"),
            &|_, _, init| init.sigma_w2 = init.sigma_w2.sqrt(),
            1,
        ),
        (
            "sigma_b2_squared",
            format!("sigma_b2 = {b} was taken for a standard deviation there, so that the variance is {:.6}", b * b),
            &|_, _, init| init.sigma_b2 = init.sigma_b2.powi(2),
            1,
        ),
        (
            "sigma_b2_root",
            format!("the standard deviation {b_std:.6} of the biases was given for their variance there"),
            &|_, _, init| init.sigma_b2 = init.sigma_b2.sqrt(),
            1,
        ),
        (
            "both_squared",
            format!("sigma_w2 = {w} and sigma_b2 = {b} were taken for standard deviations there"),
            &|_, _, init| *init = InitVariance { sigma_w2: init.sigma_w2.powi(2), sigma_b2: init.sigma_b2.powi(2) },
            1,
        ),
        (
            "both_root",
            format!("standard deviations {w_std:.6} and {b_std:.6} were given for variances there"),
            &|_, _, init| *init = InitVariance { sigma_w2: init.sigma_w2.sqrt(), sigma_b2: init.sigma_b2.sqrt() },
            1,
        ),
        ("no_biases", "it has no biases".to_owned(), &|_, _, init| init.sigma_b2 = 0.0, 1),
        (
            "no_readout_bias",
            "its readout has no bias".to_owned(),
            &|_, is_readout, init| init.sigma_b2 = if is_readout { 0.0 } else { init.sigma_b2 },
            1,
        ),
        (
            "unit_readout",
            "its readout has weight variance 1".to_owned(),
            &|_, is_readout, init| init.sigma_w2 = if is_readout { 1.0 } else { init.sigma_w2 },
            1,
        ),
        (
            "input_not_divided",
            format!("its first layer does not divide by the number of inputs, {fan_in}"),
            &|index, _, init| init.sigma_w2 *= if index == 0 { fan_in } else { 1.0 },
            1,
        ),
        (
            "input_divided_twice",
            format!("its first layer divides by the number of inputs, {fan_in}, once more"),
            &|index, _, init| init.sigma_w2 /= if index == 0 { fan_in } else { 1.0 },
            1,
        ),
        (
            "variance_doubled",
            "its activations are scaled by sqrt(2): twice the weight variance above the first layer".to_owned(),
            &|index, _, init| init.sigma_w2 *= if index > 0 { 2.0 } else { 1.0 },
            1,
        ),
        (
            "variance_halved",
            "it has half the weight variance above the first layer".to_owned(),
            &|index, _, init| init.sigma_w2 *= if index > 0 { 0.5 } else { 1.0 },
            1,
        ),
        (
            "all_variances_doubled",
            "it has twice the weight variance in every layer".to_owned(),
            &|_, _, init| init.sigma_w2 *= 2.0,
            1,
        ),
        (
            "all_variances_halved",
            "it has half the weight variance in every layer".to_owned(),
            &|_, _, init| init.sigma_w2 *= 0.5,
            1,
        ),
    ];
    for (id, text, change, changes) in changes {
        let mut question = question.clone();
        question.architecture = with_variances(&question.architecture, change)?;
        found.push(Alternative { id, text, question, changes });
    }
    Ok(())
}

/// Where the last hidden layer stands, with the activation after it; a block of branches is a layer too.
fn last_hidden(layers: &[Layer]) -> Option<std::ops::Range<usize>> {
    let is_block = |layer: &Layer| {
        matches!(
            layer,
            Layer::Dense { .. } | Layer::GatedDense { .. } | Layer::Convolution { .. } | Layer::Branches { .. }
        )
    };
    let readout = layers.iter().rposition(is_block)?;
    let start = layers[..readout].iter().rposition(is_block)?;
    let is_part = |layer: &&Layer| {
        matches!(
            layer,
            Layer::Activation { .. } | Layer::LayerNorm { .. } | Layer::RmsNorm { .. } | Layer::Dropout { .. }
        )
    };
    let length = layers[start + 1..readout].iter().take_while(is_part).count();
    Some(start..start + 1 + length)
}

fn layers(question: &KernelQuestion, found: &mut Vec<Alternative>) {
    let layers = &question.architecture.layers;
    let Some(hidden) = last_hidden(layers) else { return };
    let mut push = |id, text: &str, layers: Vec<Layer>| {
        let mut question = question.clone();
        question.architecture.layers = layers;
        found.push(Alternative { id, text: text.to_owned(), question, changes: 1 });
    };
    push("layer_less", "it has one hidden layer less", [&layers[..hidden.start], &layers[hidden.end..]].concat());
    push("layer_more", "it has one hidden layer more", [&layers[..hidden.end], &layers[hidden.start..]].concat());
}

fn inputs(question: &KernelQuestion, found: &mut Vec<Alternative>) {
    let features = question.left.shape.features() as f64;
    for (id, text, length) in [
        ("inputs_of_norm_1", "its inputs were normalized to |x| = 1", 1.0),
        ("inputs_of_norm_sqrt_d", "its inputs were normalized to |x|^2 = d", features.sqrt()),
    ] {
        let mut question = question.clone();
        normalize(&mut question.left, length);
        if let Some(right) = &mut question.right {
            normalize(right, length);
        }
        found.push(Alternative { id, text: text.to_owned(), question, changes: 1 });
    }
}

fn normalize(inputs: &mut Inputs, length: f64) {
    let features = inputs.shape.features();
    for example in inputs.values.chunks_mut(features) {
        let norm = example.iter().map(|x| x * x).sum::<f64>().sqrt();
        if norm > 0.0 {
            example.iter_mut().for_each(|x| *x *= length / norm);
        }
    }
}
