//! What networks, training and data need in memory, from their sizes alone and before anything is allocated.
//!
//! Every number is a lower bound near the truth: what is refused for it would not have worked. Peaks that were measured are 1.0 to
//! 1.2 times these numbers where weights prevail (training) and 1.0 to 2 times (kernels of sampled networks).

use widthwise_datasets::DatasetSpec;
use widthwise_theory::{Architecture, InitScheme, TheoryError, WeightLayer};

use crate::config::{Checked, Precision};
use crate::memory::{Bytes, OutOfMemory, expect_free};
use crate::training::optimizer::moment_count;

/// Bytes of a number in which weights are drawn.
const DRAWN: u64 = 8;

/// What to do about a network that is too large.
const SMALLER_NETWORK: &str = "lower network.width, network.depth or the filters, or take a machine with more memory";

/// Weights and biases of a layer.
fn layer_count(layer: &WeightLayer) -> u64 {
    let weights = product([layer.fan_in, layer.branches, layer.width]);
    weights.saturating_add(if layer.init.sigma_b2 > 0.0 { layer.width as u64 } else { 0 })
}

/// A product that stays at the largest number instead of wrapping.
fn product<const N: usize>(factors: [usize; N]) -> u64 {
    factors.iter().fold(1, |product, factor| u64::saturating_mul(product, *factor as u64))
}

/// Numbers in all states of one example.
///
/// # Errors
/// Shapes that do not fit.
pub fn states(architecture: &Architecture) -> Result<u64, TheoryError> {
    let features = architecture.shapes()?.into_iter();
    Ok(features.fold(0, |sum, shape| sum.saturating_add(product([shape.channels, shape.height, shape.width]))))
}

/// Bytes while a network of `number` bytes a parameter is drawn: layers follow each other, each drawn in double precision.
///
/// # Errors
/// Shapes that do not fit.
pub fn drawing(architecture: &Architecture, number: usize) -> Result<Bytes, TheoryError> {
    // A decomposition works on copies.
    let drawn = if architecture.init_scheme == InitScheme::Orthogonal { 2 * DRAWN } else { DRAWN };
    let (mut before, mut peak) = (0_u64, 0_u64);
    for layer in architecture.weight_layers()? {
        let count = layer_count(&layer);
        before = before.saturating_add(count.saturating_mul(number as u64));
        peak = peak.max(before.saturating_add(count.saturating_mul(drawn)));
    }
    Ok(Bytes(peak))
}

/// Weights and biases; 0 if shapes do not fit.
pub fn parameters(architecture: &Architecture) -> u64 {
    let layers = architecture.weight_layers().unwrap_or_default();
    layers.iter().fold(0, |sum, layer| sum.saturating_add(layer_count(layer)))
}

/// Bytes of a drawn network.
///
/// # Errors
/// Shapes that do not fit.
pub fn network(architecture: &Architecture, number: usize) -> Result<Bytes, TheoryError> {
    architecture.weight_layers()?;
    Ok(Bytes(parameters(architecture).saturating_mul(number as u64)))
}

/// Bytes of a drawn network and its kernels on `examples` examples.
///
/// # Errors
/// Shapes that do not fit.
pub fn sampled_kernels(architecture: &Architecture, number: usize, examples: usize) -> Result<Bytes, TheoryError> {
    let passed = product([examples, number]).saturating_mul(states(architecture)?);
    // The nngp and every layer's share of the tangent kernel.
    let kernels = product([architecture.weight_layers()?.len() + 1, examples, examples, size_of::<f64>()]);
    let at_work = network(architecture, number)?.0.saturating_add(passed).saturating_add(kernels);
    Ok(Bytes(at_work.max(drawing(architecture, number)?.0)))
}

/// Bytes of one member of a run in training: its weights, those it began with, gradients and moments, and the states of a batch.
///
/// # Errors
/// Shapes that do not fit.
pub fn training(experiment: &Checked, architecture: &Architecture, batch: usize) -> Result<Bytes, TheoryError> {
    let number = number(experiment);
    let copies = 3 + moment_count(experiment.training.optimizer) as u64;
    let weights = network(architecture, number)?.0.saturating_mul(copies);
    let passed = product([batch, number]).saturating_mul(states(architecture)?);
    Ok(Bytes(weights.saturating_add(passed).max(drawing(architecture, number)?.0)))
}

/// Bytes of a number of a run.
pub fn number(experiment: &Checked) -> usize {
    if experiment.run.precision == Precision::F64 { 8 } else { 4 }
}

/// Bytes of generated data, before any example is chosen and while they are; files have their own checks.
pub fn generated_data(source: &DatasetSpec) -> Bytes {
    let (features, outputs, examples) = match source {
        DatasetSpec::TeacherStudent(p) => (p.input_dim, 1, p.train.saturating_add(p.test)),
        DatasetSpec::GaussianMixture(p) => (p.input_dim, p.classes, p.train.saturating_add(p.test)),
        DatasetSpec::UniformSphere(p) => (p.input_dim, 1, p.train.saturating_add(p.test)),
        _ => return Bytes(0),
    };
    Bytes(product([features.saturating_add(outputs), examples, size_of::<f64>()]))
}

/// Refuses a network that does not fit into memory here.
///
/// # Errors
/// One sentence with what it needs and what is free.
pub fn expect_network(architecture: &Architecture, need: Bytes, what: &str) -> Result<(), OutOfMemory> {
    let parameters = parameters(architecture);
    expect_free(need, &format!("{what} of {parameters} parameters"), SMALLER_NETWORK)
}

#[cfg(test)]
mod tests {
    use widthwise_datasets::synthetic::uniform_sphere;
    use widthwise_theory::InputShape;

    use super::*;
    use crate::config::NetworkConfig;
    use crate::network::build_architecture;

    fn mlp(width: usize) -> Architecture {
        let network = NetworkConfig { depth: 3, width, sigma_b2: 1.0, ..NetworkConfig::default() };
        build_architecture(&network, InputShape::flat(10), 2, None).unwrap()
    }

    #[test]
    fn needs_are_those_of_the_layers() {
        // 10 -> 4 -> 4 -> 4 -> 2 with biases: 44, 20, 20 and 10 parameters; states of 10, 4 twice a layer, and 2.
        let small = mlp(4);
        assert_eq!(network(&small, 4).unwrap().0, 4 * 94);
        // After the first layer of 44 in f32, 44 more in f64 stand beside it.
        assert_eq!(drawing(&small, 4).unwrap().0, 12 * 44);
        let states = states(&small).unwrap();
        assert_eq!(sampled_kernels(&small, 4, 100).unwrap().0, 4 * 94 + 4 * 100 * states + 5 * 8 * 100 * 100);
        let orthogonal = Architecture { init_scheme: InitScheme::Orthogonal, ..mlp(4) };
        assert_eq!(drawing(&orthogonal, 4).unwrap().0, 20 * 44);
    }

    #[test]
    fn a_run_holds_three_sets_of_weights_and_the_moments() {
        for (optimizer, copies) in
            [("\"gradient_descent\"", 3), ("{ momentum = { beta = 0.9 } }", 4), ("{ adam = {} }", 5)]
        {
            let set = format!("training.optimizer={optimizer}");
            let others = ["run.precision=f64", "training.learning_rate={ absolute = 0.1 }"].map(str::to_owned);
            let experiment = crate::config::load(None, &[vec![set], others.to_vec()].concat()).unwrap();
            let wide = mlp(300);
            let expected = copies * network(&wide, 8).unwrap().0 + 8 * 7 * states(&wide).unwrap();
            assert_eq!(training(&experiment, &wide, 7).unwrap().0, expected);
        }
    }

    #[test]
    fn what_no_machine_has_is_refused_and_nothing_wraps() {
        let huge = mlp(1_000_000);
        let message = expect_network(&huge, drawing(&huge, 4).unwrap(), "a network").unwrap_err().to_string();
        assert!(message.contains("are needed for a network of 2000015000002 parameters, but only"), "{message}");
        assert!(message.contains("network.width"), "{message}");
        assert_eq!(product([usize::MAX, usize::MAX]), u64::MAX);
        let parameters = uniform_sphere::Parameters { input_dim: 9, train: 1_000, test: 24 };
        let many = DatasetSpec::UniformSphere(parameters);
        assert_eq!(generated_data(&many).0, 10 * 1024 * 8);
    }
}
