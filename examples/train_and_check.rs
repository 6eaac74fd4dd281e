//! Trains an ensemble on six points in memory by gradient descent, and holds its mean outputs against those of infinite width.

use std::error::Error;

use widthwise::prelude::*;
use widthwise::training::take_step;

const EXAMPLES: usize = 6;
const MEMBERS: usize = 32;
const STEPS: u64 = 40;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let points = || (0..EXAMPLES).map(|i| i as f64);
    let inputs = points().flat_map(|x| [x.cos(), x.sin()]).collect();
    let arrays = Arrays::new(inputs, points().map(|x| (2.0 * x).sin()).collect(), EXAMPLES)?;
    let network = NetworkConfig { depth: 1, width: 512, ..NetworkConfig::default() };
    let (rate, times, optimizer) = (0.05, vec![STEPS as f64], PredictOptimizer::GradientDescent);
    let question = Question { optimizer, times, learning_rate: Some(rate), ..Question::default() };
    let known = PredictionData::new(ExampleSet::from(&arrays), None, PredictLoss::Mse)?;
    let answer = predict(&question, (&network, 1), &known, arrays.shape(), Budget::new(Bytes(1 << 31)), &Silent)?;

    let architecture = build_architecture(&network, arrays.shape(), arrays.outputs(), None)?;
    let data = Data::new(&arrays.prepared(), &architecture, EXAMPLES, &Device::flex(), DType::F32);
    let mut outputs = vec![Vec::new(); EXAMPLES];
    for member in 0..MEMBERS {
        let network = Network::new(&architecture, UpdateRule::Linear, 1, member, &Device::flex(), DType::F32)?;
        let Trainee { mut model, updater, mut state, .. } =
            Trainee::new(network, (1, member), EXAMPLES, &TrainingConfig::default(), rate);
        for step in 0..STEPS {
            take_step(&mut model, (&data.train, &data.train_targets, Loss::HalfSum), &updater, step, &mut state);
        }
        let found = to_f64(model.forward(&data.train, &mut NoTap));
        outputs.iter_mut().zip(found).for_each(|(members, output)| members.push(output));
    }
    let deviation = |i: usize| Estimate::mean(&outputs[i]).z(answer.outputs[0].mean[(i, 0)]);
    let largest = (0..EXAMPLES).map(|i| deviation(i).abs()).fold(0.0, f64::max);
    println!("mean outputs of {MEMBERS} networks are within {largest:.2} standard errors of theory");
    if largest < 5.0 { Ok(()) } else { Err("the networks do not do what theory says".into()) }
}
