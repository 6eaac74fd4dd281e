//! A probe of one's own on a network under training: the share of units of every hidden layer that are active.

use widthwise::prelude::*;

/// It may see traces and pullbacks, and serves every kind of network.
fn active_share(network: &impl Observed, layer: usize) -> f64 {
    let states = to_f64(network.preactivations(layer));
    states.iter().filter(|state| **state > 0.0).count() as f64 / states.len() as f64
}

struct Shares<'a>(&'a Data);

impl Observer for Shares<'_> {
    fn probe(&mut self, trainee: &Trainee, _: bool) -> widthwise::Result<Evaluation> {
        let seen = Observation::new(&trainee.model, &self.0.probe);
        let shares: Vec<f64> = (1..seen.layers()).map(|layer| active_share(&seen, layer)).collect();
        println!("step {:3}: active units {shares:.3?}", trainee.step);
        Ok(evaluate(&trainee.model, self.0, Loss::HalfSum))
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let inputs = (0..40).map(|i| f64::from(i).cos()).collect();
    let arrays = Arrays::new(inputs, (0..20).map(|i| f64::from(i % 3) - 1.0).collect(), 20)?;
    let config = NetworkConfig { width: 64, ..NetworkConfig::default() };
    let architecture = build_architecture(&config, arrays.shape(), arrays.outputs(), None)?;
    let data = Data::new(&arrays.prepared(), &architecture, 20, &Device::flex(), DType::F32);
    let network = Network::new(&architecture, UpdateRule::Linear, 3, 0, &Device::flex(), DType::F32)?;
    let mut trainee = Trainee::new(network, (3, 0), 20, &TrainingConfig::default(), 2e-3);
    let probe_steps = ProbeSteps::new(Schedule::Every(50), 200);
    let plan = TrainingPlan::new(Loss::HalfSum, (&data.train, &data.train_targets), &probe_steps, 200);
    let outcome = train(&mut trainee, &plan, &mut Shares(&data))?;
    if outcome == Outcome::Finished { Ok(()) } else { Err("training did not end as planned".into()) }
}
