//! The table of quantities and the theories agree.

use widthwise_datasets::prepare;

use super::*;
use crate::config::parse;
use crate::network::build_architecture;

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

/// What theory says, by the table of quantities, it says; about the rest it is silent. Each number knows its order and its axis.
#[test]
fn every_quantity_is_predicted_as_its_table_says() {
    let experiment = parse(EXPERIMENT, "test", &[]).unwrap();
    let dataset = crate::data::load(&experiment.dataset.source, None, 1).unwrap();
    let prepared = prepare(&dataset, &experiment.dataset.preprocessing, 1).unwrap();
    let shape = input_shape(&prepared);
    let architecture = build_architecture(&experiment.network, shape, prepared.outputs, None).unwrap();
    let theory = Theory::new(&experiment, &architecture, &prepared, 0.1).unwrap();
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
