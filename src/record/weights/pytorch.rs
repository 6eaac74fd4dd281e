//! State dicts of PyTorch: read into the architectures here, and written from them.
//!
//! | layer here | PyTorch | weight there |
//! |---|---|---|
//! | dense | `nn.Linear` | `[n, fan_in]`, the transpose |
//! | convolution | `nn.Conv2d` | `[n, C, k_h, k_w]`, the same order |
//! | gated dense | `nn.Linear` of the rows `g (x) a` | `[n, M fan_in]`, the transpose |
//!
//! Images are flattened channel-major by both. PyTorch computes `W a + b`: its numbers are divided by the gains of the
//! parameterization on the way in and multiplied on the way out, so that the function is the same in every parameterization;
//! in the standard one they are the same numbers.
//!
//! A tensor is called `<module>.weight` or `<module>.bias`. Modules may have any names: the k-th module whose weight has a shape goes to
//! the k-th layer of that shape, in the order of the state dict. Safetensors does not keep that order; there it is the one of the
//! numbers in the names (`2.weight` before `10.weight`), and names that differ in more than numbers say nothing of an order.
//!
//! What would change the function or its tangent kernel without a sign is refused: weights that layers share, running statistics, masks and
//! factors of reparameterized weights, windows whose padding a state dict does not say.

mod names;
mod padding;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use burn::tensor::{DType, TensorData};
use widthwise_theory::architecture::{Architecture, Layer, Operation, Scaling, UpdateRule};

use super::tensors::{TensorFile, Tensors, precision};
use super::tied;
use super::{LayerShape, LayerWeights, Weights, WeightsError, layer_shapes};
use crate::record::{atomic, checkpoint};
use names::natural_order;
pub use names::sequential_names;

/// Which module of the file a layer takes, instead of the one that the order of names gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The layer, from 1.
    pub layer: usize,
    /// The module, its tensors' names without `.weight` and `.bias`.
    pub module: String,
}

/// A state dict that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedStateDict {
    /// The weights, in the coordinates of the architecture.
    pub weights: Weights,
    /// Which module each layer took, in the order of the layers.
    pub modules: Vec<String>,
    /// What the user should know; one sentence each.
    pub remarks: Vec<String>,
}

/// The tensors of one module.
#[derive(Debug, Default)]
struct Module {
    /// Shape of its weight; empty if it has none.
    weight: Vec<usize>,
    has_bias: bool,
}

/// Reads the state dict in `path` (safetensors, or what `torch.save` writes) as weights of `architecture`.
///
/// # Errors
/// A file that cannot be read; modules that are no layers here, such as BatchNorm; layers without a module of their shape,
/// modules without a layer, biases on one side only; a LayerNorm whose scales are not 1 or whose shifts are not 0; layers that share
/// weights; modules whose order is not known; windows that may have had another padding.
pub fn import(
    path: &Path,
    architecture: &Architecture,
    mappings: &[Mapping],
) -> Result<ImportedStateDict, WeightsError> {
    let file = TensorFile::read(path)?;
    if file.metadata.contains_key("architecture") && !file.metadata.contains_key("layout") {
        return Err(WeightsError::OwnFile { path: path.to_owned() });
    }
    padding::expect_known(architecture, &file.metadata)?;
    if let Some(name) = file.tensors.keys().find(|name| is_running_statistic(name)) {
        return Err(WeightsError::Refused {
            path: path.to_owned(),
            name: name.clone(),
            reason: "a running statistic, of BatchNorm or its like, which no network here has; fold it into the layer \
                     before it (torch.nn.utils.fusion does), or train without it"
                .to_owned(),
        });
    }
    let order: Option<Vec<String>> = file.keeps_order.then(|| file.order.clone());
    let mut remarks = file.remarks.clone();
    let mut tensors = file.numbers("")?;
    drop_norms(path, &mut tensors, architecture, &mut remarks)?;
    let dtype = precision(&tensors);
    let shapes = layer_shapes(architecture)?;
    let scalings = architecture.scalings(UpdateRule::Linear)?;
    let modules = matched(path, &tensors, order.as_deref(), &shapes, mappings, &mut remarks)?;
    for what in ["weight", "bias"] {
        tied::expect_apart(path, &tensors, modules.iter().map(|module| join(module, what)))?;
    }
    let mut layers = Vec::new();
    for (index, module) in modules.iter().enumerate() {
        layers.push(layer_of(path, &mut tensors, (index + 1, module), shapes[index], &scalings[index])?);
    }
    if !tensors.is_empty() {
        let names = tensors.into_keys().collect::<Vec<_>>().join(", ");
        return Err(WeightsError::LeftOver { path: path.to_owned(), names });
    }
    let has_gains = scalings.iter().any(|s| s.weight_gain != 1.0 || (s.bias_variance > 0.0 && s.bias_gain != 1.0));
    if has_gains {
        remarks.push(
            "the weights were divided by the gains of the parameterization; in \"standard\" they are the numbers of the file"
                .to_owned(),
        );
    }
    // A quotient of two f32 numbers is no f32 number.
    let dtype = if has_gains { DType::F64 } else { dtype };
    Ok(ImportedStateDict { weights: Weights { architecture: architecture.clone(), layers, dtype }, modules, remarks })
}

fn is_running_statistic(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    matches!(last, "running_mean" | "running_var" | "num_batches_tracked")
}

/// `<module>.weight` as `(module, "weight")`; a bare `weight` is one of the module without a name.
fn split(name: &str) -> (&str, &str) {
    name.rsplit_once('.').unwrap_or(("", name))
}

fn join(module: &str, what: &str) -> String {
    if module.is_empty() { what.to_owned() } else { format!("{module}.{what}") }
}

/// Takes out the affine maps after norms where they do nothing, since norms here have none.
fn drop_norms(
    path: &Path,
    tensors: &mut Tensors,
    architecture: &Architecture,
    remarks: &mut Vec<String>,
) -> Result<(), WeightsError> {
    let is_norm =
        |operation: &Operation| matches!(operation, Operation::Layer(Layer::LayerNorm { .. } | Layer::RmsNorm { .. }));
    let norms = architecture.nodes()?.iter().filter(|node| is_norm(&node.operation)).count();
    let is_scale = |name: &str, shape: &[usize]| split(name).1 == "weight" && shape.len() == 1;
    let scales: Vec<String> =
        tensors.iter().filter(|(name, tensor)| is_scale(name, &tensor.shape)).map(|(name, _)| name.clone()).collect();
    let refused =
        |name: &str, reason: String| WeightsError::Refused { path: path.to_owned(), name: name.to_owned(), reason };
    if scales.len() > norms {
        let reason = format!(
            "a vector of scales, as norms have them ({} in the file), and the network has {norms} norm layers; \
             BatchNorm and GroupNorm are none of them",
            scales.len()
        );
        return Err(refused(&scales[0], reason));
    }
    for name in scales {
        let shift = join(split(&name).0, "bias");
        for (name, neutral) in [(&name, 1.0), (&shift, 0.0)] {
            let Some(tensor) = tensors.remove(name.as_str()) else { continue };
            if let Some(value) = tensor.values.iter().find(|value| **value != neutral) {
                let reason = format!(
                    "{value}, where only {neutral} can be read: norms here have no affine map after them; fold its scales and \
                     shifts into the layer that reads it, and set them to 1 and 0"
                );
                return Err(refused(name, reason));
            }
        }
        remarks.push(format!(
            "{name} is all 1 and was left out; epsilon is not in a state dict, so that of the network holds"
        ));
    }
    Ok(())
}

/// The module of every layer.
fn matched(
    path: &Path,
    tensors: &Tensors,
    order: Option<&[String]>,
    shapes: &[LayerShape],
    mappings: &[Mapping],
    remarks: &mut Vec<String>,
) -> Result<Vec<String>, WeightsError> {
    let mut modules: BTreeMap<&str, Module> = BTreeMap::new();
    for (name, tensor) in tensors {
        match split(name) {
            (module, "weight") => modules.entry(module).or_default().weight = tensor.shape.clone(),
            (module, "bias") => modules.entry(module).or_default().has_bias = true,
            _ => {
                let reason = names::why_no_parameter(name);
                return Err(WeightsError::Refused { path: path.to_owned(), name: name.clone(), reason });
            }
        }
    }
    let mut chosen: Vec<Option<String>> = vec![None; shapes.len()];
    for mapping in mappings {
        let no_match = |reason: String| WeightsError::NoMatch { layer: mapping.layer, reason };
        let Some(place) = mapping.layer.checked_sub(1).and_then(|index| chosen.get_mut(index)) else {
            return Err(no_match(format!("the network has layers 1 to {}", shapes.len())));
        };
        let Some(module) = modules.get(mapping.module.as_str()) else {
            let known = modules.keys().copied().collect::<Vec<_>>().join(", ");
            return Err(no_match(format!("no module is called {}; there are {known}", mapping.module)));
        };
        let wanted = foreign_shape(shapes[mapping.layer - 1]);
        if module.weight != wanted {
            let (name, found) = (join(&mapping.module, "weight"), &module.weight);
            return Err(no_match(format!("{name} has the shape {found:?}, but the layer needs {wanted:?}")));
        }
        if place.replace(mapping.module.clone()).is_some() {
            return Err(no_match("it is mapped twice".to_owned()));
        }
    }
    let is_taken = |module: &str| mappings.iter().any(|mapping| mapping.module == module);
    let mut free: Vec<&str> = modules.keys().copied().filter(|module| !is_taken(module)).collect();
    match order {
        Some(order) => {
            let mut places: BTreeMap<&str, usize> = BTreeMap::new();
            for (place, name) in order.iter().enumerate() {
                places.entry(split(name).0).or_insert(place);
            }
            free.sort_by_key(|module| places.get(module));
        }
        None => free.sort_by(|a, b| natural_order(a, b)),
    }
    let mut by_order: Vec<(usize, &str)> = Vec::new();
    for (index, shape) in shapes.iter().enumerate().filter(|(index, _)| mappings.iter().all(|m| m.layer != index + 1)) {
        let wanted = foreign_shape(*shape);
        let Some(place) = free.iter().position(|module| modules[module].weight == wanted) else {
            let left: Vec<String> =
                free.iter().map(|module| format!("{} {:?}", join(module, "weight"), modules[module].weight)).collect();
            let left = if left.is_empty() { "no other weights are left".to_owned() } else { left.join(", ") };
            let turned: Vec<usize> = wanted.iter().rev().copied().collect();
            let taken = by_order.iter().find(|(_, module)| [&wanted, &turned].contains(&&modules[module].weight));
            let tied = taken.map_or(String::new(), |(_, module)| {
                format!(
                    "; a layer that uses the weights of {module} again, as they are or transposed, is no layer here"
                )
            });
            let reason = format!("a weight of shape {wanted:?} is looked for; there are {left}{tied}");
            return Err(WeightsError::NoMatch { layer: index + 1, reason });
        };
        let module = free.remove(place);
        by_order.push((index + 1, module));
        chosen[index] = Some(module.to_owned());
    }
    if let Some((layer, first, second)) = doubtful(&by_order, &modules) {
        if order.is_none() {
            let reason = format!(
                "{first} and {second} have one shape, and this file does not keep the order of its state dict: their names do not say \
                 which comes first; say --map {layer}={first} or --map {layer}={second}"
            );
            return Err(WeightsError::NoMatch { layer, reason });
        }
        remarks.push(format!(
            "{first} and {second} have one shape, and the order of the state dict puts {first} first; --map says otherwise where that is \
             wrong"
        ));
    }
    Ok(chosen.into_iter().flatten().collect())
}

/// Modules of one shape that differ in more than their numbers, so that the order of their names means nothing, and the layer of the
/// first.
fn doubtful<'a>(by_order: &[(usize, &'a str)], modules: &BTreeMap<&str, Module>) -> Option<(usize, &'a str, &'a str)> {
    let stem = |module: &str| module.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let pairs = by_order.iter().enumerate().flat_map(|(i, a)| by_order[..i].iter().map(move |b| (*b, *a)));
    let is_doubtful = |a: &str, b: &str| modules[a].weight == modules[b].weight && stem(a) != stem(b);
    pairs.into_iter().find(|((_, a), (_, b))| is_doubtful(a, b)).map(|((layer, a), (_, b))| (layer, a, b))
}

/// The shape that PyTorch gives the weights of a layer.
fn foreign_shape(shape: LayerShape) -> Vec<usize> {
    match shape.filter {
        Some([channels, height, width]) => vec![shape.weight[0], channels, height, width],
        None => vec![shape.weight[1], shape.weight[0]],
    }
}

/// Takes the tensors of `module` for one layer.
fn layer_of(
    path: &Path,
    tensors: &mut Tensors,
    (layer, module): (usize, &str),
    shape: LayerShape,
    scaling: &Scaling,
) -> Result<LayerWeights, WeightsError> {
    let (weight, bias) = (join(module, "weight"), join(module, "bias"));
    let missing = |names: &str| WeightsError::Missing { path: path.to_owned(), names: names.to_owned() };
    let found = super::take_shaped(tensors, path, &weight, &foreign_shape(shape))?.ok_or_else(|| missing(&weight))?;
    let of_bias = super::take_shaped(tensors, path, &bias, &[shape.units()])?;
    match (&of_bias, shape.has_bias) {
        (None, true) => {
            let reason = format!(
                "the network has biases there and {module} has none; give the layer sigma_b2 = 0 (--set network.sigma_b2=0 \
                 does it for all)"
            );
            return Err(WeightsError::NoMatch { layer, reason });
        }
        (Some(_), false) => {
            let reason = format!(
                "{bias} is there and the network has no biases; give the layer a sigma_b2 above 0 (--set network.sigma_b2=1 \
                 does it for all)"
            );
            return Err(WeightsError::NoMatch { layer, reason });
        }
        _ => {}
    }
    let weight = if shape.filter.is_some() { found } else { transposed(&found, shape.weight[1], shape.weight[0]) };
    Ok(LayerWeights {
        weight: weight.into_iter().map(|w| w / scaling.weight_gain).collect(),
        bias: of_bias.map(|bias| bias.into_iter().map(|b| b / scaling.bias_gain).collect()),
    })
}

/// A row-major matrix of `rows x columns`, transposed.
fn transposed(values: &[f64], rows: usize, columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|j| (0..rows).map(move |i| values[i * columns + j])).collect()
}

/// Writes `weights` to `path` as a state dict in safetensors, named as [`sequential_names`] says. The metadata holds
/// `layout = pytorch`, and the architecture for whoever imports it again.
///
/// # Errors
/// A failure to write, or an architecture whose shapes do not fit.
pub fn export(weights: &Weights, path: &Path) -> Result<(), WeightsError> {
    let write = |source: std::io::Error| WeightsError::Write { path: path.to_owned(), source };
    let shapes = layer_shapes(&weights.architecture)?;
    let scalings = weights.architecture.scalings(UpdateRule::Linear)?;
    let names = sequential_names(&weights.architecture)?;
    let mut tensors: Vec<(String, TensorData)> = Vec::new();
    let data = |values: Vec<f64>, shape: Vec<usize>| TensorData::new(values, shape).convert_dtype(weights.dtype);
    for (((layer, shape), scaling), module) in weights.layers.iter().zip(shapes).zip(&scalings).zip(names) {
        let scaled = layer.weight.iter().map(|w| w * scaling.weight_gain).collect::<Vec<_>>();
        let weight =
            if shape.filter.is_some() { scaled } else { transposed(&scaled, shape.weight[0], shape.weight[1]) };
        tensors.push((join(&module, "weight"), data(weight, foreign_shape(shape))));
        if let Some(bias) = &layer.bias {
            let bias = bias.iter().map(|b| b * scaling.bias_gain).collect();
            tensors.push((join(&module, "bias"), data(bias, vec![shape.units()])));
        }
    }
    let architecture = serde_json::to_string(&weights.architecture).map_err(|error| write(error.into()))?;
    let metadata = HashMap::from([
        ("format".to_owned(), "pt".to_owned()),
        ("layout".to_owned(), "pytorch".to_owned()),
        ("architecture".to_owned(), architecture),
    ]);
    let bytes = checkpoint::bytes(&tensors, Some(metadata)).map_err(write)?;
    atomic::write(path, &bytes).map_err(write)
}
