//! Formulas as users write them: `x * sigmoid(1.702 * x)`, `max(x, 0)^2`.
//!
//! ```text
//! sum     = product { ("+" | "-") product }
//! product = factor { ("*" | "/") factor }
//! factor  = ("-" | "+") factor | power
//! power   = atom [ "^" whole number ]
//! atom    = number | "x" | "pi" | name "(" sum { "," sum } ")" | "(" sum ")"
//! ```

use thiserror::Error;

use super::formula::{Elementary, Formula, constant, input};

/// Parentheses, functions and signs inside of one another.
const MAX_NESTING: usize = 64;
/// Operations of one formula.
const MAX_OPERATIONS: usize = 1000;
/// Largest exponent.
const MAX_EXPONENT: u32 = 64;

/// What a formula may be made of.
const ALLOWED: &str = "numbers, x, pi, + - * / ^, parentheses and the functions exp, log1p, tanh, sigmoid, softplus, silu, gelu, \
                       erf, sin, cos, relu, abs, step, sign, max and min";

/// A formula that cannot be read or used.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum FormulaError {
    /// The text is not a formula.
    #[error("column {column}: expected {expected}, found {found}")]
    Syntax {
        /// Character, from 1.
        column: usize,
        /// What would be allowed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Too deep or too long.
    #[error("column {column}: the formula {what}; split or simplify it")]
    TooLarge {
        /// Character, from 1.
        column: usize,
        /// Which limit.
        what: String,
    },
    /// A function that theory cannot integrate.
    #[error("the function {reason}")]
    Unfit {
        /// Why, with the range that is examined.
        reason: String,
    },
}

/// The formula that `text` spells.
///
/// # Errors
/// [`FormulaError`] with the column.
pub(super) fn parse(text: &str) -> Result<Formula, FormulaError> {
    let mut parser = Parser { characters: text.chars().collect(), at: 0, nesting: 0, operations: 0 };
    let formula = parser.sum()?;
    match parser.peek() {
        None => Ok(formula),
        Some(_) => Err(parser.expected("an operator or the end")),
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    nesting: usize,
    operations: usize,
}

impl Parser {
    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        while self.characters.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.characters.get(self.at).copied()
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        self.at += usize::from(found);
        found
    }

    fn require(&mut self, wanted: char) -> Result<(), FormulaError> {
        if self.take(wanted) { Ok(()) } else { Err(self.expected(&format!("'{wanted}'"))) }
    }

    fn expected(&mut self, expected: &str) -> FormulaError {
        let found = self.peek().map_or("the end".to_owned(), |c| format!("'{c}'"));
        FormulaError::Syntax { column: self.at + 1, expected: expected.to_owned(), found }
    }

    fn count(&mut self) -> Result<(), FormulaError> {
        self.operations += 1;
        if self.operations <= MAX_OPERATIONS {
            return Ok(());
        }
        let what = format!("has more than {MAX_OPERATIONS} operations");
        Err(FormulaError::TooLarge { column: self.at, what })
    }

    /// `inside` one level deeper.
    fn nested(&mut self, inside: fn(&mut Self) -> Result<Formula, FormulaError>) -> Result<Formula, FormulaError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            let what = format!("is nested deeper than {MAX_NESTING} levels");
            return Err(FormulaError::TooLarge { column: self.at, what });
        }
        let formula = inside(self);
        self.nesting -= 1;
        formula
    }

    fn sum(&mut self) -> Result<Formula, FormulaError> {
        let mut sum = self.product()?;
        loop {
            if self.take('+') {
                self.count()?;
                sum = sum + self.product()?;
            } else if self.take('-') {
                self.count()?;
                sum = sum - self.product()?;
            } else {
                return Ok(sum);
            }
        }
    }

    fn product(&mut self) -> Result<Formula, FormulaError> {
        let mut product = self.factor()?;
        loop {
            if self.take('*') {
                self.count()?;
                product = product * self.factor()?;
            } else if self.take('/') {
                self.count()?;
                product = product * self.factor()?.reciprocal();
            } else {
                return Ok(product);
            }
        }
    }

    fn factor(&mut self) -> Result<Formula, FormulaError> {
        if self.take('-') {
            self.count()?;
            return Ok(-self.nested(Self::factor)?);
        }
        if self.take('+') {
            return self.nested(Self::factor);
        }
        let base = self.atom()?;
        if !self.take('^') {
            return Ok(base);
        }
        self.count()?;
        self.peek();
        let column = self.at;
        let digits = self.word(|c| c.is_ascii_digit() || c == '.');
        match digits.parse() {
            Ok(exponent @ 0..=MAX_EXPONENT) => Ok(base.powi(exponent)),
            _ => {
                self.at = column;
                Err(self.expected(&format!("a whole exponent from 0 to {MAX_EXPONENT}")))
            }
        }
    }

    /// Characters from here on that are `allowed`.
    fn word(&mut self, allowed: impl Fn(char) -> bool) -> String {
        let word: String = self.characters[self.at..].iter().take_while(|c| allowed(**c)).collect();
        self.at += word.chars().count();
        word
    }

    fn atom(&mut self) -> Result<Formula, FormulaError> {
        match self.peek() {
            Some('(') => {
                self.at += 1;
                let inside = self.nested(Self::sum)?;
                self.require(')')?;
                Ok(inside)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_ascii_alphabetic() => self.name(),
            _ => Err(self.expected("a number, x, a function or '('")),
        }
    }

    fn number(&mut self) -> Result<Formula, FormulaError> {
        let start = self.at;
        let mut digits = self.word(|c| c.is_ascii_digit() || c == '.');
        let next = |offset: usize| self.characters.get(self.at + offset).copied();
        let signed = matches!(next(1), Some('+' | '-'));
        if matches!(next(0), Some('e' | 'E')) && next(1 + usize::from(signed)).is_some_and(|c| c.is_ascii_digit()) {
            digits.extend(&self.characters[self.at..self.at + 1 + usize::from(signed)]);
            self.at += 1 + usize::from(signed);
            digits += &self.word(|c| c.is_ascii_digit());
        }
        match digits.parse() {
            Ok(value) if f64::is_finite(value) => Ok(constant(value)),
            _ => {
                self.at = start;
                Err(FormulaError::Syntax { column: start + 1, expected: "a finite number".to_owned(), found: digits })
            }
        }
    }

    fn name(&mut self) -> Result<Formula, FormulaError> {
        let start = self.at;
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        match name.as_str() {
            "x" => return Ok(input()),
            "pi" => return Ok(constant(std::f64::consts::PI)),
            _ => {}
        }
        if !matches!(name.as_str(), "max" | "min" | "silu" | "gelu") && elementary(&name).is_none() {
            return Err(FormulaError::Syntax { column: start + 1, expected: ALLOWED.to_owned(), found: name });
        }
        self.count()?;
        self.require('(')?;
        let u = self.nested(Self::sum)?;
        let formula = match name.as_str() {
            "max" | "min" => {
                self.require(',')?;
                let v = self.nested(Self::sum)?;
                // max(u, v) = v + relu(u - v), and min(u, v) = v - relu(v - u).
                if name == "max" { v.clone() + (u - v).relu() } else { v.clone() - (v - u).relu() }
            }
            "silu" => u.clone() * u.sigmoid(),
            "gelu" => super::gelu::of(u),
            _ => elementary(&name).map_or(constant(0.0), |function| u.apply(function)),
        };
        self.require(')')?;
        Ok(formula)
    }
}

fn elementary(name: &str) -> Option<Elementary> {
    Some(match name {
        "exp" => Elementary::Exp,
        "log1p" => Elementary::Log1p,
        "tanh" => Elementary::Tanh,
        "sigmoid" => Elementary::Sigmoid,
        "softplus" => Elementary::Softplus,
        "erf" => Elementary::Erf,
        "sin" => Elementary::Sin,
        "cos" => Elementary::Cos,
        "relu" => Elementary::Relu,
        "abs" => Elementary::Abs,
        "step" => Elementary::Step,
        "sign" => Elementary::Sign,
        _ => return None,
    })
}
