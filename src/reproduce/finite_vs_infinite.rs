//! Lee et al. 2020, finite against infinite networks: what takes the predictions of trained ensembles away from those of the
//! infinite-width kernel, and what brings them closer.
//!
//! The distance of an ensemble is the mean over test examples of `(E f - mu)^2`, with `mu` the kernel's prediction by gradient flow after
//! the same time. Its unbiased estimate from M networks is `<(f' - mu)^2 - s^2 / M>`, `f'` their mean and `s^2` their sample variance. Large
//! steps and a penalty are compared with small steps without one, on the same initial networks; standard errors of differences are
//! the jackknife's over networks.

use widthwise_statistics::{Deviations, Estimate, jackknife};
use widthwise_theory::dynamics::Training;

use super::figure::Drawing;
use super::numbers::NumberRow;
use super::problem::{EnsembleProblem, PARITY_OF_DIGITS, at_step, configured};
use super::table::{Expected, TableRow};
use super::{Findings, LEE_2020, NoFindings, Recipe, Workplace};
use crate::config::{Checked, LearningRate, Stop};
use crate::error::{Result, bail};
use crate::plot::palette;
use crate::plot::panel::Panel;
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::Marker;
use crate::session::DataSource;

/// The recipe.
pub(super) const RECIPE: Recipe = Recipe {
    name: "finite-vs-infinite",
    about: "Distance of trained ensembles from the infinite-width prediction: large steps, L2, centring, ensembling",
    paper: LEE_2020,
    reproduce,
};

/// Small and large learning rate in units of the largest stable one.
const RATES: [f64; 2] = [0.1, 1.5];

/// Coefficient of the penalty `strength/2 |theta|^2` next to the loss `1/2 sum`.
const PENALTY: f64 = 2.0;

const SETTINGS: &str = "
run.name = finite_vs_infinite
run.seed = 8
network.depth = 2
network.sigma_b2 = 0.1
training.learning_rate.critical = 0.1
training.stop.steps = 300
";

/// One way of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TrainingVariant {
    Small,
    Penalty,
    Large,
    Centred,
}

impl TrainingVariant {
    const ALL: [Self; 4] = [Self::Small, Self::Penalty, Self::Large, Self::Centred];

    fn name(self) -> &'static str {
        match self {
            Self::Small => "small_rate",
            Self::Penalty => "l2",
            Self::Large => "large_rate",
            Self::Centred => "centred",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Small => "small steps, no penalty",
            Self::Penalty => "L2 penalty",
            Self::Large => "large steps",
            Self::Centred => "centred",
        }
    }

    /// The experiment in this variant; `critical` is the largest stable rate, and all train for the same time.
    fn of(self, base: &Checked, critical: f64, steps: u64) -> Result<Checked> {
        let mut changed = base.clone().into_inner();
        let [small, large] = RATES;
        let (share, steps) = match self {
            Self::Large => (large, (steps as f64 * small / large).round() as u64),
            _ => (small, steps),
        };
        changed.run.name = format!("{}_{}", changed.run.name, self.name());
        changed.training.learning_rate = LearningRate::Absolute(share * critical);
        changed.training.stop = Stop { steps: Some(steps), ..Stop::default() };
        changed.training.l2.strength = if self == Self::Penalty { PENALTY } else { 0.0 };
        changed.network.centred = self == Self::Centred;
        Ok(Checked::new(changed)?)
    }
}

fn reproduce(place: &Workplace<'_>) -> Result<Findings, NoFindings> {
    let (width, members, images, steps) = place.size.of([(16, 4, 8, 30), (512, 24, 64, 300), (2048, 64, 256, 3000)]);
    let overrides = [
        format!("network.width={width}"),
        format!("run.members={members}"),
        format!("dataset.preprocessing.train={images}"),
        format!("dataset.preprocessing.test={images}"),
    ];
    let base = configured(&[PARITY_OF_DIGITS, SETTINGS], &overrides)?;
    let draft = EnsembleProblem::new(&base, DataSource::Named(place.data_dir))?;
    let dynamics = draft.dynamics()?;
    let critical = draft.critical_rate(&dynamics);
    let flow = Training::Flow { flow_time: RATES[0] * critical * steps as f64 };
    let predicted = dynamics.test_prediction(draft.targets().as_ref(), &flow)?;
    let mu: Vec<f64> = (0..predicted.mean.nrows()).map(|i| predicted.mean[(i, 0)]).collect();

    let mut found = Findings::default();
    let mut outputs = Vec::new();
    for variant in TrainingVariant::ALL {
        let experiment = variant.of(&base, critical, steps)?;
        let problem = EnsembleProblem::new(&experiment, DataSource::Named(place.data_dir))?;
        let paths = problem.train_and_test(place)?;
        let last = at_step(&paths, problem.session.last_step)?;
        outputs.push(last.into_iter().cloned().collect::<Vec<_>>());
        found.configs.push((variant.name().to_owned(), experiment));
    }
    let [small, penalty, large, centred] = outputs.as_slice() else { bail!("four variants are compared") };

    let all: Vec<usize> = (0..members).collect();
    let distance = |of: &[Vec<f64>]| jackknife(members, |chosen| squared_distance(of, chosen, &mu));
    let single = |of: &[Vec<f64>]| of.iter().map(|f| mean_square(f, &mu)).collect::<Vec<f64>>();
    let mut drawn = Vec::new();
    for (variant, of) in TrainingVariant::ALL.iter().zip(&outputs) {
        let (ensemble, network) = (distance(of), Estimate::mean(&single(of)));
        let row = |name: &str, found| NumberRow::mean(variant.name(), width, name, found).over("test");
        found.numbers.push(row("squared_distance_of_ensemble", ensemble));
        found.numbers.push(row("squared_distance_of_one_network", network));
        for (member, value) in single(of).into_iter().enumerate() {
            let number = NumberRow::new(variant.name(), width, "squared_distance_of_one_network", value);
            found.numbers.push(number.of(member).over("test"));
        }
        let quantity = format!("squared distance of the ensemble from the kernel's prediction: {}", variant.words());
        found.table.push(TableRow::shown(quantity, ensemble));
        drawn.push((*variant, ensemble, network));
    }
    for (i, &value) in mu.iter().enumerate() {
        for (variant, of) in TrainingVariant::ALL.iter().zip(&outputs) {
            let values: Vec<f64> = of.iter().map(|f| f[i]).collect();
            let number = NumberRow::mean(variant.name(), width, "mean_output", Estimate::mean(&values));
            found.numbers.push(number.on("test", i).predicted(value));
        }
    }
    let further = |of: &[Vec<f64>]| {
        jackknife(members, |chosen| squared_distance(of, chosen, &mu) - squared_distance(small, chosen, &mu))
    };
    let mut judged = |what: &str, expected, found_: Estimate, recalled: &str| {
        found.table.push(TableRow::judged(what, expected, found_).recalled(recalled));
    };
    let breaks = "breaks the correspondence";
    judged("what L2 adds to the squared distance of the ensemble", Expected::Above(0.0), further(penalty), breaks);
    judged("what large steps add to it", Expected::Above(0.0), further(large), breaks);
    let closer = Estimate::paired_difference(&single(centred), &single(small));
    judged("what centring adds to that of one network", Expected::Below(0.0), closer, "closer to the kernel");
    let ensembled = jackknife(members, |chosen| {
        let one = chosen.iter().map(|&m| mean_square(&small[m], &mu)).sum::<f64>() / chosen.len() as f64;
        mean_square(&mean_output(small, chosen), &mu) - one
    });
    let what = format!("what taking the mean of {} networks adds to that of one", all.len());
    judged(&what, Expected::Below(0.0), ensembled, "closer to the kernel");
    found.remarks.push(format!(
        "Rates are {} and {} of the largest stable one under the infinite-width kernel, the strength of the penalty is {PENALTY}, and all train \
         for the same flow time. The mean square of the prediction is {:.3}.",
        RATES[0],
        RATES[1],
        mu.iter().map(|m| m * m).sum::<f64>() / mu.len() as f64
    ));
    found.figure = figure(&drawn);
    Ok(found)
}

/// Mean output of the chosen networks on every example.
fn mean_output(outputs: &[Vec<f64>], chosen: &[usize]) -> Vec<f64> {
    let examples = outputs.first().map_or(0, Vec::len);
    let mean = |x: usize| chosen.iter().map(|&m| outputs[m][x]).sum::<f64>() / chosen.len() as f64;
    (0..examples).map(mean).collect()
}

/// `<(f - mu)^2>` over examples.
fn mean_square(f: &[f64], mu: &[f64]) -> f64 {
    f.iter().zip(mu).map(|(f, mu)| (f - mu).powi(2)).sum::<f64>() / mu.len() as f64
}

/// Unbiased estimate of `<(E f - mu)^2>` from the chosen networks.
fn squared_distance(outputs: &[Vec<f64>], chosen: &[usize], mu: &[f64]) -> f64 {
    let of = |x: usize| {
        let found = Deviations::of(chosen.iter().map(|&m| outputs[m][x]));
        (found.mean - mu[x]).powi(2) - found.variance_of_mean()
    };
    (0..mu.len()).map(of).sum::<f64>() / mu.len() as f64
}

fn figure(drawn: &[(TrainingVariant, Estimate, Estimate)]) -> Option<String> {
    let panel = |title: &str, of: fn(&(TrainingVariant, Estimate, Estimate)) -> Estimate| {
        let mut drawing = Drawing { heights: vec![0.0], ..Drawing::default() };
        for (index, row) in drawn.iter().enumerate() {
            let marker = (Marker::category(index), 5.0, palette::category(index));
            drawing.estimate((index + 1) as f64, of(row), marker, &format!("{}\n", row.0.words()));
        }
        let labels = ["way of training, in the order of the legend", "mean squared distance of outputs"];
        drawing.panel(title.to_owned(), labels, Scale::layers(1..=drawn.len()))
    };
    let panels: Vec<Panel> =
        [panel("Ensemble", |row| row.1), panel("One network", |row| row.2)].into_iter().flatten().collect();
    let legend: Vec<LegendEntry> = drawn
        .iter()
        .enumerate()
        .map(|(index, (variant, ..))| {
            let (shape, color) = (Marker::category(index), palette::category(index).to_owned());
            LegendEntry::new(Sample::Point { shape, color, filled: true }, variant.words())
        })
        .chain([LegendEntry::new(Sample::Bar(palette::AXIS), "standard error over networks")])
        .collect();
    Some(render(&panels, 2, &legend, "squared distances from the infinite-width prediction"))
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_distr::StandardNormal;

    use super::*;

    #[test]
    fn distances_of_few_networks_are_those_of_their_expectation() {
        // E f = (1, -2) with unit variance against mu = (0, 0): 2.5, and the plain mean of three would add 1/3.
        let mut random = widthwise_datasets::stream(2, "test.squared_distance");
        let mut draw = |mean: f64| mean + random.sample::<f64, _>(StandardNormal);
        let found: Vec<f64> = (0..4000)
            .map(|_| {
                let outputs: Vec<Vec<f64>> = (0..3).map(|_| vec![draw(1.0), draw(-2.0)]).collect();
                squared_distance(&outputs, &[0, 1, 2], &[0.0, 0.0])
            })
            .collect();
        let found = Estimate::mean(&found);
        assert!(found.z(2.5).abs() < 4.0 && found.z(2.5 + 1.0 / 3.0).abs() > 4.0, "{found:?}");
    }

    #[test]
    fn means_are_of_the_chosen_networks() {
        let outputs = [vec![1.0, 2.0], vec![3.0, 4.0], vec![50.0, 60.0]];
        assert_eq!(mean_output(&outputs, &[0, 1]), [2.0, 3.0]);
        assert_eq!(mean_square(&[2.0, 3.0], &[1.0, 1.0]), 2.5);
        // (2 - 1)^2 - 2 / 2 and (3 - 1)^2 - 2 / 2.
        assert_eq!(squared_distance(&outputs, &[0, 1], &[1.0, 1.0]), 1.5);
    }
}
