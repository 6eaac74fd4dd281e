//! From the rows of members to the rows of the ensemble: means, standard errors, predictions, verdicts.
//!
//! A function of the files of a run and of theory alone, so that `check` can ask again with another theory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;

use faer::Mat;
use widthwise_statistics::beyond_round_off;
use widthwise_statistics::gaussianity::{
    EnsembleMean, FEW_VALUES, MemberMoments, Moment, Null, NullLevel, ensemble_moments, kolmogorov_smirnov,
    null_distance, null_moments,
};

use super::folder;
use super::recorder::{against_infinite_width, read_outputs};
use crate::comparison::{Comparison, judge};
use crate::error::{At, Error, OrDamaged, Result, bail, ensure};
use crate::measurement::Measured;
use crate::prediction::{LossCurve, Query, Theory};
use crate::quantity::{Quantity, Trust};
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

/// What identifies a number: quantity, layers, step.
type NumberKey = (u64, Quantity, Option<usize>, Option<usize>);

/// What every member measured: the member, its number, and how far that is to be trusted where its row says so.
type MemberValues = BTreeMap<NumberKey, Vec<(usize, f64, Option<Trust>)>>;

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
            values.entry(key).or_default().push((member, measured, row.trust()));
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
        if !found.windows(2).all(|pair| pair[0].0 < pair[1].0) {
            let what = format!("it has two rows of one member of {} at step {step}", quantity.name());
            return Err(damaged(folder, &what));
        }
        let predict = |member: usize| -> Result<Option<f64>> {
            let (layer_from, losses) = (*from, Some(&losses[member]));
            let asked = Query { quantity: *quantity, layer_from, layer: *layer, step: *step, losses };
            Ok(theory.predict(asked)?.map(|predicted| predicted.value))
        };
        let paired: Vec<(f64, Option<f64>)> =
            found.iter().map(|(member, measured, _)| Ok((*measured, predict(*member)?))).collect::<Result<_>>()?;
        let compared = Comparison::over_members(&paired);
        let mut row = template(*step, *quantity, *from, *layer);
        row.measured = Some(compared.measured);
        row.std_error = compared.std_error;
        row.se_method = match (compared.std_error, compared.predicted) {
            (None, _) => String::new(),
            (Some(_), None) => "members".to_owned(),
            (Some(_), Some(_)) => "paired_members".to_owned(),
        };
        row.predicted = compared.predicted;
        row.z = compared.z(session.epsilon());
        rows.push(row.trusted(Trust::of_mean(found.iter().map(|(_, _, trust)| trust.as_ref()))));
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
fn read_matrix(
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
fn has_layers(matrix: &Mat<f64>, layers: usize) -> bool {
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
                    values.entry((step, quantity, None, None)).or_default().push((member, value, Some(trust)));
                }
            }
        }
    }
    Ok(())
}

/// A number about the shape of a distribution.
enum ShapeNumber {
    /// A moment, whose bias is to be taken off, and the level of Gaussian values where these are so few that its error is no less.
    Moment(Moment, Option<NullLevel>),
    /// A distance, which has no error, and of how many values.
    Distance(f64, usize),
    /// What it would be for Gaussian values, and for how many.
    Level(NullLevel, usize),
}

impl ShapeNumber {
    /// How far it is to be trusted; the number of values belongs to the method where figures hold one against the other.
    fn trust(&self, quantity: Quantity) -> Trust {
        let trust = quantity.trust();
        match self {
            Self::Moment(..) => trust,
            Self::Distance(_, values) | Self::Level(_, values) => {
                Trust { method: Cow::Owned(format!("{}({values})", trust.method)), ..trust }
            }
        }
    }
}

/// How Gaussian every layer is over the ensemble, and what as many Gaussian values would come to. Numbers for which there are too few
/// values are left out.
fn gaussianity(
    folder: &Path,
    (members, layers): (usize, usize),
    when: &str,
    seed: u64,
) -> Result<Vec<(Quantity, usize, ShapeNumber)>> {
    let mut found = Vec::new();
    moments(folder, (members, layers), when, |quantity, layer, number| found.push((quantity, layer, number)))?;
    // Layers of equal size have one level.
    let mut levels: BTreeMap<usize, Option<NullLevel>> = BTreeMap::new();
    for (layer, distance, values) in pooled_distances(folder, (members, layers), when)? {
        found.push((Quantity::KsDistance, layer, ShapeNumber::Distance(distance, values)));
        let level = levels.entry(values).or_insert_with(|| {
            null_distance(values, &mut widthwise_datasets::stream(seed, &format!("null.distance.{values}"))).ok()
        });
        found.extend(level.map(|level| (Quantity::KsDistanceNull, layer, ShapeNumber::Level(level, values))));
    }
    Ok(found)
}

/// Kurtosis and skewness of every layer over the ensemble, from the members' power sums.
fn moments(
    folder: &Path,
    (members, layers): (usize, usize),
    when: &str,
    mut put: impl FnMut(Quantity, usize, ShapeNumber),
) -> Result<()> {
    let expected =
        format!("six columns, an input a row: a layer up to {layers}, four power sums and the layer's units");
    let is_right = |sums: &Mat<f64>| sums.ncols() == 6 && has_layers(sums, layers);
    let read = |member| read_matrix(folder, member, &format!("moments_{when}.npy"), &expected, is_right);
    let sums: Option<Vec<Mat<f64>>> = (0..members).map(read).collect::<Result<_>>()?;
    let Some(sums) = sums.filter(|sums| sums.len() > 1) else { return Ok(()) };
    if let Some(member) = (1..members).find(|member| sums[*member].nrows() != sums[0].nrows()) {
        bail!(
            damaged: "moments_{when}.npy of member {member} in {} has {} rows and that of member 0 has {}; one of them is damaged, make \
             the run again",
            folder.display(),
            sums[member].nrows(),
            sums[0].nrows()
        );
    }
    let layers = sums[0].row_iter().map(|row| row[0] as usize).max().unwrap_or(0);
    for layer in 1..=layers {
        let of_member = |matrix: &Mat<f64>| {
            let rows: Vec<_> = matrix.row_iter().filter(|row| row[0] as usize == layer).collect();
            MemberMoments {
                inputs: rows.len(),
                units: rows.first().map_or(0, |row| row[5] as usize),
                sums: rows.iter().map(|row| [row[1], row[2], row[3], row[4]]).collect(),
            }
        };
        let mut of_members: Vec<MemberMoments> = sums.iter().map(of_member).collect();
        // An input at which no member varies, all its gates shut, has no moments to standardize.
        let inputs = of_members.iter().map(|member| member.inputs).min().unwrap_or(0);
        let varies: Vec<bool> = (0..inputs).map(|i| of_members.iter().any(|member| member.sums[i][1] > 0.0)).collect();
        for member in &mut of_members {
            let mut kept = varies.iter();
            member.sums.retain(|_| kept.next().copied().unwrap_or(false));
            member.inputs = member.sums.len();
        }
        let about = if when == "initial" { EnsembleMean::Zero } else { EnsembleMean::Estimated };
        if let Ok(moments) = ensemble_moments(&of_members, about) {
            let units = of_members[0].units;
            let values = members * units;
            let [skewness, kurtosis] = null_moments(values, about);
            let few = |level: NullLevel| Some(level).filter(|_| values <= FEW_VALUES);
            put(Quantity::Kurtosis, layer, ShapeNumber::Moment(moments.kurtosis, few(kurtosis)));
            put(Quantity::ExcessKurtosis, layer, ShapeNumber::Moment(moments.excess_kurtosis, few(kurtosis)));
            put(Quantity::Skewness, layer, ShapeNumber::Moment(moments.skewness, few(skewness)));
            put(Quantity::KurtosisNull, layer, ShapeNumber::Level(kurtosis, values));
            put(Quantity::SkewnessNull, layer, ShapeNumber::Level(skewness, values));
        }
    }
    Ok(())
}

/// Distance of the pooled pre-activations of the first probe example from a Gaussian, a layer each, and their number. Units of one
/// member share their inputs, so the distance has no p-value of its own.
fn pooled_distances(folder: &Path, (members, layers): (usize, usize), when: &str) -> Result<Vec<(usize, f64, usize)>> {
    let expected = format!("two columns, a unit a row: a layer up to {layers} and a pre-activation");
    let is_right = |units: &Mat<f64>| units.ncols() == 2 && has_layers(units, layers);
    let read = |member| read_matrix(folder, member, &format!("units_{when}.npy"), &expected, is_right).transpose();
    let units: Vec<Mat<f64>> = (0..members).filter_map(read).collect::<Result<_>>()?;
    let layers = units.first().and_then(|matrix| matrix.row_iter().last().map(|row| row[0] as usize)).unwrap_or(0);
    let distances = (1..=layers)
        .filter_map(|layer| {
            let of_layer = |matrix: &Mat<f64>| -> Vec<f64> {
                matrix.row_iter().filter(|row| row[0] as usize == layer).map(|row| row[1]).collect()
            };
            let pooled: Vec<f64> = units.iter().flat_map(of_layer).collect();
            let outcome = kolmogorov_smirnov(&pooled, Null::Estimated).ok()?;
            Some((layer, outcome.statistic, pooled.len()))
        })
        .collect();
    Ok(distances)
}
