//! How Gaussian the layers of an ensemble are, from the power sums and the units that its members left.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use faer::Mat;
use widthwise_statistics::gaussianity::{
    EnsembleMean, FEW_VALUES, MemberMoments, Moment, Null, NullLevel, ensemble_moments, kolmogorov_smirnov,
    null_distance, null_moments,
};

use super::ensemble::{has_layers, read_matrix};
use crate::error::{Result, bail};
use crate::quantity::{Quantity, Trust};

/// A number about the shape of a distribution.
pub(super) enum ShapeNumber {
    /// A moment, whose bias is to be taken off, and the level of Gaussian values where these are so few that its error is no less.
    Moment(Moment, Option<NullLevel>),
    /// A distance, which has no error, and of how many values.
    Distance(f64, usize),
    /// What it would be for Gaussian values, and for how many.
    Level(NullLevel, usize),
}

impl ShapeNumber {
    /// How far it is to be trusted; the number of values belongs to the method where figures hold one against the other.
    pub(super) fn trust(&self, quantity: Quantity) -> Trust {
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
pub(super) fn gaussianity(
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
