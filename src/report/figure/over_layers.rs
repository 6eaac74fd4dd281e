//! A panel of one quantity over the layers, one series a step or an earlier layer.

use super::super::plot::palette;
use super::super::plot::panel::{Mark, Panel};
use super::super::plot::scale::Scale;
use super::super::plot::sheet::{Entry, Sample};
use super::super::plot::svg::{Shape, Stroke};
use super::super::select::{finite, tooltip};
use crate::record::row::Row;

/// Numbers drawn in one colour.
#[derive(Debug, Clone)]
pub(super) struct Series<'a> {
    /// Place among the series of its figure; decides colour and shape.
    pub(super) index: usize,
    /// Ensemble rows with a layer.
    pub(super) rows: Vec<&'a Row>,
}

/// A panel with `series`; none if there is no number.
pub(super) fn panel(title: String, series: &[Series<'_>]) -> Option<Panel> {
    let rows = || series.iter().flat_map(|s| &s.rows);
    let mut values = Vec::new();
    for row in rows() {
        let (measured, error) = (finite(row.measured)?, finite(row.std_error).unwrap_or(0.0));
        values.extend([measured - error, measured + error]);
        values.extend(finite(row.predicted));
    }
    let y = Scale::log_if_wide(values)?;
    let x = Scale::layers(rows().filter_map(|r| r.layer))?;
    let unit = rows().map(|r| r.unit.as_str()).find(|u| !u.is_empty()).unwrap_or_default();
    let y_label = [unit, if y.is_log() { "log scale" } else { "" }];
    let y_label = y_label.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join(", ");
    // Series stand side by side, so that their error bars do not cover each other.
    let pitch = if series.len() > 1 { (0.5 / (series.len() - 1) as f64).min(0.16) } else { 0.0 };
    let shift = |place: usize| pitch * (place as f64 - 0.5 * (series.len() - 1) as f64);
    let mut marks = predicted_marks(series, shift);
    for (place, one) in series.iter().enumerate() {
        marks.extend(one.rows.iter().flat_map(|row| measured_marks(row, one.index, shift(place))));
    }
    Some(Panel { title, x_label: "layer".to_owned(), y_label, x, y, marks })
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
    let (shape, tooltip) = (Shape::category(index), tooltip(row));
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
            shape: Shape::Diamond,
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
pub(super) fn entry(index: usize, text: String) -> Entry {
    let (shape, color) = (Shape::category(index), palette::category(index).to_owned());
    Entry::new(Sample::Point { shape, color, filled: true }, text)
}

/// Legend entries for what all series share.
pub(super) fn shared_entries<'a>(rows: impl Iterator<Item = &'a Row> + Clone) -> Vec<Entry> {
    let mut entries = Vec::new();
    if rows.clone().any(|r| finite(r.std_error).is_some()) {
        entries.push(Entry::new(Sample::Bar(palette::AXIS), "± 1 standard error"));
    }
    if rows.clone().any(|r| finite(r.predicted).is_some()) {
        let stroke = Stroke::dashed(palette::INK, 1.3);
        entries.push(Entry::new(Sample::PointOnLine { shape: Shape::Diamond, stroke, filled: false }, "predicted"));
    }
    entries
}
