//! The table of quantities and the theories agree, and each prediction is what a plain calculation from its definition gives.

use widthwise_datasets::prepare;
use widthwise_testing::round_off;

use super::*;
use crate::config::parse;
use crate::network::build_architecture;
use crate::training::batches::Batches;

const EXPERIMENT: &str = r#"
[dataset]
source = { name = "uniform-sphere", input_dim = 4, train = 6, test = 3 }
[dataset.preprocessing]
train = 6
test = 3
targets = "binary"
[network]
depth = 2
width = 16
activation = "erf"
[training]
learning_rate = { absolute = 0.1 }
[probes]
examples = 6
jacobian_examples = 6
"#;

/// An experiment with its examples and its network.
struct Prepared {
    experiment: crate::config::Checked,
    prepared: widthwise_datasets::Prepared,
    architecture: Architecture,
}

fn prepared(overrides: &[&str]) -> Prepared {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    let experiment = parse(EXPERIMENT, "test", &overrides).unwrap();
    let dataset = crate::data::load(&experiment.dataset.source, None, 1).unwrap();
    let prepared = prepare(&dataset, &experiment.dataset.preprocessing, 1).unwrap();
    let architecture = build_architecture(&experiment.network, input_shape(&prepared), prepared.outputs, None).unwrap();
    Prepared { experiment, prepared, architecture }
}

impl Prepared {
    fn theory(&self) -> Theory<'_> {
        Theory::new(&self.experiment, &self.architecture, &self.prepared, RATE).unwrap()
    }

    /// What theory says of `quantity` in layer 2 before training.
    fn says(&self, quantity: Quantity) -> f64 {
        let asked = Query { quantity, layer_from: Some(1), layer: Some(2), step: 0, losses: None };
        self.theory().predict(asked).unwrap().unwrap().value
    }

    /// Training losses of `member` after 0 to 7 steps, from outputs that differ from example to example.
    fn losses(&self, member: usize) -> Vec<f64> {
        let initial = InitialOutputs { train: start(), test: Mat::zeros(3, 1) };
        let steps: BTreeSet<u64> = (0..8).collect();
        self.theory().losses(member, &initial, &steps).unwrap().train.into_values().collect()
    }

    /// The same by gradient descent on a model linear in its parameters, example by example: with `u` the change of the outputs,
    /// `u <- u - rate (Theta_B (f_B - y_B) / m + strength u)`, `B` the batch of the step and `m` the number by which the loss divides.
    fn by_hand(&self, mut batch: impl FnMut(u64) -> Vec<usize>, m: f64, strength: f64, shown_by: f64) -> Vec<f64> {
        let inputs = Inputs::new(self.prepared.train.inputs.clone(), input_shape(&self.prepared)).unwrap();
        let theta = widthwise_theory::kernel::kernels(&self.architecture, &inputs, None).unwrap().ntk;
        let (f_0, y) = (start(), &self.prepared.train.targets);
        let mut u = [0.0; 6];
        let mut found = Vec::new();
        for step in 0..8 {
            let left: Vec<f64> = (0..6).map(|i| f_0[(i, 0)] + u[i] - y[i]).collect();
            found.push(0.5 * left.iter().map(|r| r * r).sum::<f64>() / shown_by);
            let chosen = batch(step);
            for i in 0..6 {
                let pull: f64 = chosen.iter().map(|&j| theta[(i, j)] * left[j]).sum();
                u[i] -= RATE * (pull / m + strength * u[i]);
            }
        }
        found
    }
}

const RATE: f64 = 0.1;

fn start() -> Mat<f64> {
    Mat::from_fn(6, 1, |i, _| 0.3 * i as f64 - 0.7)
}

fn assert_equal(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= round_off(1000) * expected.abs().max(1.0), "{found} against {expected}");
    }
}

#[test]
fn losses_of_full_batches_divide_the_penalty_as_the_loss_does() {
    let penalty = "training.l2={strength=0.4,toward=\"init\"}";
    let all = |_| (0..6).collect();
    for (loss, m) in [("half_sum", 1.0), ("half_mean", 6.0)] {
        let case = prepared(&[&format!("training.loss={loss}"), penalty]);
        assert_equal(&case.losses(0), &case.by_hand(all, m, 0.4, m));
    }
}

#[test]
fn losses_of_batches_are_those_of_the_members_own_batches() {
    let case = prepared(&["training.batch_size=2", "training.loss=half_mean"]);
    let by_hand = |member: usize| {
        let mut batches = Batches::new(case.experiment.run.seed, member, 6, Some(2));
        case.by_hand(|step| batches.indices(step).iter().map(|&i| i as usize).collect(), 2.0, 0.0, 6.0)
    };
    for member in [0, 3] {
        assert_equal(&case.losses(member), &by_hand(member));
    }
    // The batches of another member lead elsewhere, by far more than rounding.
    assert!(case.losses(0).iter().zip(by_hand(1)).any(|(found, other)| (found - other).abs() > 1e-3));
}

#[test]
fn means_of_kernels_are_over_their_own_entries() {
    let kernel = faer::mat![[1.0, 2.0, 4.0], [2.0, 8.0, 16.0], [4.0, 16.0, 32.0]];
    assert_eq!(mean_diagonal(&kernel), 41.0 / 3.0);
    assert_eq!(mean_off_diagonal(&kernel), 44.0 / 6.0);
}

#[test]
fn the_bound_on_the_kernels_change_is_one_over_the_root_of_the_narrowest_width() {
    assert_eq!(prepared(&[]).says(Quantity::NtkRelativeChange), 0.25);
    assert_eq!(prepared(&["network.widths=[64,256]"]).says(Quantity::NtkRelativeChange), 0.125);
}

#[test]
fn excess_kurtosis_of_a_linear_network_is_six_over_the_width() {
    // z^2 = w.h with h Gaussian of n independent units: E z^4 = 3 (1 + 2/n) (E z^2)^2.
    let case = prepared(&["network.family=deep_linear", "network.width=50", "network.sigma_b2=0"]);
    assert_equal(&[case.says(Quantity::ExcessKurtosis), case.says(Quantity::Kurtosis)], &[0.12, 3.12]);
}

/// What theory says, by the table of quantities, it says; about the rest it is silent. Each number knows its order and its axis.
#[test]
fn every_quantity_is_predicted_as_its_table_says() {
    let case = prepared(&[]);
    let theory = case.theory();
    let initial = InitialOutputs { train: Mat::zeros(6, 1), test: Mat::zeros(3, 1) };
    let losses = theory.losses(0, &initial, &BTreeSet::from([0, 5])).unwrap();
    for &quantity in Quantity::ALL {
        let asked = Query { quantity, layer_from: Some(1), layer: Some(2), step: 0, losses: Some(&losses) };
        let predicted = theory.predict(asked).unwrap();
        assert_eq!(predicted.is_some(), quantity.theory() != quantity::Theory::None, "{quantity}");
        let Some(Predicted { order, std_error, axis, .. }) = predicted else { continue };
        let expected = match quantity {
            Quantity::Kurtosis | Quantity::ExcessKurtosis | Quantity::Skewness => 1.0,
            Quantity::NtkRelativeChange => 0.5,
            _ => 0.0,
        };
        let is_loss = matches!(quantity, Quantity::TrainLoss | Quantity::TestLoss);
        assert_eq!((order, std_error, axis), (expected, None, is_loss.then_some(Axis::Step)), "{quantity}");
        // Of trained networks theory knows losses and the kernel, which stays.
        let later = theory.predict(Query { step: 5, ..asked }).unwrap();
        assert_eq!(later.is_some(), is_loss || quantity.probe() == quantity::Probe::Ntk, "{quantity}");
    }
    assert_eq!(theory.remarks().unwrap(), Vec::<String>::new());
}
