//! Wall times, printed and not judged: `cargo test -p widthwise-theory --release -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{InputShape, Layer, Padding};
use widthwise_theory::dynamics::KernelDynamics;
use widthwise_theory::kernel::{Inputs, kernels};

use crate::networks::{activation, convolution, dense, mlp, network, numbers, variance};

#[test]
#[ignore = "a measurement, not a check"]
fn wall_times() -> Result<(), TheoryError> {
    let init = variance(1.9, 0.1);
    for (phi, examples) in [
        (Activation::Relu, 500),
        (Activation::Gelu, 500),
        (Activation::Erf, 500),
        (Activation::Tanh, 200),
        (Activation::Silu, 500),
    ] {
        let inputs = Inputs::new(numbers(examples * 784), InputShape::flat(784))?;
        let net = mlp(784, &[64; 3], &phi, init);
        let mut best = Duration::MAX;
        for _ in 0..10 {
            let start = Instant::now();
            kernels(&net, &inputs, None)?;
            best = best.min(start.elapsed());
        }
        println!("dense, 3 hidden layers, {}, N = {examples}, best of 10: {best:.1?}", phi.name());
        let kernels = kernels(&net, &inputs, None)?;
        let start = Instant::now();
        KernelDynamics::new(kernels.ntk.as_ref(), kernels.nngp.as_ref())?;
        println!("  eigendecomposition: {:.1?}", start.elapsed());
    }
    let shape = InputShape { channels: 1, height: 14, width: 14 };
    let inputs = Inputs::new(numbers(32 * shape.features()), shape)?;
    for phi in [Activation::Relu, Activation::Tanh] {
        for end in [Layer::Flatten, Layer::GlobalAveragePool] {
            let body = convolution([3, 3], 1, Padding::Same, init);
            let layers = vec![body.clone(), activation(&phi), body, activation(&phi), end.clone(), dense(1, init)];
            let start = Instant::now();
            kernels(&network(shape, layers), &inputs, None)?;
            println!("2 convolutions, 14 x 14, {}, {end:?}, N = 32: {:.1?}", phi.name(), start.elapsed());
        }
    }
    Ok(())
}
