//! Kernels against reference values of high precision: `cargo run --release -p widthwise-theory --example kernel_accuracy -- golden.csv ...`.
//!
//! A row of the table is an activation; errors of `K(x, y)` and `Theta(x, y)` are relative to `sqrt(K(x, x) K(y, y))`, those of
//! `K(x, x)` to itself. `reference.py` and `logistic.py` of `results/kernel_accuracy` write the files.

use std::collections::BTreeMap;

use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, InitScheme, InitVariance, InputShape, Layer, Parameterization};
use widthwise_theory::kernel::{Inputs, TrainedLayers, kernels_when_training};

fn activation(name: &str) -> Option<Activation> {
    let mut words = name.split(':');
    let word = words.next()?;
    let numbers: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    Some(match (word, &numbers[..]) {
        ("relu", _) => Activation::Relu,
        ("leaky_relu", [slope]) => Activation::LeakyRelu { slope: *slope },
        ("abs", _) => Activation::Abs,
        ("erf", _) => Activation::Erf,
        ("gelu", _) => Activation::Gelu,
        ("sin", [frequency, phase]) => Activation::Sin { frequency: *frequency, phase: *phase },
        ("cos", [frequency, phase]) => Activation::Cos { frequency: *frequency, phase: *phase },
        ("gaussian", _) => Activation::Gaussian,
        ("exp", _) => Activation::Exp,
        ("sign", _) => Activation::Sign,
        ("rbf", [gamma]) => Activation::Rbf { gamma: *gamma },
        ("hermite", [degree]) => Activation::Hermite { degree: *degree as u32 },
        ("polynomial", coefficients) => Activation::Polynomial { coefficients: coefficients.to_vec() },
        ("tanh", _) => Activation::Tanh,
        ("sigmoid", _) => Activation::Sigmoid,
        ("silu", _) => Activation::Silu,
        ("softplus", _) => Activation::Softplus,
        _ => return None,
    })
}

/// Largest errors of one activation and the row of the largest, with its condition.
#[derive(Default)]
struct Worst {
    rows: usize,
    variance: f64,
    nngp: (f64, String),
    ntk: (f64, String),
    /// Largest condition of any row whose inputs are not exactly collinear: there a difference quotient is no derivative behind kinks.
    condition: f64,
    /// Rows with an error above 1e-10, and those among them whose condition explains it.
    above: (usize, usize),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (options, paths): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|word| word == "--all");
    if paths.is_empty() {
        return Err("name files that reference.py or logistic.py wrote".into());
    }
    let text = paths.iter().map(std::fs::read_to_string).collect::<Result<String, _>>()?;
    let mut all: BTreeMap<String, Worst> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with("activation,")) {
        let words: Vec<&str> = line.split(',').collect();
        let number = |index: usize| words.get(index).and_then(|word| word.parse::<f64>().ok()).unwrap_or(f64::NAN);
        let function = activation(words[0]).ok_or_else(|| format!("no activation {:?}", words[0]))?;
        let has_tangent = function != Activation::Sign;
        let init = InitVariance { sigma_w2: number(1), sigma_b2: number(2) };
        let mut layers = Vec::new();
        for _ in 0..number(3) as usize {
            layers.push(Layer::Dense { width: 1, init });
            layers.push(Layer::Activation { function: function.clone() });
        }
        layers.push(Layer::Dense { width: 1, init });
        let architecture = Architecture {
            input: InputShape::flat(3),
            layers,
            gates: None,
            parameterization: Parameterization::Ntk,
            init_scheme: InitScheme::Gaussian,
        };
        let inputs = Inputs::new((4..10).map(number).collect(), InputShape::flat(3))?;
        let trained = if has_tangent { TrainedLayers::All } else { TrainedLayers::ReadoutOnly };
        let found = kernels_when_training(&architecture, &inputs, None, trained)?;
        let size = number(10).sqrt() * number(12).sqrt();
        let nngp = (found.nngp[(0, 1)] - number(11)).abs() / size;
        let variance = ((found.nngp[(0, 0)] - number(10)) / number(10)).abs();
        let tangent_size = number(13).sqrt() * number(15).sqrt();
        let ntk = (found.ntk[(0, 1)] - number(14)).abs() / tangent_size;
        let ntk = if has_tangent && tangent_size.is_finite() { ntk } else { 0.0 };
        let worst = all.entry(words[0].to_owned()).or_default();
        let condition = number(16);
        worst.rows += 1;
        // NaN counts as an error of any size.
        let sizes = [nngp, ntk, variance].map(|error| if error.is_nan() { f64::INFINITY } else { error });
        worst.variance = worst.variance.max(sizes[2]);
        let ratios: Vec<f64> = (4..7).map(|index| number(index + 3) / number(index)).collect();
        if ratios.iter().any(|ratio| *ratio != ratios[0]) {
            worst.condition = worst.condition.max(condition);
        }
        for (error, place) in sizes.into_iter().zip([&mut worst.nngp, &mut worst.ntk]) {
            if error >= place.0 {
                *place = (error, format!("{} condition {condition:.0e}", words[1..10].join(" ")));
            }
        }
        if sizes[0].max(sizes[1]) > 1e-10 {
            worst.above.0 += 1;
            worst.above.1 += usize::from(sizes[0].max(sizes[1]) <= 4.0 * f64::EPSILON * condition);
        }
        if !options.is_empty() && sizes[0].max(sizes[1]).max(sizes[2]) > 1e-11 {
            println!("{:.1e} {:.1e} {:.1e} {}", sizes[0], sizes[1], sizes[2], words[..10].join(" "));
        }
    }
    println!(
        "| activation | rows | K(x,x) | K(x,y) | Theta(x,y) | largest condition | above 1e-10 (explained by condition) |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, worst) in &all {
        println!(
            "| {name} | {} | {:.1e} | {:.1e} | {:.1e} | {:.0e} | {} ({}) |",
            worst.rows, worst.variance, worst.nngp.0, worst.ntk.0, worst.condition, worst.above.0, worst.above.1
        );
    }
    for (name, worst) in &all {
        println!("{name}: K {:.1e} at {}; Theta {:.1e} at {}", worst.nngp.0, worst.nngp.1, worst.ntk.0, worst.ntk.1);
    }
    Ok(())
}
