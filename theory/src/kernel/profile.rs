//! What the recursion needs of every example by itself.

use super::field::NormSide;
use super::gaussians::Gaussians;
use super::program::Program;

/// One norm at many examples, the positions of an example side by side.
#[derive(Debug, Default)]
pub(super) struct NormProfile {
    positions: usize,
    inverse: Vec<f64>,
    mean: Vec<f64>,
    rest: Vec<f64>,
}

impl NormProfile {
    /// The columns of examples `range`.
    pub(super) fn side(&self, range: std::ops::Range<usize>) -> NormSide<'_> {
        let columns = range.start * self.positions..range.end * self.positions;
        let part =
            |numbers: &'_ [f64]| -> std::ops::Range<usize> { if numbers.is_empty() { 0..0 } else { columns.clone() } };
        NormSide {
            inverse: &self.inverse[columns.clone()],
            mean: &self.mean[part(&self.mean)],
            rest: &self.rest[part(&self.rest)],
        }
    }
}

/// What is noted while one example goes through the layers with itself.
#[derive(Debug, Default)]
pub(super) struct ExampleProfile {
    /// Variances at every activation.
    pub(super) variances: Vec<Vec<f64>>,
    /// `[inverse, mean, rest]` at every norm.
    pub(super) norms: Vec<[Vec<f64>; 3]>,
    /// `K` and `Theta` after every weight layer, means over positions.
    pub(super) layers: Vec<[f64; 2]>,
}

/// The profiles of many examples, each quantity side by side.
#[derive(Debug)]
pub(super) struct Profiles {
    pub(super) activations: Vec<Gaussians>,
    pub(super) norms: Vec<NormProfile>,
    /// `examples x weight_layers`.
    layers: Vec<[f64; 2]>,
    weight_layers: usize,
}

impl Profiles {
    /// Slots that no example has noted yet stay empty.
    pub(super) fn new(program: &Program, examples: &[ExampleProfile]) -> Self {
        let activations = program.activations.iter().enumerate().map(|(slot, (function, size))| {
            let variances =
                examples.iter().filter_map(|example| example.variances.get(slot)).flatten().copied().collect();
            Gaussians::new(function, variances, size[0] * size[1])
        });
        let norms = program.norms.iter().enumerate().map(|(slot, norm)| {
            let noted = || examples.iter().filter_map(move |example| example.norms.get(slot));
            let part = |which: usize| noted().flat_map(|numbers| numbers[which].iter().copied()).collect();
            NormProfile { positions: norm.size[0] * norm.size[1], inverse: part(0), mean: part(1), rest: part(2) }
        });
        Self {
            activations: activations.collect(),
            norms: norms.collect(),
            layers: examples.iter().flat_map(|example| example.layers.iter().copied()).collect(),
            weight_layers: program.weight_layers,
        }
    }

    /// `K` and `Theta` of an example with itself after every weight layer.
    pub(super) fn layers(&self, example: usize) -> &[[f64; 2]] {
        &self.layers[example * self.weight_layers..(example + 1) * self.weight_layers]
    }

    /// Bytes of memory held.
    pub(super) fn bytes(&self) -> usize {
        let norms = self.norms.iter().map(|norm| 8 * (norm.inverse.len() + norm.mean.len() + norm.rest.len()));
        norms.sum::<usize>() + self.activations.iter().map(Gaussians::bytes).sum::<usize>() + 16 * self.layers.len()
    }
}
