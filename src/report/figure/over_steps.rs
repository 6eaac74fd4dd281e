//! A panel of one quantity over the training steps, and the legend such panels share.

use super::super::read::Records;
use super::super::select::{error_sentence, finite, tooltip};
use super::super::{claims::counted, quantity};
use super::{Figure, sentences};
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel, axis_title};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};
use crate::quantity::Quantity;
use crate::record::row::Row;

/// Vertical axis of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepAxis {
    /// Straight.
    Linear,
    /// Logarithmic if the numbers are positive and span enough.
    Log,
}

/// The line of a mean over members.
const MEAN: Stroke<'static> = Stroke { color: palette::BLUE, width: 1.8, dashed: false, opacity: 1.0 };

/// What the panels of one figure show, for legend and caption.
#[derive(Debug, Default)]
struct Shown<'a> {
    rows: Vec<&'a Row>,
    members: usize,
    /// Whether there is more than one step.
    curves: bool,
    /// Whether step 0 stands before a break.
    broken: bool,
    /// Whether zeros are left out of a logarithmic axis.
    zeros: bool,
    /// Whether a mean is that of the members' curves, since the ensemble has no rows of its own.
    plain_means: bool,
    /// How predictions are drawn.
    predictions: PredictionMarks,
}

/// Which ways of drawing a prediction occur in a figure.
#[derive(Debug, Default)]
struct PredictionMarks {
    curve: bool,
    point: bool,
    upper_bound: bool,
}

/// A figure with one panel for each of `quantities` that has numbers; `about` opens its caption.
pub(super) fn figure(
    records: &Records,
    name: &'static str,
    title: &'static str,
    about: &str,
    quantities: &[(&'static str, StepAxis)],
) -> Option<Figure> {
    let mut shown = Shown::default();
    let mut drawn = Vec::new();
    let mut panels = Vec::new();
    for &(quantity, axis) in quantities {
        if let Some(panel) = panel(records, quantity, axis, &mut shown) {
            drawn.push(quantity);
            panels.push(panel);
        }
    }
    if panels.is_empty() {
        return None;
    }
    let (legend, described) = legend(&shown);
    let columns = if panels.len() == 4 { 2 } else { 3 };
    let caption = sentences(&[
        about,
        &described,
        if shown.broken { "The axis of training steps is logarithmic; step 0 stands before the break." } else { "" },
        if shown.zeros {
            "Numbers that are exactly zero have no place on a logarithmic axis and are left out."
        } else {
            ""
        },
        if shown.plain_means {
            "Where a mean has no points and no band, it is that of the members in training.csv, and results.csv has no error of it."
        } else {
            ""
        },
        &error_sentence(shown.rows.iter().copied()),
    ]);
    Some(Figure {
        name,
        title,
        caption,
        svg: render(&panels, columns, &legend, title),
        quantities: drawn,
        layered: false,
    })
}

fn panel<'a>(records: &'a Records, quantity: &str, axis: StepAxis, shown: &mut Shown<'a>) -> Option<Panel> {
    let mut rows = records.ensemble(quantity);
    rows.retain(|r| r.layer.is_none() && r.layer_from.is_none());
    let mut members = records.members(quantity);
    let y = match axis {
        StepAxis::Linear => Scale::linear(values(&rows, &members, false)),
        StepAxis::Log => without_zeros(&mut rows, &mut members, shown),
    }?;
    let steps = members.iter().flatten().map(|p| p.0).chain(rows.iter().map(|r| r.step));
    let x = Scale::steps(steps)?;
    let x_label = match x {
        Scale::Steps { zero: true, .. } => "training step (log scale, 0 set apart)",
        Scale::Steps { .. } => "training step (log scale)",
        _ => "training step",
    };
    let mut marks: Vec<Mark> = members.iter().map(|curve| member_mark(curve)).collect();
    if rows.is_empty() {
        let mean = plain_mean(&members);
        shown.plain_means |= mean.len() > 1;
        marks.extend((mean.len() > 1).then_some(Mark::Line { points: mean, stroke: MEAN }));
    }
    marks.extend(ensemble_marks(&rows, Quantity::is_bounded(quantity), &mut shown.predictions));
    let unit = rows.iter().map(|r| r.unit.as_str()).find(|u| !u.is_empty()).unwrap_or_default();
    let y_label = axis_title(&quantity::label(quantity), unit, &y);
    shown.broken |= x.break_at().is_some();
    shown.curves |= matches!(x, Scale::Steps { .. });
    shown.members = shown.members.max(members.len());
    shown.rows.extend(rows);
    Some(Panel { title: capitalized(&quantity::label(quantity)), x_label: x_label.to_owned(), y_label, x, y, marks })
}

/// Every number that the vertical axis has to hold.
fn values(rows: &[&Row], members: &[Vec<(u64, f64)>], log: bool) -> Vec<f64> {
    let mut values: Vec<f64> = members.iter().flatten().map(|p| p.1).collect();
    for row in rows {
        let Some(measured) = finite(row.measured) else { continue };
        let error = finite(row.std_error).unwrap_or(0.0);
        // A bar that reaches (almost) down to zero must not stretch a logarithmic axis.
        let low = if log && measured > 0.0 { (measured - error).max(measured / 3.0) } else { measured - error };
        values.extend([low, measured + error]);
        values.extend(finite(row.predicted));
    }
    values
}

/// A logarithmic scale, if all numbers but zeros ask for one, and then without the zeros, which have no place on it.
fn without_zeros<'a>(
    rows: &mut Vec<&'a Row>,
    members: &mut Vec<Vec<(u64, f64)>>,
    shown: &mut Shown<'a>,
) -> Option<Scale> {
    let some: Vec<&Row> = rows.iter().copied().filter(|r| r.measured != Some(0.0)).collect();
    let mut curves: Vec<Vec<(u64, f64)>> = members.clone();
    curves.iter_mut().for_each(|c| c.retain(|p| p.1 != 0.0));
    curves.retain(|c| !c.is_empty());
    match Scale::log_if_wide(values(&some, &curves, true)) {
        Some(scale) if scale.is_log() => {
            shown.zeros |= some.len() < rows.len();
            (*rows, *members) = (some, curves);
            Some(scale)
        }
        _ => Scale::linear(values(rows, members, false)),
    }
}

/// A thin line, or a small point next to the mean where there is one step only.
fn member_mark(curve: &[(u64, f64)]) -> Mark {
    if let [(step, value)] = *curve {
        let (at, color) = ((step as f64 - 0.05, value), palette::SKY.to_owned());
        return Mark::Point { at, shape: Marker::Circle, radius: 2.6, color, filled: true, tooltip: String::new() };
    }
    Mark::Line {
        points: curve.iter().map(|p| (p.0 as f64, p.1)).collect(),
        stroke: Stroke::solid(palette::SKY, 0.9).faded(0.55),
    }
}

/// The mean of the members' curves at every step that all of them reached.
fn plain_mean(members: &[Vec<(u64, f64)>]) -> Vec<(f64, f64)> {
    let Some(first) = members.first() else { return Vec::new() };
    let at = |curve: &Vec<(u64, f64)>, step| curve.iter().find(|point| point.0 == step).map(|point| point.1);
    let mean = |&(step, _): &(u64, f64)| {
        let values: Option<Vec<f64>> = members.iter().map(|curve| at(curve, step)).collect();
        Some((step as f64, values?.iter().sum::<f64>() / members.len() as f64))
    };
    first.iter().filter_map(mean).collect()
}

fn ensemble_marks(rows: &[&Row], is_bounded: bool, predictions: &mut PredictionMarks) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mean: Vec<(f64, f64)> = rows.iter().filter_map(|r| Some((r.step as f64, finite(r.measured)?))).collect();
    let predicted: Vec<(f64, f64)> = rows.iter().filter_map(|r| Some((r.step as f64, finite(r.predicted)?))).collect();
    let errors: Vec<(f64, f64, f64)> = rows
        .iter()
        .filter_map(|r| {
            let (value, error) = (finite(r.measured)?, finite(r.std_error)?);
            Some((r.step as f64, value - error, value + error))
        })
        .collect();
    if errors.len() > 1 {
        marks.push(Mark::Band { points: errors, color: palette::BLUE });
    } else {
        marks.extend(errors.iter().map(|&(x, low, high)| Mark::VerticalBar {
            x,
            low,
            high,
            color: palette::BLUE.to_owned(),
        }));
    }
    if mean.len() > 1 {
        marks.push(Mark::Line { points: mean, stroke: MEAN });
    }
    if is_bounded && !predicted.is_empty() {
        predictions.upper_bound = true;
        marks.push(Mark::UpperBound { points: predicted, color: palette::INK });
    } else if let [at] = predicted[..] {
        predictions.point = true;
        let (shape, color) = (Marker::Diamond, palette::INK.to_owned());
        marks.push(Mark::Point { at, shape, radius: 4.0, color, filled: false, tooltip: String::new() });
    } else if !predicted.is_empty() {
        predictions.curve = true;
        marks.push(Mark::Line { points: predicted, stroke: Stroke::dashed(palette::INK, 1.6) });
    }
    for row in rows {
        if let Some(measured) = finite(row.measured) {
            marks.push(Mark::Point {
                at: (row.step as f64, measured),
                shape: Marker::Circle,
                radius: 3.4,
                color: palette::BLUE.to_owned(),
                filled: true,
                tooltip: tooltip(row),
            });
        }
    }
    marks
}

fn legend(shown: &Shown<'_>) -> (Vec<LegendEntry>, String) {
    let point = |shape, color: &str, filled| Sample::Point { shape, color: color.to_owned(), filled };
    let (member, mean, error) = if shown.curves {
        (
            (Sample::Line(Stroke::solid(palette::SKY, 1.2)), "thin lines"),
            Sample::PointOnLine { shape: Marker::Circle, stroke: MEAN, filled: true },
            (Sample::Band(palette::BLUE), "band"),
        )
    } else {
        (
            (point(Marker::Circle, palette::SKY, true), "small points"),
            point(Marker::Circle, palette::BLUE, true),
            (Sample::Bar(palette::BLUE), "bar"),
        )
    };
    let mut entries = Vec::new();
    let mut words = Vec::new();
    if shown.members > 0 {
        entries.push(LegendEntry::new(member.0, "one member"));
        words.push(format!("{}, {}", member.1, counted(shown.members, "member")));
    }
    if shown.rows.is_empty() && shown.plain_means {
        entries.push(LegendEntry::new(Sample::Line(MEAN), "mean over members"));
    }
    if let Some(row) = shown.rows.first() {
        entries.push(LegendEntry::new(mean, "ensemble mean"));
        words.push(format!("points, the mean over members {}", row.members));
    }
    if shown.rows.iter().any(|r| finite(r.std_error).is_some()) {
        entries.push(LegendEntry::new(error.0, "± 1 standard error"));
        words.push(format!("{}, one standard error either side", error.1));
    }
    let PredictionMarks { curve, point: one_step, upper_bound } = shown.predictions;
    if curve {
        entries.push(LegendEntry::new(Sample::Line(Stroke::dashed(palette::INK, 1.6)), "predicted"));
        words.push("dashed, the prediction".to_owned());
    }
    if one_step {
        let text = if shown.curves { "predicted at this step" } else { "predicted" };
        entries.push(LegendEntry::new(point(Marker::Diamond, palette::INK, false), text));
        words.push("diamond, the prediction, which is of this step".to_owned());
    }
    if upper_bound {
        entries.push(LegendEntry::new(Sample::UpperBound(palette::INK), "upper bound"));
        words.push("dashed with strokes below, the upper bound that theory declares".to_owned());
    }
    (entries, format!("{}.", capitalized(&words.join("; "))))
}

/// `text` with an upper-case first letter.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn a_zero_is_left_off_a_logarithmic_axis_and_the_caption_says_so() {
        let records = FixtureRun { steps: vec![0, 1, 10, 1000], ..FixtureRun::small() }.records();
        let quantity = "ntk_relative_change";
        assert!(records.ensemble(quantity).iter().any(|r| r.measured == Some(0.0)));
        let drawn = |axis| figure(&records, "ntk", "title", "", &[(quantity, axis)]).unwrap();
        let (log, linear) = (drawn(StepAxis::Log), drawn(StepAxis::Linear));
        assert!(log.svg.contains("NTK relative change (log scale)</text>") && log.caption.contains("exactly zero"));
        assert!(!log.svg.contains("step 0") && linear.svg.contains("step 0"));
        assert!(!linear.caption.contains("exactly zero"));
    }

    #[test]
    fn a_mean_without_rows_is_that_of_the_members() {
        let curves = [vec![(0, 0.5), (10, 0.7), (20, 1.0)], vec![(0, 0.3), (10, 0.9)]];
        assert_eq!(plain_mean(&curves), [(0.0, 0.4), (10.0, 0.8)]);
        let records = FixtureRun::small().records();
        let figure = figure(&records, "loss", "title", "", &[("train_accuracy", StepAxis::Linear)]).unwrap();
        assert!(figure.svg.contains("mean over members</text>") && figure.caption.contains("training.csv"));
    }

    #[test]
    fn an_upper_bound_is_drawn_and_named_as_one() {
        let records = FixtureRun::small().records();
        let drawn = |quantity| figure(&records, "ntk", "title", "", &[(quantity, StepAxis::Linear)]).unwrap();
        let bounded = drawn("ntk_relative_change");
        assert!(bounded.svg.contains("upper bound</text>") && !bounded.svg.contains("predicted</text>"));
        let predicted = drawn("ntk_mean_diagonal");
        assert!(!predicted.svg.contains("upper bound</text>") && predicted.svg.contains("predicted</text>"));
    }

    #[test]
    fn one_step_is_drawn_as_points() {
        let records = FixtureRun { steps: vec![0], ..FixtureRun::small() }.records();
        let figure = figure(&records, "ntk", "title", "", &[("ntk_mean_diagonal", StepAxis::Linear)]).unwrap();
        assert!(!figure.svg.contains("<polyline points=\"\""));
        assert!(figure.caption.contains("Small points, 2 members") && !figure.caption.contains("break"));
    }
}
