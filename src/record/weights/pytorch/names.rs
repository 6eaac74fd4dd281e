//! Names of modules: their natural order, and the ones that `nn.Sequential` gives.

use std::cmp::Ordering;

use widthwise_theory::architecture::{Architecture, Layer, Operation};

use super::WeightsError;

/// Digits are compared as numbers and everything else as text: `layers.2` comes before `layers.10`.
pub(super) fn natural_order(a: &str, b: &str) -> Ordering {
    let (parts_a, parts_b) = (parts(a), parts(b));
    let compare = |a: &&str, b: &&str| match (number(a), number(b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        _ => a.cmp(b),
    };
    let first = parts_a.iter().zip(&parts_b).map(|(a, b)| compare(a, b)).find(|order| order.is_ne());
    first.unwrap_or(parts_a.len().cmp(&parts_b.len())).then_with(|| a.cmp(b))
}

fn number(part: &str) -> Option<u128> {
    part.parse().ok()
}

/// Runs of digits and runs of anything else.
fn parts(name: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_digit = first.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(part);
        rest = after;
    }
    parts
}

/// Names of the modules of all weight layers: their places in the `nn.Sequential` that is this network, in which a global
/// average is `AdaptiveAvgPool2d(1), Flatten()` and a dense layer on an image has a `Flatten()` before it. A network with
/// branches is no `nn.Sequential`; its modules are `layer1`, `layer2`, ...
///
/// # Errors
/// An architecture whose shapes do not fit.
pub fn sequential_names(architecture: &Architecture) -> Result<Vec<String>, WeightsError> {
    let nodes = architecture.nodes()?;
    let layers = architecture.weight_layers()?;
    if nodes.iter().any(|node| matches!(node.operation, Operation::Sum { .. })) {
        return Ok(layers.iter().map(|layer| format!("layer{}", layer.layer)).collect());
    }
    let (mut place, mut names) = (0, Vec::new());
    let mut shape = architecture.input;
    for node in &nodes {
        let is_image = shape.channels > 1 || shape.height > 1;
        match &node.operation {
            Operation::Layer(Layer::Dense { .. } | Layer::GatedDense { .. }) => {
                place += usize::from(is_image);
                names.push(place.to_string());
            }
            Operation::Layer(Layer::Convolution { .. }) => names.push(place.to_string()),
            Operation::Layer(Layer::GlobalAveragePool) => place += 1,
            _ => {}
        }
        place += 1;
        shape = node.shape;
    }
    Ok(names)
}

/// Why a tensor that is no weight and no bias cannot be read, and what to do.
pub(super) fn why_no_parameter(name: &str) -> String {
    let last = name.rsplit('.').next().unwrap_or(name);
    let ends = |endings: &[&str]| endings.iter().any(|ending| last.ends_with(ending));
    let what = if name.contains("parametrizations.") {
        "a part of a parametrized weight; torch.nn.utils.parametrize.remove_parametrizations makes it a plain one"
    } else if ends(&["_mask", "_orig"]) {
        "a part of a pruned or spectrally normalized weight; torch.nn.utils.prune.remove or torch.nn.utils.remove_spectral_norm makes it a \
         plain one"
    } else if ends(&["_g", "_v", "_u"]) {
        "a part of a normalized weight; torch.nn.utils.remove_weight_norm or remove_spectral_norm makes it a plain one"
    } else if last.starts_with("weight_ih") || last.starts_with("weight_hh") {
        "of a recurrent layer, which no network here has"
    } else if last.starts_with("in_proj") {
        "of an attention layer, which no network here has"
    } else {
        "a buffer or parameter of something else, on which the function may depend"
    };
    format!("neither a weight nor a bias, but {what}; only nn.Linear and nn.Conv2d can be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_compared_as_numbers() {
        let mut names = ["net.10", "net.9.b", "net.9.a", "fc2", "fc10", "fc1", "fc", "", "fc01"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["", "fc", "fc01", "fc1", "fc2", "fc10", "net.9.a", "net.9.b", "net.10"]);
    }
}
