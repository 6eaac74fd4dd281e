//! [`Activation`] on tensors: the second interpreter of the formulas that theory integrates.

use std::collections::HashMap;

use burn::backend::Flex;
use burn::tensor::{DType, Tensor, TensorData, activation};
use widthwise_tensors::Number;
use widthwise_theory::activation::Activation;
use widthwise_theory::activation::formula::{Elementary, Formula, FormulaNode};

use crate::host::tanh::tanh_each;

/// `phi(z)`, elementwise.
pub(crate) fn value(function: &Activation, z: Tensor<2>) -> Tensor<2> {
    evaluate(&function.formula(), z)
}

/// `phi'(z)`, elementwise; at a kink as automatic differentiation has it.
pub(crate) fn derivative(function: &Activation, z: Tensor<2>) -> Tensor<2> {
    evaluate(&function.derivative_formula(), z)
}

/// `phi''(z)`, elementwise, 0 at kinks and jumps; `None` where it vanishes altogether.
pub(super) fn second_derivative(function: &Activation, z: Tensor<2>) -> Option<Tensor<2>> {
    let formula = function.derivative_formula().derivative();
    match (Interpreter { input: z.clone(), shared: HashMap::new() }).part(&formula) {
        FormulaPart::Tensor(result) => Some(result),
        FormulaPart::Number(c) => (c != 0.0).then(|| z.ones_like().mul_scalar(c)),
    }
}

/// `phi'(z) * v` for copy-major cotangents `[k N, features]`.
pub(super) fn pull_back(function: &Activation, cotangents: Tensor<2>, z: &Tensor<2>) -> Tensor<2> {
    if *function == Activation::Identity {
        return cotangents;
    }
    let ([rows, features], n) = (cotangents.dims(), z.dims()[0]);
    let slope = derivative(function, z.clone()).reshape([1, n, features]);
    (cotangents.reshape([rows / n, n, features]) * slope).reshape([rows, features])
}

/// The formula at every entry of `z`.
fn evaluate(formula: &Formula, z: Tensor<2>) -> Tensor<2> {
    match (Interpreter { input: z.clone(), shared: HashMap::new() }).part(formula) {
        FormulaPart::Tensor(result) => result,
        FormulaPart::Number(c) => z.ones_like().mul_scalar(c),
    }
}

/// What a part of a formula comes to.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "a few at a time, on the stack")]
enum FormulaPart {
    Number(f64),
    Tensor(Tensor<2>),
}

struct Interpreter {
    input: Tensor<2>,
    /// Parts that occur more than once, by their address.
    shared: HashMap<*const FormulaNode, FormulaPart>,
}

impl Interpreter {
    fn part(&mut self, formula: &Formula) -> FormulaPart {
        if let Some(known) = self.shared.get(&formula.identity()) {
            return known.clone();
        }
        let part =
            match formula.operation() {
                FormulaNode::Input => FormulaPart::Tensor(self.input.clone()),
                FormulaNode::Constant(c) => FormulaPart::Number(*c),
                FormulaNode::Sum(left, right) => match (self.part(left), self.part(right)) {
                    (FormulaPart::Number(left), FormulaPart::Number(right)) => FormulaPart::Number(left + right),
                    (FormulaPart::Number(c), FormulaPart::Tensor(t))
                    | (FormulaPart::Tensor(t), FormulaPart::Number(c)) => FormulaPart::Tensor(t.add_scalar(c)),
                    (FormulaPart::Tensor(left), FormulaPart::Tensor(right)) => FormulaPart::Tensor(left + right),
                },
                FormulaNode::Product(left, right) => match (self.part(left), self.part(right)) {
                    (FormulaPart::Number(left), FormulaPart::Number(right)) => FormulaPart::Number(left * right),
                    (FormulaPart::Number(c), FormulaPart::Tensor(t))
                    | (FormulaPart::Tensor(t), FormulaPart::Number(c)) => FormulaPart::Tensor(t.mul_scalar(c)),
                    (FormulaPart::Tensor(left), FormulaPart::Tensor(right)) => FormulaPart::Tensor(left * right),
                },
                FormulaNode::Power(base, exponent) => match self.part(base) {
                    FormulaPart::Number(c) => FormulaPart::Number(c.powi(*exponent as i32)),
                    FormulaPart::Tensor(t) => FormulaPart::Tensor(power(t, *exponent)),
                },
                FormulaNode::Apply(function, argument) => match self.part(argument) {
                    FormulaPart::Number(c) => FormulaPart::Number(function.evaluate(c)),
                    FormulaPart::Tensor(t) => FormulaPart::Tensor(apply(*function, t)),
                },
            };
        if formula.is_shared() {
            self.shared.insert(formula.identity(), part.clone());
        }
        part
    }
}

/// By repeated squaring: a power with a real exponent would fail below zero.
fn power(base: Tensor<2>, exponent: u32) -> Tensor<2> {
    match exponent {
        0 => base.ones_like(),
        1 => base,
        _ if exponent.is_multiple_of(2) => power(base.square(), exponent / 2),
        _ => base.clone() * power(base, exponent - 1),
    }
}

fn apply(function: Elementary, u: Tensor<2>) -> Tensor<2> {
    match function {
        Elementary::Negate => u.neg(),
        Elementary::Reciprocal => u.recip(),
        Elementary::Exp => u.exp(),
        Elementary::Log1p => u.log1p(),
        Elementary::Tanh => tanh(u),
        Elementary::Sigmoid => activation::sigmoid(u),
        Elementary::Softplus => activation::relu(u.clone()) + u.abs().neg().exp().log1p(),
        Elementary::Erf => u.erf(),
        Elementary::Sin => u.sin(),
        Elementary::Cos => u.cos(),
        Elementary::Relu => activation::relu(u),
        Elementary::Abs => u.abs(),
        Elementary::Step => u.ones_like().mask_fill(u.lower_equal_elem(0.0), 0.0),
        Elementary::Sign => u.sign(),
    }
}

/// In f32 on the CPU, where there is no graph, by the function of training steps; else Burn's.
fn tanh(u: Tensor<2>) -> Tensor<2> {
    let is_on_host = u.dtype() == DType::F32 && u.clone().try_into_primitive::<Flex>().is_ok();
    if !is_on_host {
        return u.tanh();
    }
    let (shape, device) = (u.dims(), u.device());
    let mut numbers = f32::pull(u);
    tanh_each(&mut numbers);
    Tensor::from_data(TensorData::new(numbers, shape), (&device, DType::F32))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use widthwise_theory::activation::{Expression, one_of_each};

    use super::*;

    fn members() -> Vec<Activation> {
        let expression = |text| Activation::Expression { formula: Expression::parse(text).unwrap() };
        let mut found = one_of_each().unwrap();
        found.extend(["x * sigmoid(1.702 * x) / (1 + x^2)", "max(x - 0.3, 0)^3 - 0.3 * abs(x + 1)"].map(expression));
        found.push(Activation::Hermite { degree: 5 });
        found
    }

    #[test]
    fn tensors_hold_what_theory_integrates() {
        let points = vec![-8.0, -2.5, -1.0, -0.4, 0.0, 0.2, 0.7, 1.0, 3.3, 8.0];
        let device = Device::flex();
        let data = TensorData::new(points.clone(), [1, points.len()]);
        let z = Tensor::<2>::from_data(data, (&device, DType::F64));
        for phi in members() {
            let seen = |tensor: Tensor<2>| tensor.into_data().convert::<f64>().try_to_vec::<f64>().unwrap();
            let found = seen(value(&phi, z.clone())).into_iter().zip(seen(derivative(&phi, z.clone())));
            for ((value, slope), &x) in found.zip(&points) {
                let expected = [phi.value(x), phi.derivative(x)];
                for (found, expected) in [value, slope].into_iter().zip(expected) {
                    // A few roundings, of cancelling parts as large as |x|.
                    let bound = 16.0 * f64::EPSILON * (1.0 + x.abs() + expected.abs());
                    assert!((found - expected).abs() <= bound, "{phi:?} at {x}: {found} instead of {expected}");
                }
            }
        }
    }

    #[test]
    fn tanh_with_and_without_a_graph_differ_by_a_few_last_places() {
        let points: Vec<f32> = (-2000..2000).map(|i| 0.0043 * i as f32).collect();
        let data = TensorData::new(points, [4, 1000]);
        let [plain, graphed] = [Device::flex(), Device::flex().autodiff()].map(|device| {
            let z = Tensor::<2>::from_data(data.clone(), (&device, DType::F32));
            f32::pull(value(&Activation::Tanh, z))
        });
        for (plain, graphed) in plain.into_iter().zip(graphed) {
            // 1.34 last places of one and 2.2 of the other, of numbers up to 1.
            assert!((plain - graphed).abs() <= 4.0 * f32::EPSILON * plain.abs(), "{plain} {graphed}");
        }
    }
}
