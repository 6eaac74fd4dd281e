//! A panel of one quantity over the training steps, and the legend such panels share.

use super::super::plot::palette;
use super::super::plot::panel::{Mark, Panel};
use super::super::plot::scale::Scale;
use super::super::plot::sheet::{Entry, Sample, render};
use super::super::plot::svg::{Shape, Stroke};
use super::super::read::Records;
use super::super::select::{error_sentence, finite, tooltip};
use super::super::{claims::counted, quantity};
use super::{Figure, sentences};
use crate::record::row::Row;

/// Vertical axis of a panel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Axis {
    /// Straight.
    Linear,
    /// Logarithmic if the numbers are positive and span enough.
    Log,
}

/// What the panels of one figure show, for legend and caption.
#[derive(Debug, Default)]
struct Shown<'a> {
    rows: Vec<&'a Row>,
    members: usize,
}

/// A figure with one panel for each of `quantities` that has numbers; `about` opens its caption.
pub(super) fn figure(
    records: &Records,
    name: &'static str,
    title: &'static str,
    about: &str,
    quantities: &[(&'static str, Axis)],
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
        "The axis of training steps is logarithmic; step 0 stands before the break.",
        &error_sentence(shown.rows.iter().copied()),
    ]);
    Some(Figure { name, title, caption, svg: render(&panels, columns, &legend, title), quantities: drawn })
}

fn panel<'a>(records: &'a Records, quantity: &str, axis: Axis, shown: &mut Shown<'a>) -> Option<Panel> {
    let mut rows = records.ensemble(quantity);
    rows.retain(|r| r.layer.is_none() && r.layer_from.is_none());
    let members = records.members(quantity);
    let mut values = Vec::new();
    let mut steps: Vec<u64> = rows.iter().map(|r| r.step).collect();
    for (step, value) in members.iter().flatten() {
        steps.push(*step);
        values.push(*value);
    }
    for row in &rows {
        let (measured, error) = (finite(row.measured)?, finite(row.std_error).unwrap_or(0.0));
        // A bar that reaches (almost) down to zero must not stretch a logarithmic axis.
        let low =
            if axis == Axis::Log && measured > 0.0 { (measured - error).max(measured / 3.0) } else { measured - error };
        values.extend([low, measured + error]);
        values.extend(finite(row.predicted));
    }
    let y = match axis {
        Axis::Linear => Scale::linear(values),
        Axis::Log => Scale::log_if_wide(values),
    }?;
    let mut marks: Vec<Mark> = members
        .iter()
        .map(|curve| Mark::Line {
            points: curve.iter().map(|p| (p.0 as f64, p.1)).collect(),
            stroke: Stroke::solid(palette::SKY, 0.9).faded(0.55),
        })
        .collect();
    marks.extend(ensemble_marks(&rows));
    let unit = rows.iter().map(|r| r.unit.as_str()).find(|u| !u.is_empty()).unwrap_or_default();
    let scale_note = if y.is_log() { "log scale" } else { "" };
    let y_label = [unit, scale_note].into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(", ");
    shown.members = shown.members.max(members.len());
    shown.rows.extend(rows);
    Some(Panel {
        title: capitalized(quantity::label(quantity)),
        x_label: "training step (log scale, 0 set apart)".to_owned(),
        y_label,
        x: Scale::steps(steps)?,
        y,
        marks,
    })
}

fn ensemble_marks(rows: &[&Row]) -> Vec<Mark> {
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
    marks.push(Mark::Line { points: mean, stroke: Stroke::solid(palette::BLUE, 1.8) });
    for row in rows {
        if let Some(measured) = finite(row.measured) {
            marks.push(Mark::Point {
                at: (row.step as f64, measured),
                shape: Shape::Circle,
                radius: 3.4,
                color: palette::BLUE.to_owned(),
                filled: true,
                tooltip: tooltip(row),
            });
        }
    }
    if let [at] = predicted[..] {
        let (shape, color) = (Shape::Diamond, palette::INK.to_owned());
        marks.push(Mark::Point { at, shape, radius: 4.0, color, filled: false, tooltip: String::new() });
    } else if !predicted.is_empty() {
        marks.push(Mark::Line { points: predicted, stroke: Stroke::dashed(palette::INK, 1.6) });
    }
    marks
}

fn legend(shown: &Shown<'_>) -> (Vec<Entry>, String) {
    let mut entries = Vec::new();
    let mut words = Vec::new();
    if shown.members > 0 {
        entries.push(Entry::new(Sample::Line(Stroke::solid(palette::SKY, 1.2)), "one member"));
        words.push(format!("thin lines, {}", counted(shown.members, "member")));
    }
    if let Some(row) = shown.rows.first() {
        let stroke = Stroke::solid(palette::BLUE, 1.8);
        entries.push(Entry::new(Sample::PointOnLine { shape: Shape::Circle, stroke, filled: true }, "ensemble mean"));
        words.push(format!("points, the mean over members {}", row.members));
    }
    if shown.rows.iter().any(|r| finite(r.std_error).is_some()) {
        entries.push(Entry::new(Sample::Band(palette::BLUE), "± 1 standard error"));
        words.push("band, one standard error either side".to_owned());
    }
    if shown.rows.iter().any(|r| finite(r.predicted).is_some()) {
        entries.push(Entry::new(Sample::Line(Stroke::dashed(palette::INK, 1.6)), "predicted"));
        words.push("dashed, the prediction or the declared bound".to_owned());
    }
    (entries, format!("{}.", capitalized(&words.join("; "))))
}

/// `text` with an upper-case first letter.
pub(super) fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
