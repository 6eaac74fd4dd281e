//! What networks, training and data need in memory, from their sizes alone and before anything is allocated.
//!
//! Every number is a lower bound near the truth: what is refused for it would not have worked. Peaks that were measured are 1.0 to
//! 1.2 times these numbers where weights prevail (training) and 1.0 to 2 times (kernels of sampled networks).

use widthwise_datasets::DatasetSpec;
use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, InitScheme, WeightLayer};

use crate::config::{Checked, Precision};
use crate::memory::{Bytes, OutOfMemory, expect_free};
use crate::quantity::Probe;
use crate::training::optimizer::moment_count;

/// Bytes of a number in which weights are drawn.
const DRAWN: u64 = 8;

/// Kernels of the training set that are there at once, at most, while the tangent kernel is decomposed: 5.8 to 6.1 were measured from
/// 800 to 3,200 examples.
const DECOMPOSED: u64 = 6;

/// What to do about a network that is too large.
const SMALLER_NETWORK: &str = "lower network.width, network.depth or the filters, or take a machine with more memory";

/// What to do about kernels that are too large.
const FEWER_EXAMPLES: &str =
    "lower dataset.preprocessing.train or dataset.preprocessing.test, or take a machine with more memory";

/// What to do about probes of too many examples.
const FEWER_PROBED: &str = "lower probes.examples or network.width, or take a machine with more memory";

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

/// The most numbers that the block of an example's derivatives of `outputs` outputs has, and that are at work while it is made.
///
/// # Errors
/// Shapes that do not fit.
pub fn derivatives(architecture: &Architecture, outputs: usize) -> Result<[u64; 2], TheoryError> {
    let (mut block, mut rows, mut pulled) = (0_u64, 0_u64, 0_u64);
    for layer in architecture.weight_layers()? {
        let inputs = product([layer.fan_in, layer.branches]);
        let own = inputs.saturating_mul(layer.positions as u64);
        let derivatives = product([layer.width, outputs]);
        rows = rows.saturating_add(own);
        pulled = pulled.saturating_add(derivatives.saturating_mul(layer.positions as u64));
        let gradients = if layer.positions > 1 { inputs.saturating_add(1) } else { 1 };
        let kept = derivatives.saturating_mul(gradients.max(layer.positions as u64));
        block = block.saturating_add(own).saturating_add(if layer.is_readout { 0 } else { kept });
    }
    let states = states(architecture)?.saturating_mul(4);
    Ok([block, states.saturating_add(pulled.saturating_mul(3)).saturating_add(rows.saturating_mul(2))])
}

/// Bytes of the probes of `examples` examples at one step: the states of all, and where it is probed the tangent kernel, layer by layer
/// and as their sum, and those of the step before and of the start.
///
/// # Errors
/// Shapes that do not fit.
pub fn probing(experiment: &Checked, architecture: &Architecture, examples: usize) -> Result<Bytes, TheoryError> {
    let passed = product([examples, number(experiment)]).saturating_mul(states(architecture)?);
    if !experiment.probes.is_on(Probe::Ntk) {
        return Ok(Bytes(passed));
    }
    let kernels = empirical_ntk(architecture, examples)?.0.saturating_add(kernel(examples, examples).saturating_mul(2));
    Ok(Bytes(passed.saturating_add(kernels)))
}

/// Bytes of the empirical tangent kernel of `examples` examples, layer by layer and as their sum.
///
/// # Errors
/// Shapes that do not fit.
pub fn empirical_ntk(architecture: &Architecture, examples: usize) -> Result<Bytes, TheoryError> {
    let layers = architecture.weight_layers()?.len() as u64;
    Ok(Bytes(kernel(examples, examples).saturating_mul(layers + 1)))
}

/// Bytes of one kernel.
fn kernel(rows: usize, columns: usize) -> u64 {
    product([rows, columns, size_of::<f64>()])
}

/// Bytes of the kernels of infinite width on `train` examples and of `test` against them, and of the tangent kernel's decomposition.
pub fn theory(train: usize, test: usize) -> Bytes {
    let square = kernel(train, train).saturating_mul(DECOMPOSED);
    Bytes(square.saturating_add(kernel(test, train).saturating_mul(2)))
}

/// Bytes of both kernels of infinite width on `examples` examples, and of the tangent kernel over their `outputs`.
pub fn both_kernels(examples: usize, outputs: usize) -> Bytes {
    let rows = examples.saturating_mul(outputs);
    Bytes(kernel(examples, examples).saturating_mul(2).saturating_add(if outputs > 1 { kernel(rows, rows) } else { 0 }))
}

/// What a run holds at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunNeed {
    /// One network in training; see [`training`].
    pub training: Bytes,
    /// The probes of one step; see [`probing`].
    pub probing: Bytes,
    /// Kernels of infinite width; see [`theory`].
    pub theory: Bytes,
    /// The tangent kernel by which a critical learning rate is found, before all others; see [`empirical_ntk`].
    pub rate: Bytes,
}

impl RunNeed {
    /// Bytes of all that is there at the same time: probes and steps take turns.
    pub fn total(self) -> Bytes {
        Bytes(self.training.0.max(self.probing.0).saturating_add(self.theory.0).max(self.rate.0))
    }

    /// Refuses a run that does not fit into memory here; `examples` are those of training and test.
    ///
    /// # Errors
    /// One sentence with what each part needs, what is free, and how the largest part becomes smaller.
    pub fn expect(self, architecture: &Architecture, [train, test]: [usize; 2]) -> Result<(), OutOfMemory> {
        let Self { training, probing, theory, rate } = self;
        let parameters = parameters(architecture);
        let way_out = match training.max(probing).max(theory).max(rate) {
            largest if largest == training => SMALLER_NETWORK,
            largest if largest == probing => FEWER_PROBED,
            _ => FEWER_EXAMPLES,
        };
        if self.total() == rate {
            let what = format!(
                "the tangent kernel of {train} training examples, from which learning_rate.critical_empirical follows"
            );
            return expect_free(rate, &what, &format!("give learning_rate.absolute, {FEWER_EXAMPLES}"));
        }
        let what = format!(
            "the training of a network of {parameters} parameters ({training}), its probes ({probing}) and the kernels of infinite width on \
             {train} training and {test} test examples ({theory})"
        );
        expect_free(self.total(), &what, way_out)
    }
}

/// Refuses kernels of infinite width that do not fit into memory here.
///
/// # Errors
/// One sentence with what they need and what is free.
pub fn expect_theory(need: Bytes, [train, test]: [usize; 2]) -> Result<(), OutOfMemory> {
    let what = format!("the kernels of infinite width on {train} training and {test} test examples");
    expect_free(need, &what, FEWER_EXAMPLES)
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
    use widthwise_theory::architecture::InputShape;

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
        // After the first layer of 44 in f32, 44 more in f64 accompany it.
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
    fn kernels_are_squares_of_their_examples() {
        let kernel = 8 * 100 * 100;
        assert_eq!(theory(100, 0).0, DECOMPOSED * kernel);
        assert_eq!(theory(100, 50).0, (DECOMPOSED + 1) * kernel);
        assert_eq!(both_kernels(100, 1).0, 2 * kernel);
        assert_eq!(both_kernels(100, 3).0, 11 * kernel);
        // Four layers and their sum.
        assert_eq!(empirical_ntk(&mlp(4), 100).unwrap().0, 5 * kernel);
        let experiment = crate::config::load(None, &["run.precision=f64".to_owned()]).unwrap();
        let states = states(&mlp(4)).unwrap();
        assert_eq!(probing(&experiment, &mlp(4), 100).unwrap().0, 8 * 100 * states + 7 * kernel);
        let without = crate::config::load(
            None,
            &["run.precision=f64", "probes.ntk=false", "claims.required=[]"].map(str::to_owned),
        )
        .unwrap();
        assert_eq!(probing(&without, &mlp(4), 100).unwrap().0, 8 * 100 * states);
        assert_eq!(theory(usize::MAX, usize::MAX).0, u64::MAX);
    }

    #[test]
    fn a_run_is_refused_by_its_largest_part() {
        let huge = Bytes(1 << 60);
        let small = RunNeed { training: Bytes(1), probing: Bytes(2), theory: Bytes(3), rate: Bytes(4) };
        assert_eq!(small.total(), Bytes(5));
        assert!(small.expect(&mlp(4), [10, 5]).is_ok());
        for (need, way_out) in [
            (RunNeed { training: huge, ..small }, SMALLER_NETWORK),
            (RunNeed { probing: huge, ..small }, FEWER_PROBED),
            (RunNeed { theory: huge, ..small }, FEWER_EXAMPLES),
            (RunNeed { rate: huge, ..small }, "give learning_rate.absolute"),
        ] {
            let message = need.expect(&mlp(4), [10, 5]).unwrap_err().to_string();
            assert!(message.contains(way_out), "{message}");
        }
    }

    #[test]
    fn what_no_machine_has_is_refused_and_nothing_wraps() {
        let huge = mlp(1_000_000);
        let message = expect_network(&huge, drawing(&huge, 4).unwrap(), "a network").unwrap_err().to_string();
        assert!(message.contains("are needed for a network of 2000015000002 parameters, but only"), "{message}");
        assert!(message.contains("network.width"), "{message}");
        assert_eq!(product([usize::MAX, usize::MAX]), u64::MAX);
        let parameters = uniform_sphere::UniformSphereParameters { input_dim: 9, train: 1_000, test: 24 };
        let many = DatasetSpec::UniformSphere(parameters);
        assert_eq!(generated_data(&many).0, 10 * 1024 * 8);
    }
}
