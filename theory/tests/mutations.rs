//! Damaged formulas: an error in a sentence or a formula, never a panic.

use widthwise_theory::activation::Expression;

#[path = "../../tests/mutator/mod.rs"]
mod mutator;

const FORMULAS: [&str; 8] = [
    "x * sigmoid(1.702 * x)",
    "max(x, 0)^2 - 0.5",
    "tanh(0.7 * x + 0.1) / (1 + exp(-x))",
    "sin(2 * x) * erf(x) + cos(pi * x)",
    "min(relu(x), abs(x - 1)) + step(x) * sign(x)",
    "-(-(x + 3.5e-1)^3) * gelu(x)",
    "softplus(x) - silu(x) + log1p(x^2)",
    "((((x))))",
];

#[test]
fn damaged_formulas_are_refused_in_a_sentence_or_mean_something() {
    let valid: Vec<Vec<u8>> = FORMULAS.map(|formula| formula.as_bytes().to_vec()).to_vec();
    mutator::survive("formulas", 14, 4000, &valid, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let formula = Expression::parse(&text).map_err(|error| error.to_string())?;
        // What is accepted can be written and read again.
        assert_eq!(Expression::parse(formula.text()).unwrap().text(), formula.text());
        Ok(())
    });
}
