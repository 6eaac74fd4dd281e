//! Lee et al. 2019, relative change of weights and kernel during training against the width: three hidden ReLU layers on 128 images
//! of MNIST.

use super::numbers::NumberRow;
use super::problem::{PARITY_OF_DIGITS, configured};
use super::table::TableRow;
use super::{Findings, LEE_2019, NoFindings, Recipe, Workplace};
use crate::ensemble::Ended;
use crate::error::Result;
use crate::ladder::{FitStatistic, LadderOptions, LadderOutcome, LadderQuantity, ladder_experiment, run_ladder};

/// The recipe.
pub(super) const RECIPE: Recipe = Recipe {
    name: "lee2019-widths",
    about: "Relative change of weights and NTK during training against the width: three hidden ReLU layers, 128 MNIST images",
    paper: LEE_2019,
    reproduce,
};

const SETTINGS: &str = "
run.name = lee2019_widths
run.seed = 2
dataset.preprocessing.train = 128
dataset.preprocessing.test = 16
network.width = 512
network.sigma_b2 = 0.1
training.learning_rate.critical = 0.25
training.stop.steps = 20
";

fn reproduce(place: &Workplace<'_>) -> Result<Findings, NoFindings> {
    let (widths, members): (Vec<usize>, usize) = place.size.of([
        (vec![8, 16, 32], 2),
        (vec![256, 512, 1024, 2048], 40),
        (vec![256, 512, 1024, 2048, 4096, 8192], 40),
    ]);
    let overrides = place.size.of([vec!["dataset.preprocessing.train=16".to_owned()], Vec::new(), Vec::new()]);
    let experiment = ladder_experiment(&configured(&[PARITY_OF_DIGITS, SETTINGS], &overrides)?, false)?;
    let folder = place.work().join("ladder");
    let options = LadderOptions {
        widths,
        members,
        shard: place.shard,
        folder: folder.clone(),
        data_dir: place.data_dir.map(Into::into),
        is_coordinate_check: false,
        rates_of: None,
    };
    let report = match run_ladder(&experiment, &options, place.stop, place.monitor)? {
        LadderOutcome::Interrupted => return Err(NoFindings::Paused(Ended::Interrupted)),
        LadderOutcome::Unfinished { done, all } => return Err(NoFindings::Paused(Ended::Unfinished { done, all })),
        LadderOutcome::Judged(report) => report,
    };
    let shown = [LadderQuantity::WeightChange, LadderQuantity::FullNtkRelativeChange];
    let fits = report.fits.iter().filter(|fit| fit.statistic == FitStatistic::ExponentOfMean);
    let fits: Vec<_> = fits.filter(|fit| shown.contains(&fit.quantity)).collect();
    let last = fits.iter().filter_map(|fit| fit.layer).max();
    let table = fits.iter().map(|fit| {
        let row = TableRow::of_fit(fit);
        match fit.layer {
            Some(layer) if layer == 1 || Some(layer) == last => row.recalled("-1/2"),
            Some(_) => row.recalled("-1"),
            None => row.recalled("bound -1/2, seen about -1"),
        }
    });
    let numbers = report.means.iter().map(|row| {
        let layer = row.layer.map_or_else(String::new, |layer| format!("_layer_{layer}"));
        let quantity = row.quantity.name() + &layer;
        let number = NumberRow::new("ladder", row.width, &quantity, row.mean);
        NumberRow { std_error: row.std_error, ..number }
    });
    let mut remarks: Vec<String> = fits.iter().map(|fit| fit.remark.clone()).filter(|text| !text.is_empty()).collect();
    remarks.dedup();
    Ok(Findings {
        table: table.collect(),
        numbers: numbers.collect(),
        figure: std::fs::read_to_string(folder.join("ladder.svg")).ok(),
        configs: vec![("lee2019_widths".to_owned(), experiment)],
        remarks: remarks.into_iter().map(|text| format!("Left out of the fit of the NTK: {text}.")).collect(),
    })
}
