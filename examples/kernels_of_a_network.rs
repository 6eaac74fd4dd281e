//! The NNGP and the tangent kernel of a network of one's own: of infinite width, and of one finite network.

use std::error::Error;

use widthwise::prelude::*;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let shape = InputShape::flat(3);
    let init = InitVariance { sigma_w2: 1.5, sigma_b2: 0.1 };
    let mut layers = Vec::new();
    for function in [Activation::Tanh, Activation::Relu] {
        layers.extend([Layer::Dense { width: 2048, init }, Layer::Activation { function }]);
    }
    layers.push(Layer::Dense { width: 1, init });
    let (parameterization, init_scheme) = (Parameterization::Ntk, InitScheme::Gaussian);
    let architecture = Architecture { input: shape, layers, gates: None, parameterization, init_scheme };

    let values: Vec<f64> = (0..12).map(|i| f64::from(i).sin()).collect();
    let infinite = kernels(&architecture, &Inputs::new(values.clone(), shape)?, None)?;

    let network = Network::new(&architecture, UpdateRule::Linear, 7, 0, &Device::flex(), DType::F32)?;
    let batch = network.batch(&values);
    let observed = Observation::new(&network, &batch);
    let finite = Kernels { nngp: empirical_nngp(&observed, 2), ntk: empirical_ntk(&observed) };

    println!("infinite width: NTK {:.4?}", infinite.ntk);
    println!("width 2048:     NTK {:.4?}", finite.ntk);
    let distance = relative_distance(&finite.ntk, &infinite.ntk);
    println!("relative distance of the tangent kernels: {distance:.3}");
    println!("variance of a pre-activation of layer 2: {:.3}", finite.nngp[(0, 0)]);
    // Of order width^(-1/2), which is 0.02.
    if distance < 0.2 { Ok(()) } else { Err("the network is far from infinite width".into()) }
}
