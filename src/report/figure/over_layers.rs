//! A panel of one quantity over the layers, one series a step or an earlier layer, and figures of such panels.

use super::super::quantity;
use super::super::read::Records;
use super::super::select::{end_steps, error_sentence, finite, tooltip};
use super::over_steps::capitalized;
use super::{Figure, sentences};
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel, axis_title};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};
use crate::quantity::Quantity;
use crate::record::row::Row;

/// Numbers drawn in one colour.
#[derive(Debug, Clone)]
pub(super) struct Series<'a> {
    /// Place among the series of its figure; decides colour and shape.
    pub(super) index: usize,
    /// Ensemble rows with a layer.
    pub(super) rows: Vec<&'a Row>,
    /// What the same numbers would be for Gaussian values, where that was found.
    pub(super) levels: Vec<&'a Row>,
}

/// Spreads of a level on either side that are drawn.
const LEVEL_SPREADS: f64 = 2.0;

/// Both ends of the level of `row`.
fn level(row: &Row) -> Option<[f64; 2]> {
    let (mean, spread) = (finite(row.measured)?, finite(row.std_error)?);
    Some([mean - LEVEL_SPREADS * spread, mean + LEVEL_SPREADS * spread])
}

/// What `quantity` would be for Gaussian values, where that was found.
fn levels_of<'a>(records: &'a Records, quantity: &str) -> Vec<&'a Row> {
    let level = quantity.parse().ok().and_then(Quantity::of_gaussian_values);
    level.map(|level| records.ensemble(level.name())).unwrap_or_default()
}

/// A figure with one panel for each of `quantities` that has numbers, at the first and the last step; `about` opens its caption.
pub(super) fn figure(
    records: &Records,
    name: &'static str,
    title: &'static str,
    about: &str,
    quantities: &[&'static str],
) -> Option<Figure> {
    let mut panels = Vec::new();
    let mut shown = Vec::new();
    let mut drawn = Vec::new();
    let mut has_levels = false;
    let all: Vec<_> = quantities
        .iter()
        .map(|&quantity| {
            let mut rows = records.ensemble(quantity);
            rows.retain(|r| r.layer.is_some());
            (quantity, rows)
        })
        .collect();
    let steps = end_steps(&all.iter().flat_map(|(_, rows)| rows.iter().copied()).collect::<Vec<_>>());
    for (quantity, rows) in all {
        let series: Vec<Series<'_>> = steps
            .iter()
            .enumerate()
            .map(|(index, &step)| {
                let mut levels = levels_of(records, quantity);
                levels.retain(|r| r.step == step);
                Series { index, rows: rows.iter().copied().filter(|r| r.step == step).collect(), levels }
            })
            .filter(|s| !s.rows.is_empty())
            .collect();
        let label = quantity::label(quantity);
        let title = format!("{}{}", capitalized(&label), values_of_levels(&series));
        if let Some(panel) = panel(title, &label, &series) {
            panels.push(panel);
            drawn.push(quantity);
            shown.extend(series.iter().flat_map(|s| s.rows.iter().copied()));
            has_levels |= series.iter().any(|s| !s.levels.is_empty());
        }
    }
    if panels.is_empty() {
        return None;
    }
    let mut legend: Vec<_> =
        steps.iter().enumerate().map(|(index, step)| entry(index, format!("step {step}"))).collect();
    legend.extend(shared_entries(shown.iter().copied()));
    if has_levels {
        legend.push(LegendEntry::new(Sample::Bar(palette::LEVEL), "n Gaussian values"));
    }
    let is_predicted = shown.iter().any(|row| finite(row.predicted).is_some());
    let marks = if is_predicted {
        "Diamonds and dashed lines, where drawn, are the prediction; bars, one standard error either side."
    } else {
        "Bars are one standard error either side."
    };
    let gaussian = "Grey bars are where 95 % of ensembles of n independent Gaussian values at one input lie, grey points their mean.";
    let levels = if has_levels { gaussian } else { "" };
    let caption = sentences(&[about, marks, &error_sentence(shown.iter().copied()), levels]);
    let columns = if panels.len() == 3 { 3 } else { 2 };
    let svg = render(&panels, columns, &legend, title);
    Some(Figure { name, title, caption, svg, quantities: drawn, layered: true })
}

/// A panel with `series`; none if there is no number.
pub(super) fn panel(title: String, quantity: &str, series: &[Series<'_>]) -> Option<Panel> {
    let rows = || series.iter().flat_map(|s| &s.rows);
    let mut values = Vec::new();
    for row in rows() {
        let (measured, error) = (finite(row.measured)?, finite(row.std_error).unwrap_or(0.0));
        values.extend([measured - error, measured + error]);
        values.extend(finite(row.predicted));
    }
    values.extend(series.iter().flat_map(|s| &s.levels).filter_map(|row| level(row)).flatten());
    let y = Scale::log_if_wide(values)?;
    let x = Scale::layers(rows().filter_map(|r| r.layer))?;
    let unit = rows().map(|r| r.unit.as_str()).find(|u| !u.is_empty()).unwrap_or_default();
    let y_label = axis_title(quantity, unit, &y);
    // Series stand side by side, so that their error bars do not cover each other.
    let pitch = if series.len() > 1 { (0.5 / (series.len() - 1) as f64).min(0.16) } else { 0.0 };
    let shift = |place: usize| pitch * (place as f64 - 0.5 * (series.len() - 1) as f64);
    let mut marks = Vec::new();
    for (place, one) in series.iter().enumerate() {
        marks.extend(one.levels.iter().flat_map(|row| level_marks(row, shift(place))));
    }
    marks.extend(predicted_marks(series, shift));
    for (place, one) in series.iter().enumerate() {
        marks.extend(one.rows.iter().flat_map(|row| measured_marks(row, one.index, shift(place))));
    }
    Some(Panel { title, x_label: "layer".to_owned(), y_label, x, y, marks })
}

/// The level of Gaussian values, next to the points that are held against it.
fn level_marks(row: &Row, shift: f64) -> Vec<Mark> {
    let (Some([low, high]), Some(mean), Some(layer)) = (level(row), finite(row.measured), row.layer) else {
        return Vec::new();
    };
    let (x, color) = (layer as f64 + shift, palette::LEVEL.to_owned());
    let bar = Mark::VerticalBar { x, low, high, color: color.clone() };
    let (shape, tooltip) = (Marker::Circle, tooltip(row));
    vec![bar, Mark::Point { at: (x, mean), shape, radius: 3.4, color, filled: true, tooltip }]
}

/// For the title of a panel, how many values its levels are of, where their method says so: `, n = 192`.
fn values_of_levels(series: &[Series<'_>]) -> String {
    let number = |row: &&Row| row.method.strip_prefix("gaussian_values(")?.strip_suffix(')')?.parse::<usize>().ok();
    let numbers = || series.iter().flat_map(|one| &one.levels).filter_map(number);
    match numbers().min().zip(numbers().max()) {
        None => String::new(),
        Some((least, most)) if least == most => format!(", n = {most}"),
        Some((least, most)) => format!(", n = {least} to {most}"),
    }
}

fn measured_marks(row: &Row, index: usize, shift: f64) -> Vec<Mark> {
    let (Some(measured), Some(layer)) = (finite(row.measured), row.layer) else { return Vec::new() };
    let (x, color) = (layer as f64 + shift, palette::category(index).to_owned());
    let bar = finite(row.std_error).map(|e| Mark::VerticalBar {
        x,
        low: measured - e,
        high: measured + e,
        color: color.clone(),
    });
    let (shape, tooltip) = (Marker::category(index), tooltip(row));
    let point = Mark::Point { at: (x, measured), shape, radius: 4.0, color, filled: true, tooltip };
    bar.into_iter().chain([point]).collect()
}

/// A dashed line a series, shifted with it; where all series are predicted alike, one in ink.
fn predicted_marks(series: &[Series<'_>], shift: impl Fn(usize) -> f64) -> Vec<Mark> {
    let predicted = |one: &Series<'_>| {
        let mut points: Vec<(f64, f64)> =
            one.rows.iter().filter_map(|r| Some((r.layer? as f64, finite(r.predicted)?))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        points
    };
    let alike = series.windows(2).all(|w| predicted(&w[0]) == predicted(&w[1]));
    let (mut lines, mut points) = (Vec::new(), Vec::new());
    for (place, one) in series.iter().enumerate().take(if alike { 1 } else { series.len() }) {
        let color = if alike { palette::INK } else { palette::category(one.index) };
        let side = if alike { 0.0 } else { shift(place) };
        let line: Vec<(f64, f64)> = predicted(one).into_iter().map(|(x, y)| (x + side, y)).collect();
        points.extend(line.iter().map(|&at| Mark::Point {
            at,
            shape: Marker::Diamond,
            radius: if series.len() > 4 { 4.2 } else { 5.6 },
            color: color.to_owned(),
            filled: false,
            tooltip: String::new(),
        }));
        if line.len() > 1 {
            lines.push(Mark::Line { points: line, stroke: Stroke::dashed(color, 1.3) });
        }
    }
    lines.extend(points);
    lines
}

/// Legend entry of the series at `index`.
pub(super) fn entry(index: usize, text: String) -> LegendEntry {
    let (shape, color) = (Marker::category(index), palette::category(index).to_owned());
    LegendEntry::new(Sample::Point { shape, color, filled: true }, text)
}

/// Legend entries for what all series share.
pub(super) fn shared_entries<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> Vec<LegendEntry> {
    let mut entries = Vec::new();
    if rows.clone().any(|r| finite(r.std_error).is_some()) {
        entries.push(LegendEntry::new(Sample::Bar(palette::AXIS), "± 1 standard error"));
    }
    if rows.clone().any(|r| finite(r.predicted).is_some()) {
        let stroke = Stroke::dashed(palette::INK, 1.3);
        entries
            .push(LegendEntry::new(Sample::PointOnLine { shape: Marker::Diamond, stroke, filled: false }, "predicted"));
    }
    entries
}
