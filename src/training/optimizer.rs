//! Update rules on the parameters of a network. Every rate is the base rate times the layer's factor.

use burn::tensor::Tensor;
use widthwise_theory::architecture::{Scaling, UpdateRule};

use crate::config::{Anchor, L2, Optimizer};
use crate::network::{LayerParameters, from_f64};

/// Which column of the parameterization table an optimizer reads.
pub fn update_rule(optimizer: Optimizer) -> UpdateRule {
    if optimizer.moment_decays().is_some() { UpdateRule::ScaleInvariant } else { UpdateRule::Linear }
}

/// How many moment buffers an optimizer keeps.
pub fn moment_count(optimizer: Optimizer) -> usize {
    if optimizer.moment_decays().is_some() { 2 } else { usize::from(optimizer.velocity_decay().is_some()) }
}

/// State between steps: one buffer a moment, each shaped as the parameters.
#[derive(Debug, Clone)]
pub struct OptimizerState {
    /// Velocity, or first and second moments.
    pub moments: Vec<Vec<LayerParameters>>,
}

impl OptimizerState {
    /// Zeros.
    pub fn new(optimizer: Optimizer, parameters: &[LayerParameters]) -> Self {
        let zeros = || parameters.iter().map(|p| p.map(Tensor::zeros_like)).collect();
        Self { moments: (0..moment_count(optimizer)).map(|_| zeros()).collect() }
    }
}

/// One update rule with its constants.
#[derive(Debug, Clone)]
pub struct Updater {
    /// The rule.
    pub optimizer: Optimizer,
    /// Base learning rate.
    pub learning_rate: f64,
    /// Penalty.
    pub l2: L2,
    /// Initial parameters, if the penalty pulls to them.
    pub anchor: Option<Vec<LayerParameters>>,
}

impl Updater {
    /// Moves `parameters` down `gradients`; `step` counts from 1.
    pub fn update(
        &self,
        step: u64,
        parameters: &mut [LayerParameters],
        gradients: Vec<LayerParameters>,
        scalings: &[Scaling],
        state: &mut OptimizerState,
    ) {
        let corrections = self.corrections(step, parameters);
        for (index, (parameter, gradient)) in parameters.iter_mut().zip(gradients).enumerate() {
            let anchor = self.anchor.as_ref().map(|anchor| &anchor[index]);
            let mut moments: Vec<&mut LayerParameters> = state.moments.iter_mut().map(|m| &mut m[index]).collect();
            let rate = self.learning_rate * scalings[index].weight_rate;
            let gradient_weight = self.penalized(gradient.weight, &parameter.weight, anchor.map(|a| &a.weight));
            let weights: Vec<&mut Tensor<2>> = moments.iter_mut().map(|m| &mut m.weight).collect();
            self.step(rate, &corrections, &mut parameter.weight, gradient_weight, weights);
            if let (Some(bias), Some(gradient)) = (&mut parameter.bias, gradient.bias) {
                let rate = self.learning_rate * scalings[index].bias_rate;
                let gradient = self.penalized(gradient, bias, anchor.and_then(|a| a.bias.as_ref()));
                let biases: Vec<&mut Tensor<2>> = moments.iter_mut().filter_map(|m| m.bias.as_mut()).collect();
                self.step(rate, &corrections, bias, gradient, biases);
            }
        }
    }

    /// `1 - beta^step`, by which Adam divides its moments, `[1, 1]` each; nothing for other rules. As numbers they would be sent to a
    /// GPU with every launch of a kernel that reads them; as tensors they are sent once a step.
    fn corrections(&self, step: u64, parameters: &[LayerParameters]) -> Vec<Tensor<2>> {
        let Some(decays) = self.optimizer.moment_decays() else { return Vec::new() };
        let Some(LayerParameters { weight, .. }) = parameters.first() else { return Vec::new() };
        let values = decays.map(|beta| 1.0 - beta.powf(step as f64));
        let both = from_f64(values.to_vec(), [2, 1], &weight.device(), weight.dtype());
        vec![both.clone().narrow(0, 0, 1), both.narrow(0, 1, 1)]
    }

    fn penalized(&self, gradient: Tensor<2>, parameter: &Tensor<2>, anchor: Option<&Tensor<2>>) -> Tensor<2> {
        if self.l2.strength == 0.0 {
            return gradient;
        }
        let pull = match (self.l2.toward, anchor) {
            (Anchor::Init, Some(anchor)) => parameter.clone() - anchor.clone(),
            _ => parameter.clone(),
        };
        gradient + pull.mul_scalar(self.l2.strength)
    }

    fn step(
        &self,
        rate: f64,
        corrections: &[Tensor<2>],
        parameter: &mut Tensor<2>,
        gradient: Tensor<2>,
        mut moments: Vec<&mut Tensor<2>>,
    ) {
        match self.optimizer {
            Optimizer::GradientDescent {} => parameter.inplace(|p| p - gradient.mul_scalar(rate)),
            Optimizer::Momentum { beta } => {
                moments[0].inplace(|v| v.mul_scalar(beta) - gradient.mul_scalar(rate));
                parameter.inplace(|p| p + moments[0].clone());
            }
            Optimizer::Nesterov { beta } => {
                let push = gradient.mul_scalar(rate);
                moments[0].inplace(|v| v.mul_scalar(beta) - push.clone());
                parameter.inplace(|p| p + moments[0].clone().mul_scalar(beta) - push);
            }
            Optimizer::Adam { beta1, beta2, epsilon } => {
                adam(rate, [beta1, beta2, epsilon], corrections, parameter, gradient, &mut moments);
            }
            Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
                parameter.inplace(|p| p.mul_scalar(1.0 - rate * weight_decay));
                adam(rate, [beta1, beta2, epsilon], corrections, parameter, gradient, &mut moments);
            }
        }
    }
}

/// Kingma and Ba 2015 (1412.6980), algorithm 1.
fn adam(
    rate: f64,
    [beta1, beta2, epsilon]: [f64; 3],
    corrections: &[Tensor<2>],
    parameter: &mut Tensor<2>,
    gradient: Tensor<2>,
    moments: &mut [&mut Tensor<2>],
) {
    moments[0].inplace(|m| m.mul_scalar(beta1) + gradient.clone().mul_scalar(1.0 - beta1));
    moments[1].inplace(|v| v.mul_scalar(beta2) + gradient.square().mul_scalar(1.0 - beta2));
    let corrected = |moment: usize| moments[moment].clone() / corrections[moment].clone();
    let (first, root) = (corrected(0), corrected(1).sqrt());
    parameter.inplace(|p| p - first.mul_scalar(rate) / root.add_scalar(epsilon));
}
