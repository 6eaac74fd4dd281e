//! The fast recursions against the one on whole tensors, on random architectures.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use widthwise_testing::{assert_relative, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, Branch, InputShape, Layer, Padding};
use widthwise_theory::kernel::{
    Inputs, KernelEngine, TrainedLayers, kernels, kernels_by_layer, preactivation_variances,
};
use widthwise_theory::signal::partial_jacobian_norms;

use crate::networks::{activation, convolution, dense, network, numbers, variance};

/// Draws layers and keeps count of what the image has become.
struct Draw {
    random: ChaCha8Rng,
    size: [usize; 2],
    phi: Activation,
    /// Whether windows have explicit padding, every other one of them.
    explicit: bool,
}

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.random.random_range(0..n)
    }

    fn padding(&mut self) -> Padding {
        [Padding::Same, Padding::Same, Padding::Valid, Padding::Valid, Padding::Circular][self.below(5)]
    }

    /// A window that fits.
    fn window(&mut self, largest: usize) -> ([usize; 2], [usize; 2], Padding) {
        let mut padding = self.padding();
        let taps = self.size.map(|size| 1 + self.random.random_range(0..largest.min(size)));
        if self.explicit && self.below(2) == 0 {
            padding = Padding::Zeros(taps.map(|taps| self.random.random_range(0..taps)));
        }
        let stride = [1 + self.below(3) / 2, 1 + self.below(3) / 2];
        for axis in 0..2 {
            let geometry = padding.geometry(axis, self.size[axis], taps[axis], stride[axis]);
            self.size[axis] = geometry.expect("it fits").0;
        }
        (taps, stride, padding)
    }

    fn convolution(&mut self) -> Layer {
        let (filter_size, stride, padding) = self.window(3);
        Layer::Convolution { width: 8, filter_size, stride, padding, init: variance(1.7, 0.2) }
    }

    /// Weights that keep the size.
    fn same(&mut self) -> Layer {
        let padding = [Padding::Same, Padding::Same, Padding::Circular][self.below(3)];
        convolution([1 + self.below(3), 1 + self.below(3)], 1, padding, variance(1.4, 0.1))
    }

    fn pool(&mut self) -> Layer {
        let (window, stride, padding) = self.window(3);
        match self.below(2) {
            0 => Layer::AveragePool { window, stride, padding },
            _ => Layer::SumPool { window, stride, padding },
        }
    }

    fn norm(&mut self) -> Layer {
        match self.below(2) {
            0 => Layer::LayerNorm { epsilon: 0.01 },
            _ => Layer::RmsNorm { epsilon: 0.0 },
        }
    }

    /// Weights, an activation and what may stand around them.
    fn block(&mut self) -> Vec<Layer> {
        let phi = activation(&self.phi);
        match self.below(7) {
            0 => vec![self.convolution(), self.norm(), phi],
            1 => vec![self.convolution(), phi, self.norm()],
            2 => vec![self.convolution(), phi, Layer::Dropout { keep: 0.7 }],
            3 => vec![self.convolution(), Layer::residual(0.6, vec![phi.clone(), self.same()]), phi],
            4 => {
                let branch = |scale: f64, layers: Vec<Layer>| Branch { scale, layers };
                let (left, right) = (self.same(), self.same());
                let branches = vec![branch(0.5, vec![left]), branch(1.2, vec![right, phi.clone()])];
                vec![self.convolution(), phi, Layer::Branches { branches }, self.same(), self.norm()]
            }
            _ => vec![self.convolution(), phi],
        }
    }

    fn architecture(&mut self, shape: InputShape) -> Architecture {
        self.size = [shape.height, shape.width];
        let mut layers = Vec::new();
        if self.below(4) == 0 {
            layers.push(self.norm());
        }
        for _ in 0..1 + self.below(3) {
            layers.extend(self.block());
            if self.below(3) == 0 {
                layers.push(self.pool());
            }
        }
        match self.below(4) {
            0 => layers.push(Layer::Flatten),
            1 => layers.extend([Layer::Flatten, Layer::LayerNorm { epsilon: 0.02 }]),
            _ => layers.push(Layer::GlobalAveragePool),
        }
        if self.below(3) == 0 {
            layers.extend([dense(8, variance(1.1, 0.3)), activation(&self.phi), self.norm()]);
        }
        layers.push(dense(1, variance(1.5, 0.1)));
        network(shape, layers)
    }
}

/// Random architectures with their inputs.
fn architectures(count: usize, phi: &Activation, explicit: bool) -> Vec<(Architecture, Inputs)> {
    (0..count as u64)
        .map(|seed| {
            let mut draw = Draw { random: ChaCha8Rng::seed_from_u64(seed), size: [0, 0], phi: phi.clone(), explicit };
            let shape = InputShape { channels: 2, height: 1 + draw.below(7), width: 1 + draw.below(11) };
            let net = draw.architecture(shape);
            (net, Inputs::new(numbers(3 * shape.features()), shape).expect("three examples"))
        })
        .collect()
}

#[test]
fn every_road_leads_to_the_same_kernels() -> Result<(), TheoryError> {
    let cases = [(Activation::Relu, 150), (Activation::Gelu, 60), (Activation::Tanh, 25)];
    compare_methods(&cases.map(|(phi, count)| (phi, count, false)), 150)
}

#[test]
fn every_road_leads_to_the_same_kernels_under_explicit_padding() -> Result<(), TheoryError> {
    compare_methods(&[(Activation::Relu, 150, true), (Activation::Gelu, 60, true)], 130)
}

/// Kernels by the fast recursions and by the one on whole tensors; at least `least` networks must take a fast one.
fn compare_methods(cases: &[(Activation, usize, bool)], least: usize) -> Result<(), TheoryError> {
    let mut methods = [0, 0];
    for (phi, count, explicit) in cases {
        for (number, (net, inputs)) in architectures(*count, phi, *explicit).into_iter().enumerate() {
            let reference = KernelEngine::reference(&net, TrainedLayers::All)?;
            let fast = KernelEngine::new(&net, TrainedLayers::All)?;
            methods[usize::from(fast.carries_whole_tensors())] += 1;
            let expected = reference.kernels(&reference.prepare(&inputs)?, None)?;
            let found = fast.kernels(&fast.prepare(&inputs)?, None)?;
            let what = format!("{} network {number}: {net:?}", phi.name());
            for (i, j) in [(0, 0), (0, 1), (2, 1), (2, 2)] {
                assert_relative(found.nngp[(i, j)], expected.nngp[(i, j)], round_off(1000), &what);
                assert_relative(found.ntk[(i, j)], expected.ntk[(i, j)], round_off(1000), &what);
            }
        }
    }
    assert!(methods[0] > least, "{methods:?}: most architectures must take a fast method");
    Ok(())
}

#[test]
fn layers_on_the_way_do_not_depend_on_the_road() -> Result<(), TheoryError> {
    // The readout is the last layer, whatever is noted on the way; layers before pooling are those without pooling.
    for (number, (net, inputs)) in architectures(40, &Activation::Gelu, false).into_iter().enumerate() {
        let layers = kernels_by_layer(&net, &inputs, None, TrainedLayers::All)?;
        let whole = kernels(&net, &inputs, None)?;
        let last = layers.last().expect("a readout");
        for (i, j) in [(0, 0), (0, 1), (2, 1)] {
            assert_relative(last.nngp[(i, j)], whole.nngp[(i, j)], round_off(200), &format!("K of network {number}"));
            assert_relative(last.ntk[(i, j)], whole.ntk[(i, j)], round_off(200), &format!("Theta of network {number}"));
        }
        let variances = preactivation_variances(&net, &inputs)?;
        for (l, layer) in layers.iter().enumerate() {
            assert_relative(variances[(1, l)], layer.nngp[(1, 1)], round_off(200), "variance");
        }
    }
    Ok(())
}

#[test]
fn partial_jacobians_of_averaged_images() -> Result<(), TheoryError> {
    // Filters of one pixel keep derivatives at their position: of P positions, the average leaves 1/P.
    let shape = InputShape { channels: 2, height: 3, width: 5 };
    let inputs = Inputs::new(numbers(2 * shape.features()), shape)?;
    let pixelwise = || convolution([1, 1], 1, Padding::Valid, variance(1.7, 0.2));
    let phi = activation(&Activation::Relu);
    let body = vec![pixelwise(), phi.clone(), pixelwise(), phi];
    let net = network(shape, [body, vec![Layer::GlobalAveragePool, dense(1, variance(1.5, 0.1))]].concat());
    let norms = partial_jacobian_norms(&net, &inputs)?;
    assert_relative(norms[(1, 0)], 0.5 * 1.7, round_off(100), "first to second");
    assert_relative(norms[(2, 1)], 0.5 * 1.5 / 15.0, round_off(100), "second to readout");
    assert_relative(norms[(2, 0)], 0.25 * 1.7 * 1.5 / 15.0, round_off(100), "first to readout");
    // Around a residual block the derivative of the skip is one.
    let block = Layer::residual(0.5, vec![dense(8, variance(1.3, 0.0))]);
    let first = dense(8, variance(1.7, 0.2));
    let net = network(InputShape::flat(30), vec![first, block, dense(1, variance(1.1, 0.0))]);
    let flat = Inputs::new(inputs.values, InputShape::flat(30))?;
    let norms = partial_jacobian_norms(&net, &flat)?;
    assert_relative(norms[(2, 0)], 1.1 * (1.0 + 0.25 * 1.3), round_off(100), "around and through");
    assert_relative(norms[(2, 1)], 1.1 * 0.25, round_off(100), "from inside of the branch");
    Ok(())
}
