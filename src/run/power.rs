//! What a run would have noticed: the probability with which each of the deliberate errors would have been rejected, had theory been right but for
//! it, and the verdict of every claim under every one of them.
//!
//! An error moves the difference of a claim by a number of standard errors that theory gives, and the law of the difference gives the probability
//! that it is rejected. The level is the strictest that Holm's procedure asks for, one claim of them all, and of the required claims the one
//! that sees the error best counts alone: both make the probability smaller than it is. Standard errors are those of the run: where they are of few
//! members, small probabilities come out too large.

use std::path::Path;

use widthwise_statistics::judge::Sides;

use super::ensemble::{self, KernelSource};
use crate::comparison::{claim_of, law, p_value, sides};
use crate::config::{Checked, ControlConfig};
use crate::error::Result;
use crate::prediction::{Theory, has_control};
use crate::record::row::Row;
use crate::session::Session;
use crate::verdict::Verdict;

/// Probability from which on an error counts as noticed.
pub const NOTICED: f64 = 0.9;

/// Sizes of errors, as shares, at which probabilities are given.
pub const SIZES: [f64; 4] = [0.01, 0.02, 0.05, 0.1];

/// Halvings of the interval in which the smallest noticed error is searched for, in powers of ten from a thousandth to one.
const HALVINGS: usize = 10;

/// A kind of deliberate error, and how large it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mistake {
    /// Theory sees sigma_w2 times this factor.
    SigmaW2(f64),
    /// Theory sees time times this factor.
    Time(f64),
    /// Theory forgets the biases.
    DropBias,
    /// Theory takes the NNGP kernel for the NTK.
    NngpForNtk,
}

impl Mistake {
    /// All kinds, at several sizes.
    pub fn all() -> Vec<Self> {
        let factors = [0.9, 0.95, 0.98, 0.99, 1.01, 1.02, 1.05, 1.1];
        let sigma_w2 = factors.map(Self::SigmaW2);
        let time = [0.5, 0.9, 0.95, 1.05, 1.1, 2.0].map(Self::Time);
        sigma_w2.into_iter().chain(time).chain([Self::DropBias, Self::NngpForNtk]).collect()
    }

    /// Its configuration.
    pub fn control(self) -> ControlConfig {
        let none = ControlConfig::default();
        match self {
            Self::SigmaW2(sigma_w2_factor) => ControlConfig { sigma_w2_factor, ..none },
            Self::Time(time_factor) => ControlConfig { time_factor, ..none },
            Self::DropBias => ControlConfig { drop_bias: true, ..none },
            Self::NngpForNtk => ControlConfig { nngp_for_ntk: true, ..none },
        }
    }

    /// As the option `--control` takes it.
    pub fn name(self) -> String {
        match self {
            Self::SigmaW2(factor) => format!("sigma-w2-factor={factor}"),
            Self::Time(factor) => format!("time-factor={factor}"),
            Self::DropBias => "drop-bias".to_owned(),
            Self::NngpForNtk => "nngp-for-ntk".to_owned(),
        }
    }
}

/// The chance to notice errors of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerRow {
    /// What is wrong, in words; the size follows where it has one.
    pub mistake: &'static str,
    /// Smallest share that is noticed with probability [`NOTICED`]; `None` where none is, or where the error has no size.
    pub smallest: Option<f64>,
    /// Probabilities at [`SIZES`], or the one of an error without size.
    pub probabilities: Vec<f64>,
    /// Name, layers and step of the claim that sees the smallest noticed error best, or else the largest of these sizes.
    pub seen_by: String,
}

/// What a run would have noticed.
#[derive(Debug, Clone, PartialEq)]
pub struct PowerReport {
    /// Claims that were tested together.
    pub claims: usize,
    /// Level of one of them.
    pub level: f64,
    /// A kind of error each.
    pub rows: Vec<PowerRow>,
}

/// One claim under every mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct MutationRow {
    /// The claim's name.
    pub claim: String,
    /// Its row, judged without a mistake.
    pub row: Row,
    /// Its verdict under each of the mistakes.
    pub verdicts: Vec<Option<Verdict>>,
}

/// Every claim under every mistake.
#[derive(Debug, Clone, PartialEq)]
pub struct Mutations {
    /// The mistakes that change something for this network.
    pub mistakes: Vec<Mistake>,
    /// A claim each.
    pub rows: Vec<MutationRow>,
    /// What the required claims come to under each.
    pub verdicts: Vec<Verdict>,
}

/// A run whose members are held against theory again and again.
pub(super) struct Rejudged<'a> {
    folder: &'a Path,
    session: &'a Session<'a>,
    learning_rate: f64,
}

/// What finds the row of the same claim in another judgement.
type Place<'a> = (&'a str, Option<usize>, Option<usize>, u64);

fn place(row: &Row) -> Place<'_> {
    (&row.quantity, row.layer_from, row.layer, row.step)
}

pub(super) fn steps_of(rows: &[Row]) -> Vec<u64> {
    let mut steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
    steps.sort_unstable();
    steps.dedup();
    steps
}

impl<'a> Rejudged<'a> {
    pub(super) fn new(folder: &'a Path, session: &'a Session<'a>, learning_rate: f64) -> Self {
        Self { folder, session, learning_rate }
    }

    /// The ensemble's rows, judged with this error in theory.
    pub(super) fn rows(&self, control: &ControlConfig) -> Result<Vec<Row>> {
        let mut experiment = Checked::clone(self.session.experiment).into_inner();
        experiment.control = control.clone();
        let experiment = Checked::new(experiment)?;
        let Session { architecture, prepared, .. } = self.session;
        let theory = Theory::new(&experiment, architecture, prepared, self.learning_rate)?;
        ensemble::rows(self.folder, self.session, &theory, KernelSource::ComparedAgain)
    }

    fn has_effect(&self, control: &ControlConfig) -> bool {
        has_control(control, &self.session.architecture)
    }

    /// Claims of these rows that decide, or all where none does.
    fn deciding<'r>(&self, rows: &'r [Row]) -> Vec<(&'static str, &'r Row)> {
        let steps = steps_of(rows);
        let named: Vec<_> = rows.iter().filter_map(|row| Some((claim_of(row, &steps)?, row))).collect();
        let required = &self.session.experiment.claims.required;
        let is_required = |name: &str| required.iter().any(|required| required == name);
        if named.iter().any(|(name, _)| is_required(name)) {
            named.into_iter().filter(|(name, _)| is_required(name)).collect()
        } else {
            named
        }
    }

    /// The chance to notice each kind of error. With `members` other than the run's, standard errors are scaled to as many.
    pub(super) fn power(&self, members: usize) -> Result<PowerReport> {
        let base = self.rows(&ControlConfig::default())?;
        let (claims, level) = self.level(&base);
        let deciding = self.deciding(&base);
        let best = |mistake: Mistake| self.best(&deciding, mistake, level, members);
        let mut rows = Vec::new();
        type Sized = (&'static str, fn(f64) -> Mistake);
        let sized: [Sized; 4] = [
            ("sigma_w2 too large", |share| Mistake::SigmaW2(1.0 + share)),
            ("sigma_w2 too small", |share| Mistake::SigmaW2(1.0 - share)),
            ("time too long", |share| Mistake::Time(1.0 + share)),
            ("time too short", |share| Mistake::Time(1.0 - share)),
        ];
        for (mistake, of) in sized {
            if self.session.last_step == 0 && matches!(of(0.5), Mistake::Time(_)) {
                continue;
            }
            let found: Vec<(f64, String)> = SIZES.iter().map(|&size| best(of(size))).collect::<Result<_>>()?;
            let smallest = smallest(|share| Ok(best(of(share))?.0))?;
            let seen_by = match smallest {
                Some(share) => best(of(share))?.1,
                None => found.last().map(|(_, seen_by)| seen_by.clone()).unwrap_or_default(),
            };
            let probabilities = found.into_iter().map(|(power, _)| power).collect();
            rows.push(PowerRow { mistake, smallest, probabilities, seen_by });
        }
        for (words, mistake) in [("no biases", Mistake::DropBias), ("the NNGP kernel for the NTK", Mistake::NngpForNtk)]
        {
            if self.has_effect(&mistake.control()) {
                let (power, seen_by) = best(mistake)?;
                rows.push(PowerRow { mistake: words, smallest: None, probabilities: vec![power], seen_by });
            }
        }
        Ok(PowerReport { claims, level, rows })
    }

    /// The chance to notice one mistake.
    pub(super) fn chance(&self, mistake: Mistake) -> Result<f64> {
        let base = self.rows(&ControlConfig::default())?;
        let level = self.level(&base).1;
        Ok(self.best(&self.deciding(&base), mistake, level, self.session.experiment.run.members)?.0)
    }

    /// How many claims are tested, and the level of each.
    fn level(&self, base: &[Row]) -> (usize, f64) {
        let steps = steps_of(base);
        let tested = |row: &&Row| claim_of(row, &steps).is_some() && p_value(row).is_some();
        let claims = base.iter().filter(tested).count();
        (claims, self.session.experiment.claims.significance / claims.max(1) as f64)
    }

    /// The largest chance of one of these claims to notice a mistake, and which it is.
    fn best(&self, deciding: &[(&str, &Row)], mistake: Mistake, level: f64, members: usize) -> Result<(f64, String)> {
        let altered = self.rows(&mistake.control())?;
        let here = self.session.experiment.run.members;
        let scale = (members as f64 / here as f64).sqrt();
        let mut found = (0.0, String::new());
        for (name, row) in deciding {
            let other = altered.iter().find(|other| place(other) == place(row));
            let moved = other.and_then(|other| shift(row, other)).zip(law(row));
            let Some((shift, law)) = moved else { continue };
            let power = law.of_as_many(members, here).power(shift * scale, level, sides(row));
            if power > found.0 {
                found = (power, at(name, row));
            }
        }
        Ok(found)
    }

    /// Every claim under every mistake that changes anything.
    pub(super) fn mutations(&self) -> Result<Mutations> {
        let base = self.rows(&ControlConfig::default())?;
        let steps = steps_of(&base);
        let is_timed = |mistake: &Mistake| self.session.last_step > 0 || !matches!(mistake, Mistake::Time(_));
        let mistakes: Vec<Mistake> = Mistake::all()
            .into_iter()
            .filter(|mistake| is_timed(mistake) && self.has_effect(&mistake.control()))
            .collect();
        let altered: Vec<Vec<Row>> =
            mistakes.iter().map(|mistake| self.rows(&mistake.control())).collect::<Result<_>>()?;
        let under = |row: &Row| -> Vec<Option<Verdict>> {
            let of = |rows: &Vec<Row>| rows.iter().find(|other| place(other) == place(row))?.verdict;
            altered.iter().map(of).collect()
        };
        let verdicts = altered
            .iter()
            .map(|rows| Verdict::of_all(self.deciding(rows).iter().filter_map(|(_, row)| row.verdict)))
            .collect();
        let rows = base
            .iter()
            .filter_map(|row| {
                let claim = claim_of(row, &steps)?.to_owned();
                Some(MutationRow { claim, row: row.clone(), verdicts: under(row) })
            })
            .collect();
        Ok(Mutations { mistakes, rows, verdicts })
    }
}

/// How many standard errors a mistake moves a claim: from theory as it is to theory as it was changed. The error is that of the changed
/// difference: what is wrong by a share of a member's own prediction spreads over members too.
fn shift(row: &Row, altered: &Row) -> Option<f64> {
    let difference = |row: &Row| Some(row.measured? - row.predicted?);
    let error = altered.std_error.filter(|error| *error > 0.0)?;
    let moved = difference(altered)? - difference(row)?;
    let where_it_is = match sides(row) {
        Sides::Two => 0.0,
        // Below its bound a number has room to move.
        Sides::Upper => difference(row)?.min(0.0),
    };
    Some((moved + where_it_is) / error)
}

/// `ntk_mean_diagonal at step 200`, `weight_variance of layer 2`.
pub(super) fn at(claim: &str, row: &Row) -> String {
    let layers = match (row.layer_from, row.layer) {
        (Some(from), Some(layer)) => format!(" of layers {from} and {layer}"),
        (_, Some(layer)) => format!(" of layer {layer}"),
        _ => String::new(),
    };
    format!("{claim}{layers} at step {}", row.step)
}

/// The smallest share from which on `power` is [`NOTICED`], in powers of ten from a thousandth to one.
fn smallest(power: impl Fn(f64) -> Result<f64>) -> Result<Option<f64>> {
    // Not every error is seen the better the larger it is: of time far too short little is left to compare. Nor can theory be asked about an error of all of it.
    let mut high = None;
    for exponent in [-1.0, -0.7, -0.3, -0.01] {
        if power(10f64.powf(exponent))? >= NOTICED {
            high = Some(exponent);
            break;
        }
    }
    let (mut low, Some(mut high)) = (-3.0, high) else { return Ok(None) };
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if power(10f64.powf(middle))? < NOTICED { low = middle } else { high = middle }
    }
    Ok(Some(10f64.powf(high)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_error_is_where_the_power_rises() {
        let found = smallest(|share| Ok(if share < 0.03 { 0.1 } else { 0.95 })).unwrap().unwrap();
        // Between 0.03 and one halving of the interval above it.
        assert!((0.03..0.03 * 10f64.powf(2.0 / 1024.0) * (1.0 + 1e-9)).contains(&found), "{found}");
        let falling = smallest(|share| Ok(if (0.03..0.3).contains(&share) { 0.95 } else { 0.0 })).unwrap().unwrap();
        assert!((0.03..0.031).contains(&falling), "{falling}");
        let large = smallest(|share| Ok(if share > 0.4 { 1.0 } else { 0.0 })).unwrap().unwrap();
        assert!((0.4..0.41).contains(&large), "{large}");
        assert_eq!(smallest(|_| Ok(0.5)).unwrap(), None);
    }

    #[test]
    fn mistakes_are_named_as_they_are_typed() {
        assert_eq!(Mistake::SigmaW2(1.02).name(), "sigma-w2-factor=1.02");
        let none = ControlConfig::default();
        for mistake in Mistake::all() {
            assert_ne!(mistake.control(), none, "{mistake:?}");
        }
    }
}
