//! The kernel of a network's examples with themselves, on the implementation that suits its device.

use std::ops::Range;

use burn::tensor::{DType, Device};
use faer::Mat;
use widthwise_probes::Observed;
use widthwise_probes::ntk::{BlockPlan, Contraction, NtkOutput, block_kernel, contraction, empirical_ntk_by_layer};
use widthwise_tensors::Number;

use super::BlockMaker;
use crate::network::Network;
use crate::observation::{Observation, geometry};

/// Bytes of blocks that are held at once; more examples are taken block by block.
const ROOM: usize = 1 << 30;

/// The share of every layer in the empirical NTK, outputs averaged: on flex in host memory, elsewhere in tensors, each `N x N` and
/// symmetric.
pub fn ntk_by_layer(observation: &Observation<'_>) -> Vec<Mat<f64>> {
    match observation.network().placement() {
        (device, DType::F32) if *device == Device::flex() => of_blocks::<f32>(observation, ROOM),
        (device, DType::F64) if *device == Device::flex() => of_blocks::<f64>(observation, ROOM),
        _ => empirical_ntk_by_layer(observation, None::<&Observation<'_>>, NtkOutput::Trace),
    }
}

/// The sum of the shares of all layers.
pub fn ntk(observation: &Observation<'_>) -> Mat<f64> {
    total(&ntk_by_layer(observation))
}

/// The sum of the shares of all layers, in their order.
pub(crate) fn total(by_layer: &[Mat<f64>]) -> Mat<f64> {
    let total = by_layer.iter().cloned().reduce(|total, share| total + share);
    total.unwrap_or_else(|| unreachable!("a network has a readout"))
}

/// All examples at once if they fit `room` bytes, or else blocks against blocks, two at a time. How examples are cut depends on their number and the network.
fn of_blocks<T: Number>(observation: &Observation<'_>, room: usize) -> Vec<Mat<f64>> {
    let (network, batch, n) = (observation.network(), observation.batch(), observation.examples());
    let outputs = network.weight_layers().last().map_or(0, |readout| readout.width);
    let plan = BlockPlan { output: NtkOutput::Trace, outputs, rows: n, columns: n };
    let maker = BlockMaker::<T>::new(network, plan);
    let fitting = room / (numbers_per_example(network, &plan) * size_of::<T>()).max(1);
    let most = if fitting >= n { n.max(1) } else { (fitting / 2).max(1) };
    let ranges: Vec<Range<usize>> = (0..n).step_by(most).map(|start| start..(start + most).min(n)).collect();
    let layers = network.weight_layers().len();
    let mut kernels = vec![Mat::zeros(n, n); layers];
    // The last one is the sum of the layers.
    let mut values = vec![Vec::<f64>::new(); layers + 1];
    let block = |range: &Range<usize>| {
        if range.len() == n {
            return maker.block_of(observation);
        }
        maker.block_of(&observation.narrowed(range.clone(), &batch.range(range.clone())))
    };
    for (i, rows) in ranges.iter().enumerate() {
        let left = block(rows);
        for (j, columns) in ranges.iter().enumerate().skip(i) {
            if i == j {
                block_kernel(&left, None, &mut values);
            } else {
                block_kernel(&left, Some(&block(columns)), &mut values);
            }
            for (kernel, values) in kernels.iter_mut().zip(&values) {
                for (x, values) in rows.clone().zip(values.chunks_exact(columns.len())) {
                    for (y, value) in columns.clone().zip(values) {
                        (kernel[(x, y)], kernel[(y, x)]) = (*value, *value);
                    }
                }
            }
        }
    }
    kernels
}

/// At most this many numbers of an example are in a block.
fn numbers_per_example(network: &Network, plan: &BlockPlan) -> usize {
    let numbers = |number: usize| {
        let geometry = geometry(network, number);
        let (fan_in, positions, derivatives) = (geometry.fan_in, geometry.positions, plan.outputs * geometry.units);
        if positions > 1 && contraction(plan, &geometry) == Contraction::Gradients {
            derivatives * (fan_in + 1)
        } else {
            positions * (fan_in + derivatives)
        }
    };
    (1..=network.weight_layers().len()).map(numbers).sum()
}

#[cfg(test)]
mod tests {
    use widthwise_theory::architecture::{InputShape, UpdateRule};

    use super::*;
    use crate::config::{ConvolutionConfig, Family, NetworkConfig};
    use crate::network::build_architecture;

    #[test]
    fn examples_taken_block_by_block_have_the_same_kernel() {
        let shape = InputShape { channels: 2, height: 5, width: 4 };
        let convolution = ConvolutionConfig { filter_size: [3, 2], ..ConvolutionConfig::default() };
        for (family, shape) in [(Family::Mlp, InputShape::flat(9)), (Family::Cnn, shape)] {
            let config = NetworkConfig {
                family,
                depth: 2,
                width: 6,
                convolution: convolution.clone(),
                ..NetworkConfig::default()
            };
            let architecture = build_architecture(&config, shape, 3, None).unwrap();
            let network = Network::new(&architecture, UpdateRule::Linear, 1, 0, &Device::flex(), DType::F64).unwrap();
            let features = shape.features();
            let batch = network.batch(&(0..7 * features).map(|i| (1.3 * i as f64).sin()).collect::<Vec<_>>());
            let plan = BlockPlan { output: NtkOutput::Trace, outputs: 3, rows: 7, columns: 7 };
            let example = numbers_per_example(&network, &plan) * size_of::<f64>();
            let observation = Observation::new(&network, &batch);
            let whole = of_blocks::<f64>(&observation, ROOM);
            for examples in [1, 3] {
                // Blocks of so many of seven examples, the last one shorter.
                let parts = of_blocks::<f64>(&observation, 2 * examples * example);
                for (layer, (part, whole)) in (1..).zip(parts.iter().zip(&whole)) {
                    let scale = (0..7).map(|i| whole[(i, i)]).fold(0.0, f64::max);
                    for (i, j) in (0..7).flat_map(|i| (0..7).map(move |j| (i, j))) {
                        let difference = (part[(i, j)] - whole[(i, j)]).abs();
                        assert!(difference <= 1e3 * f64::EPSILON * scale, "{family:?} {layer} ({i}, {j})");
                        assert_eq!(part[(i, j)], part[(j, i)]);
                    }
                }
            }
        }
    }

    #[test]
    fn a_block_holds_no_more_than_was_expected() {
        let shape = InputShape { channels: 2, height: 5, width: 4 };
        for family in [Family::Mlp, Family::Cnn, Family::DeepLinear] {
            let config = NetworkConfig { family, depth: 2, width: 6, ..NetworkConfig::default() };
            let architecture = build_architecture(&config, shape, 3, None).unwrap();
            let network = Network::new(&architecture, UpdateRule::Linear, 1, 0, &Device::flex(), DType::F64).unwrap();
            let batch = network.batch(&vec![0.5; 4 * shape.features()]);
            let plan = BlockPlan { output: NtkOutput::Trace, outputs: 3, rows: 4, columns: 4 };
            let block = BlockMaker::<f64>::new(&network, plan).block(&batch);
            assert!(block.bytes() <= 4 * numbers_per_example(&network, &plan) * size_of::<f64>(), "{family:?}");
        }
    }
}
