//! From the rows of members to the rows of the ensemble: means, standard errors, predictions, verdicts.
//!
//! A function of the files of a run and of theory alone, so that `check` can ask again with another theory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use faer::Mat;
use widthwise_statistics::gaussianity::NullLevel;
use widthwise_statistics::{NullLaw, beyond_round_off};

use super::folder;
use super::recorder::{against_infinite_width, read_outputs};
use super::shape::{ShapeNumber, gaussianity};
use crate::comparison::{CONTROLLED, Comparison, judge};
use crate::error::{At, Error, OrDamaged, Result, bail, ensure};
use crate::measurement::Measured;
use crate::prediction::{LossCurve, Query, Theory};
use crate::quantity::{Flag, Quantity, Trust, When};
use crate::record::manifest::Manifest;
use crate::record::npy;
use crate::record::row::Row;
use crate::session::Session;

/// Where distances from the infinite-width kernel come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KernelSource {
    /// The rows of the members.
    AsRecorded,
    /// The kernels that the members left at their first and last step, against the theory given.
    ComparedAgain,
}

/// Outputs below which a mean over them is no number to test.
const FEW_UNITS: usize = 64;

/// What identifies a number: quantity, layers, step.
type NumberKey = (u64, Quantity, Option<usize>, Option<usize>);

/// What every member measured.
type MemberValues = BTreeMap<NumberKey, Vec<MemberNumber>>;

/// A number of one member.
struct MemberNumber {
    member: usize,
    value: f64,
    /// How far it is to be trusted, where its row says so.
    trust: Option<Trust>,
    /// Its standard error and degrees of freedom, where its law is known.
    known: Option<(f64, f64)>,
}

/// The rows of `results.csv`.
///
/// # Errors
/// The file is missing or damaged.
pub(super) fn read_rows(folder: &Path) -> Result<Vec<Row>> {
    let path = folder.join("results.csv");
    let mut reader = csv::Reader::from_path(&path).at("read", &path)?;
    reader.deserialize().collect::<Result<_, _>>().or_damaged(|| format!("{} is damaged", path.display()))
}

/// All rows of the ensemble of the run in `folder`, judged.
pub(super) fn rows(
    folder: &Path,
    session: &Session<'_>,
    theory: &Theory<'_>,
    kernels: KernelSource,
) -> Result<Vec<Row>> {
    let members = session.experiment.run.members;
    let mut values = MemberValues::new();
    for row in read_rows(folder)? {
        // Rows of the ensemble are made anew from those of its members.
        if row.members.contains("..") {
            continue;
        }
        let damaged = |what: String| damaged(folder, &format!("{what}, of a run of {members} members"));
        let Some(member) = row.members.parse::<usize>().ok().filter(|member| *member < members) else {
            return Err(damaged(format!("it has a row of member \"{}\"", row.members)));
        };
        let Ok(quantity) = row.quantity.parse::<Quantity>() else {
            return Err(damaged(format!("it has a row of \"{}\", which is no quantity", row.quantity)));
        };
        if row.layer == Some(0) || row.layer.max(row.layer_from) > Some(session.columns.depth + 1) {
            return Err(damaged(format!("it has a row of a layer that the network lacks ({})", row.quantity)));
        }
        let depends_on_theory =
            matches!(quantity, Quantity::NtkOverlap | Quantity::NtkDistance | Quantity::NtkInfiniteCka);
        if depends_on_theory && kernels == KernelSource::ComparedAgain {
            continue;
        }
        if let Some(measured) = row.measured {
            let key = (row.step, quantity, row.layer_from, row.layer);
            let known = match row.se_method.parse::<NullLaw>() {
                Ok(NullLaw::ChiSquared { freedom }) => row.std_error.map(|std_error| (std_error, freedom)),
                _ => None,
            };
            let number = MemberNumber { member, value: measured, trust: row.trust(), known };
            values.entry(key).or_default().push(number);
        }
    }
    let steps: BTreeSet<u64> = values.keys().map(|(step, ..)| *step).collect();
    let losses = |member: usize| -> Result<LossCurve> {
        let folder = folder::member(folder, member);
        let initial = read_outputs(&folder, session.prepared.train.n)?;
        let (found, outputs) = ((initial.test.nrows(), initial.train.ncols()), session.prepared.outputs);
        ensure!(
            found == (session.prepared.test.n, outputs),
            damaged: "{} has {} rows of test examples and {} columns, and the run has {} and {outputs}; it is damaged",
            folder.join("outputs_initial.npy").display(),
            found.0,
            found.1,
            session.prepared.test.n
        );
        Ok(theory.losses(member, &initial, &steps)?)
    };
    let losses: Vec<LossCurve> = (0..members).map(losses).collect::<Result<_>>()?;
    let last = common_last_step(folder)?;
    if kernels == KernelSource::ComparedAgain {
        compare_kernels_again(folder, members, theory, last, &mut values)?;
    }
    let learning_rate = Manifest::read(folder)?.learning_rate;
    let template = |step: u64, quantity: Quantity, from: Option<usize>, layer: Option<usize>| {
        let time = (step, session.flow_time(step, learning_rate));
        let unit = session.unit(quantity);
        session.columns.row(format!("0..{members}"), time, (quantity.name(), &unit), (from, layer))
    };
    let mut rows = Vec::new();
    for ((step, quantity, from, layer), found) in &values {
        // A mean over some of the members would be a mean over those that did well.
        if found.len() < members {
            continue;
        }
        if !found.windows(2).all(|pair| pair[0].member < pair[1].member) {
            let what = format!("it has two rows of one member of {} at step {step}", quantity.name());
            return Err(damaged(folder, &what));
        }
        let predict = |member: usize| -> Result<Option<f64>> {
            let (layer_from, losses) = (*from, Some(&losses[member]));
            let asked = Query { quantity: *quantity, layer_from, layer: *layer, step: *step, losses };
            Ok(theory.predict(asked)?.map(|predicted| predicted.value))
        };
        let paired: Vec<(f64, Option<f64>)> =
            found.iter().map(|number| Ok((number.value, predict(number.member)?))).collect::<Result<_>>()?;
        let control = quantity.control().and_then(|control| control.place(*layer, session.columns.depth));
        let controlled = match control {
            Some((by, layer)) => {
                let off = deviations(&values, theory, (by, layer), members)?;
                off.and_then(|off| Some((Comparison::controlled(&paired, &off)?, by)))
            }
            None => None,
        };
        let compared = controlled.map_or_else(|| Comparison::over_members(&paired), |(compared, _)| compared);
        let mut row = template(*step, *quantity, *from, *layer);
        row.measured = Some(compared.measured);
        row.std_error = compared.std_error;
        row.se_method = match (compared.std_error, compared.predicted) {
            (None, _) => String::new(),
            (Some(_), None) => "members".to_owned(),
            (Some(_), Some(_)) => {
                let paired = "paired_members".to_owned();
                controlled.map_or(paired, |(_, by)| format!("{CONTROLLED}({by})"))
            }
        };
        row.predicted = compared.predicted;
        row.z = compared.z(session.epsilon());
        if let Some((std_error, law)) = known_law(found) {
            row.std_error = Some(std_error);
            row.se_method = law.to_string();
            row.z = row.predicted.map(|predicted| (compared.measured - predicted) / std_error);
        }
        let mut trust = Trust::of_mean(found.iter().map(|number| number.trust.as_ref()));
        if *layer > Some(session.columns.depth) && is_of_few_units(*quantity, session.prepared.outputs, &row) {
            row.z = None;
            trust = trust.map(|trust| Trust { flag: Some(Flag::FewUnits), ..trust });
        }
        rows.push(row.trusted(trust));
    }
    for (when, step) in [("initial", Some(0)), ("final", last)] {
        let Some(step) = step.filter(|step| when == "initial" || *step > 0) else { continue };
        let layers = session.columns.depth + 1;
        let gaussian = gaussianity(folder, (members, layers), when, session.experiment.run.seed)?;
        for (quantity, layer, number) in gaussian {
            let mut row = template(step, quantity, None, Some(layer));
            let asked = Query { quantity, layer_from: None, layer: Some(layer), step, losses: None };
            row.predicted = theory.predict(asked)?.map(|predicted| predicted.value);
            match number {
                ShapeNumber::Moment(moment, level) => {
                    let value = moment.unbiased();
                    row.measured = Some(value);
                    let jackknife = beyond_round_off(moment.standard_error, value.abs().max(1.0), session.epsilon());
                    let drawn =
                        level.map(|level| level.spread).filter(|spread| jackknife.is_none_or(|se| se < *spread));
                    let method = if drawn.is_some() { "gaussian_values" } else { "jackknife_members" };
                    row.std_error = drawn.or(jackknife);
                    row.z = row.std_error.and_then(|se| Some((value - row.predicted?) / se));
                    row.se_method = row.std_error.map(|_| method.to_owned()).unwrap_or_default();
                }
                ShapeNumber::Distance(distance, _) => row.measured = Some(distance),
                ShapeNumber::Level(NullLevel { mean, spread }, _) => {
                    (row.measured, row.std_error) = (Some(mean), Some(spread));
                    row.se_method = "gaussian_values".to_owned();
                }
            }
            rows.push(row.trusted(Some(number.trust(quantity))));
        }
    }
    let steps: Vec<u64> = {
        let mut steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
        steps.sort_unstable();
        steps.dedup();
        steps
    };
    judge(&mut rows, &steps, &session.experiment.claims);
    Ok(rows)
}

/// Whether a number of the readout is a mean over so few units, squares of Gaussians each, that Student's t rejects it too often: two to seven times at a level
/// of 1e-3 for one to ten units and few members. A law of its own is exact for any.
fn is_of_few_units(quantity: Quantity, outputs: usize, row: &Row) -> bool {
    let is_mean_over_units = quantity.claim().is_some_and(|claim| claim.when == When::FirstHidden);
    is_mean_over_units && outputs < FEW_UNITS && row.se_method.parse::<NullLaw>().is_err()
}

/// How far a number of every member before training is from its prediction; nothing where it was not measured or has none.
fn deviations(
    values: &MemberValues,
    theory: &Theory<'_>,
    (quantity, layer): (Quantity, Option<usize>),
    members: usize,
) -> Result<Option<Vec<f64>>> {
    let Some(found) = values.get(&(0, quantity, None, layer)).filter(|found| found.len() == members) else {
        return Ok(None);
    };
    let predicted = theory.predict(Query { quantity, layer_from: None, layer, step: 0, losses: None })?;
    Ok(predicted.map(|predicted| found.iter().map(|number| number.value - predicted.value).collect()))
}

/// The standard error of the mean of numbers whose laws are all known, and its law: chi-squared numbers of one scale add up to another.
fn known_law(found: &[MemberNumber]) -> Option<(f64, NullLaw)> {
    let known: Vec<(f64, f64)> = found.iter().map(|number| number.known).collect::<Option<_>>()?;
    let squares: f64 = known.iter().map(|(std_error, _)| std_error * std_error).sum();
    let freedom = known.iter().map(|(_, freedom)| freedom).sum();
    Some((squares.sqrt() / known.len() as f64, NullLaw::ChiSquared { freedom }))
}

/// The step at which every member ended, if it is the same.
fn common_last_step(folder: &Path) -> Result<Option<u64>> {
    // While a run is being finished its manifest is not yet final: the training table knows.
    let path = folder.join("training.csv");
    let mut reader = csv::Reader::from_path(&path).at("read", &path)?;
    let mut ends: BTreeMap<usize, u64> = BTreeMap::new();
    for row in reader.deserialize::<crate::record::row::TrainingRow>() {
        let row = row.or_damaged(|| format!("{} is damaged", path.display()))?;
        ends.insert(row.member, row.step);
    }
    let first = ends.values().next().copied();
    Ok(first.filter(|first| ends.values().all(|step| step == first)))
}

fn damaged(folder: &Path, what: &str) -> Error {
    Error::damaged(format!("{} is damaged: {what}; make the run again", folder.join("results.csv").display()))
}

/// A matrix that a member left, if it left one: a member that diverged, or whose probe was off, did not. The file is held against
/// `is_right`, which `expected` says in words.
pub(super) fn read_matrix(
    folder: &Path,
    member: usize,
    name: &str,
    expected: &str,
    is_right: impl Fn(&Mat<f64>) -> bool,
) -> Result<Option<Mat<f64>>> {
    let path = folder::member(folder, member).join(name);
    match npy::read(&path) {
        Ok(matrix) if is_right(&matrix) => Ok(Some(matrix)),
        Ok(matrix) => bail!(
            damaged: "{} is damaged: it holds {} x {} numbers and should hold {expected}; make the run again",
            path.display(),
            matrix.nrows(),
            matrix.ncols()
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether the first column numbers layers in order, each at most `layers`.
pub(super) fn has_layers(matrix: &Mat<f64>, layers: usize) -> bool {
    let numbers: Vec<f64> = matrix.row_iter().map(|row| row[0]).collect();
    let is_layer = |number: &f64| number.fract() == 0.0 && (1.0..=layers as f64).contains(number);
    numbers.iter().all(is_layer) && numbers.is_sorted()
}

fn compare_kernels_again(
    folder: &Path,
    members: usize,
    theory: &Theory<'_>,
    last: Option<u64>,
    values: &mut MemberValues,
) -> Result<()> {
    let Some(infinite) = theory.kernels()? else { return Ok(()) };
    let size = infinite.ntk.nrows();
    for (when, step) in [("initial", Some(0)), ("final", last.filter(|step| *step > 0))] {
        let Some(step) = step else { continue };
        for member in 0..members {
            let (name, expected) = (format!("ntk_{when}.npy"), format!("{size} x {size}"));
            let is_right = |ntk: &Mat<f64>| (ntk.nrows(), ntk.ncols()) == (size, size);
            let Some(ntk) = read_matrix(folder, member, &name, &expected, is_right)? else { continue };
            for Measured { quantity, value, trust, .. } in against_infinite_width(&ntk, &infinite.ntk) {
                if let Some(value) = value {
                    let number = MemberNumber { member, value, trust: Some(trust), known: None };
                    values.entry((step, quantity, None, None)).or_default().push(number);
                }
            }
        }
    }
    Ok(())
}
