//! Measured against predicted over an ensemble: discrepancy, standard error, z and verdict.
//!
//! Every member gives a difference `d = measured - predicted`, the prediction being that member's own where it depends on the
//! member's initial outputs; the ensemble gives the mean of d, its standard error `s/sqrt(M)` and a Student-t p-value
//! with M - 1 degrees of freedom. The p-values of all claims of a run are corrected together (Holm 1979).

use widthwise_statistics::judge::{Sides, holm, is_resolved};
use widthwise_statistics::{Estimate, NullLaw, Verdict, beyond_round_off, controlled_mean};

use crate::config::ClaimsConfig;
use crate::quantity::{ClaimScale, Quantity, When};
use crate::record::row::Row;

/// A mean over members next to its prediction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// Mean of the measured values.
    pub measured: f64,
    /// Standard error of the mean difference, or of `measured` without a prediction; `None` for one member.
    pub std_error: Option<f64>,
    /// Mean of the predictions.
    pub predicted: Option<f64>,
}

impl Comparison {
    /// Compares values of members with their predictions, if all have one.
    pub fn over_members(values: &[(f64, Option<f64>)]) -> Self {
        let n = values.len() as f64;
        let measured = values.iter().map(|(measured, _)| measured).sum::<f64>() / n;
        let predictions: Option<Vec<f64>> = values.iter().map(|(_, predicted)| *predicted).collect();
        let differences: Vec<f64> = match &predictions {
            Some(predictions) => values.iter().zip(predictions).map(|((measured, _), p)| measured - p).collect(),
            None => values.iter().map(|(measured, _)| *measured).collect(),
        };
        let std_error = Some(Estimate::mean(&differences).std_error).filter(|_| values.len() > 1);
        Self { measured, std_error, predicted: predictions.map(|p| p.iter().sum::<f64>() / n) }
    }

    /// The same with the share of `control` taken off, one number a member of known mean zero; `None` where that is not to be had.
    pub fn controlled(values: &[(f64, Option<f64>)], control: &[f64]) -> Option<Self> {
        let plain = Self::over_members(values);
        let differences: Vec<f64> = values.iter().map(|(value, p)| Some(value - (*p)?)).collect::<Option<_>>()?;
        let Estimate { value, std_error } = controlled_mean(&differences, control)?;
        Some(Self { measured: plain.predicted? + value, std_error: Some(std_error), ..plain })
    }

    /// `(measured - predicted) / std_error` of numbers computed with this `epsilon`; `None` where members differ by no more than
    /// round-off, which is no sample of anything.
    pub fn z(&self, epsilon: f64) -> Option<f64> {
        let predicted = self.predicted?;
        let std_error = beyond_round_off(self.std_error?, self.measured.abs().max(predicted.abs()), epsilon)?;
        Some((self.measured - predicted) / std_error)
    }
}

/// How the errors of rows were found whose noise was taken off by another number, which is named in parentheses.
pub(crate) const CONTROLLED: &str = "control_variate";

/// How a row is judged.
pub(crate) fn sides(row: &Row) -> Sides {
    if Quantity::is_bounded(&row.quantity) { Sides::Upper } else { Sides::Two }
}

/// Number of members behind an ensemble row (`0..16` is 16).
pub fn member_count(row: &Row) -> Option<usize> {
    let (start, end) = row.members.split_once("..")?;
    end.parse::<usize>().ok()?.checked_sub(start.parse().ok()?)
}

/// The claim that an ensemble row belongs to, if it is one of those that decide a verdict. `steps` are the measured steps.
///
/// Kernels are claimed at the first and the last step, losses at four steps on the way, layers below the readout at step
/// 0: the readout's few outputs are too noisy to tell anything of their own.
pub fn claim_of(row: &Row, steps: &[u64]) -> Option<&'static str> {
    row.predicted?;
    member_count(row)?;
    let (first, last) = (*steps.first()?, *steps.last()?);
    let is_hidden = row.layer.is_some_and(|layer| layer <= row.depth);
    let at_ends = row.step == first || row.step == last;
    let claim = row.quantity.parse::<Quantity>().ok()?.claim()?;
    let is_about = match claim.when {
        When::First => row.step == first,
        When::FirstHidden => row.step == first && is_hidden,
        When::Ends => at_ends,
        When::Last => row.step == last && last > first,
        When::FourSteps => loss_steps(steps).contains(&row.step),
    };
    is_about.then_some(claim.name)
}

/// Four measured steps after the first, spread evenly over the schedule, the last among them.
fn loss_steps(steps: &[u64]) -> Vec<u64> {
    let places = loss_places(steps.len() as u64);
    places.filter_map(|place| steps.get(usize::try_from(place).ok()?).copied()).collect()
}

/// Their places among so many measured steps, the first at 0.
pub fn loss_places(steps: u64) -> impl Iterator<Item = u64> {
    let after = steps.saturating_sub(1);
    (1..=4).filter_map(move |quarter| {
        u64::try_from((quarter * u128::from(after)).div_ceil(4)).ok().filter(|place| *place > 0)
    })
}

/// Fills the verdicts of the ensemble rows: `NoPrediction` without a prediction, a judgement for claims, nothing else.
pub fn judge(rows: &mut [Row], steps: &[u64], config: &ClaimsConfig) {
    let mut claims: Vec<(usize, f64)> = Vec::new();
    for (index, row) in rows.iter_mut().enumerate() {
        row.z = row.z.filter(|z| z.is_finite());
        row.verdict = row.predicted.is_none().then_some(Verdict::NoPrediction);
        if claim_of(row, steps).is_some() {
            row.verdict = Some(Verdict::Undecided);
            if let Some(p) = p_value(row) {
                claims.push((index, p));
            }
        }
    }
    let p_values: Vec<f64> = claims.iter().map(|(_, p)| *p).collect();
    for ((index, _), rejected) in claims.iter().zip(holm(&p_values, config.significance)) {
        let is_sharp =
            tolerance(&rows[*index], rows, config).is_some_and(|tolerance| is_sharp(&rows[*index], tolerance));
        rows[*index].verdict = Some(if rejected {
            Verdict::Disagrees
        } else if is_sharp {
            Verdict::Agrees
        } else {
            Verdict::Undecided
        });
    }
}

/// Standard errors from which on an agreement is no longer told from a disagreement with few members: twice those of [`is_resolved`].
const HARD: f64 = 8.0;

/// That so few members can hardly reject any of so many claims, and how many can; nothing where they can.
pub(crate) fn few_members(members: usize, claims: usize, significance: f64) -> Option<String> {
    let critical = |members: usize| {
        let law = NullLaw::of_members(members)?;
        Some(law.critical(significance / claims.max(1) as f64, Sides::Two)[1])
    };
    let here = critical(members).filter(|critical| *critical > HARD)?;
    let enough = (members + 1..=64).find(|&more| critical(more).is_some_and(|critical| critical <= HARD))?;
    Some(format!(
        "with {members} members all but weight_variance and bias_variance, which have a law of their own, can hardly disagree: it takes {here:.0} standard \
         errors, and less than {HARD:.0} from {enough} members on"
    ))
}

/// P-value of an ensemble row, one-sided where the prediction is a bound.
pub fn p_value(row: &Row) -> Option<f64> {
    law(row)?.p_value(row.z?, sides(row))
}

/// The law of `z` of an ensemble row while theory is right: the one that its error says, or Student's over its members.
pub fn law(row: &Row) -> Option<NullLaw> {
    let members = member_count(row)?;
    match row.se_method.split_once('(') {
        Some((CONTROLLED, _)) => NullLaw::of_members(members.checked_sub(1)?),
        _ => row.se_method.parse().ok().or_else(|| NullLaw::of_members(members)),
    }
}

/// How far a row may lie from its prediction, four standard errors included, to agree; nothing where it is no claim, or has no scale.
pub(crate) fn tolerance(row: &Row, rows: &[Row], config: &ClaimsConfig) -> Option<f64> {
    scale(row, rows).map(|scale| config.resolution * scale)
}

/// The size of which the resolution of a row's claim is a share; nothing where the row that has it is missing.
fn scale(row: &Row, rows: &[Row]) -> Option<f64> {
    let size = match row.quantity.parse::<Quantity>().ok()?.claim()?.scale {
        ClaimScale::Prediction => row.predicted?,
        ClaimScale::Of(quantity) => {
            let place = |row: &Row| (row.step, row.layer_from, row.layer);
            rows.iter().find(|other| place(other) == place(row) && other.quantity == quantity.name())?.predicted?
        }
        ClaimScale::One => 1.0,
    };
    Some(size.abs())
}

/// Whether the agreement of a row means something ([`is_resolved`]).
fn is_sharp(row: &Row, tolerance: f64) -> bool {
    let (Some(value), Some(std_error), Some(predicted)) = (row.measured, row.std_error, row.predicted) else {
        return false;
    };
    is_resolved(Estimate { value, std_error }, predicted, sides(row), tolerance)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::row::RunColumns;

    fn columns() -> RunColumns {
        RunColumns {
            run: String::new(),
            seed: 1,
            dataset: String::new(),
            family: String::new(),
            parameterization: String::new(),
            width: 1,
            depth: 1,
        }
    }

    /// Whatever the members measured, a p-value is one or there is none.
    #[test]
    fn the_smallest_and_largest_numbers_have_a_p_value_or_none() {
        let numbers = [0.0, 5e-324, 1e-320, 1e-300, 1e-160, 1.0, 1e160, 1e300, f64::MAX, f64::INFINITY, f64::NAN];
        let columns = columns();
        for z in numbers.into_iter().flat_map(|z| [z, -z]) {
            for quantity in [Quantity::TrainLoss, Quantity::NtkRelativeChange] {
                for members in ["0..2", "0..3", "0..1000000"] {
                    let mut row = columns.row(members.into(), (0, None), (quantity.name(), ""), (None, None));
                    (row.measured, row.std_error, row.predicted, row.z) = (Some(z), Some(1.0), Some(1.0), Some(z));
                    let p = p_value(&row);
                    assert_eq!(p.is_some(), z.is_finite(), "{z}");
                    assert!(p.is_none_or(|p| (0.0..=1.0).contains(&p)), "{z}: {p:?}");
                    judge(std::slice::from_mut(&mut row), &[0, 1], &ClaimsConfig::default());
                    assert!(row.z.is_none_or(f64::is_finite), "{z}");
                }
            }
        }
    }

    #[test]
    fn predictions_of_members_are_paired() {
        // The members differ by 10, their deviations by 0.2: pairing leaves the small error.
        let compared = Comparison::over_members(&[(1.1, Some(1.0)), (11.3, Some(11.0))]);
        assert!((compared.measured - 6.2).abs() < 1e-12);
        assert!((compared.std_error.unwrap() - 0.1).abs() < 1e-12);
        assert!((compared.z(f64::EPSILON).unwrap() - 2.0).abs() < 1e-10);
        let alone = Comparison::over_members(&[(1.0, Some(2.0))]);
        assert_eq!((alone.std_error, alone.z(f64::EPSILON)), (None, None));
    }

    #[test]
    fn members_that_differ_by_round_off_have_no_z() {
        // Equal members, two that differ in the last place of f32, and of f64, far from their prediction.
        let z = |a: f64, b: f64, epsilon| Comparison::over_members(&[(a, Some(2.0)), (b, Some(2.0))]).z(epsilon);
        let [single, double] = [f64::from(f32::EPSILON), f64::EPSILON];
        assert_eq!(z(1.0, 1.0, double), None);
        assert_eq!(z(1.0, 1.0 + single, single), None);
        assert_eq!(z(1.0, 1.0 + double, double), None);
        assert!(z(1.0, 1.0 + single, double).unwrap() < -1e6, "a spread that f64 resolves");
        assert!(z(1.0, 1.0 + 100.0 * single, single).is_some());
        // Small numbers have small round-off.
        let small = Comparison::over_members(&[(0.0, Some(0.0)), (1e-100, Some(0.0))]);
        assert!((small.z(single).unwrap() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn agreement_needs_a_small_discrepancy_and_a_small_error() {
        let row = |measured: f64, std_error: f64| Row {
            measured: Some(measured),
            std_error: Some(std_error),
            predicted: Some(1.0),
            z: Some((measured - 1.0) / std_error),
            ..columns().row("0..4".into(), (0, None), (Quantity::NtkMeanDiagonal.name(), ""), (None, None))
        };
        let mut rows = [row(1.01, 0.01), row(1.2, 0.015), row(1.0, 0.03), row(2.0, 0.001)];
        judge(&mut rows, &[0], &ClaimsConfig::default());
        let verdicts: Vec<_> = rows.iter().filter_map(|row| row.verdict).collect();
        // Near and sharp; 13 standard errors off, which 3 degrees of freedom cannot reject; too blunt; far and sharp.
        assert_eq!(verdicts, [Verdict::Agrees, Verdict::Undecided, Verdict::Undecided, Verdict::Disagrees]);
    }

    /// Small numbers agree on the scale of what they are part of, and are undecided on their own.
    #[test]
    fn resolution_is_a_share_of_the_scale_of_the_claim() {
        let row = |quantity: Quantity, layer, predicted: f64, measured: f64, std_error: f64| Row {
            measured: Some(measured),
            std_error: Some(std_error),
            predicted: Some(predicted),
            z: Some((measured - predicted) / std_error),
            ..columns().row("0..16".into(), (0, None), (quantity.name(), ""), (None, layer))
        };
        let off = row(Quantity::NngpMeanOffDiagonal, None, 0.01, 0.04, 0.04);
        let on = row(Quantity::NngpMeanDiagonal, None, 2.0, 2.02, 0.04);
        let shape = |std_error| row(Quantity::ExcessKurtosis, Some(1), 0.0, 0.01, std_error);
        let of = |rows: &[Row]| {
            let mut rows = rows.to_vec();
            judge(&mut rows, &[0], &ClaimsConfig::default());
            rows.iter().map(|row| row.verdict.unwrap()).collect::<Vec<_>>()
        };
        let (agrees, undecided) = (Verdict::Agrees, Verdict::Undecided);
        // |0.03| + 4 * 0.04 is below 0.1 * 2, and above 0.1 * 0.01; without its diagonal there is no scale.
        assert_eq!(of(&[off.clone(), on]), [agrees, agrees]);
        assert_eq!(of(&[off]), [undecided]);
        assert_eq!(of(&[shape(0.02), shape(0.03)]), [agrees, undecided]);
    }

    #[test]
    fn losses_are_claimed_at_four_steps() {
        assert_eq!(loss_steps(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), [2, 4, 6, 8]);
        assert_eq!(loss_steps(&[0, 5]), [5, 5, 5, 5]);
        assert!(loss_steps(&[0]).is_empty());
    }
}
