//! The information plane: I(T;Y) against I(X;T), one trajectory a layer, coloured by step.
//!
//! Ceilings are drawn where the CSV has them: `information_input_ceiling` (ln of the number of examples) and
//! `information_label_ceiling` (ln of the number of classes, or the entropy of the labels).

use super::super::read::Records;
use super::super::select::{error_sentence, finite, latest, tooltip};
use super::{Figure, sentences};
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};
use crate::quantity::Quantity;
use crate::record::row::Row;

const INPUT_CEILING: &str = Quantity::InformationInputCeiling.name();
const LABEL_CEILING: &str = Quantity::InformationLabelCeiling.name();

/// Title, quantity across, quantity upwards.
const PLANES: [(&str, &str, &str); 3] = [
    ("Binning", Quantity::InformationInputBinning.name(), Quantity::InformationLabelBinning.name()),
    ("KDE, upper bound of I(X;T)", Quantity::InformationInputKdeUpper.name(), Quantity::InformationLabelKde.name()),
    ("KDE, lower bound of I(X;T)", Quantity::InformationInputKdeLower.name(), Quantity::InformationLabelKde.name()),
];

/// Both coordinates of a layer at a step.
type PlanePoint<'a> = (&'a Row, &'a Row);

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let mut planes: Vec<(&str, Vec<PlanePoint<'_>>)> = Vec::new();
    let mut drawn = Vec::new();
    for (title, across, upwards) in PLANES {
        let pairs = pairs(records, across, upwards);
        if !pairs.is_empty() {
            planes.push((title, pairs));
            drawn.extend([across, upwards]);
        }
    }
    let all = || planes.iter().flat_map(|(_, pairs)| pairs.iter().copied());
    let mut layers: Vec<usize> = all().filter_map(|(x, _)| x.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    let steps = Scale::steps(all().map(|(x, _)| x.step))?;
    let ceilings = [INPUT_CEILING, LABEL_CEILING].map(|quantity| ceiling(records, quantity));
    let panels: Vec<Panel> =
        planes.iter().filter_map(|(title, pairs)| plane(title, pairs, &layers, &steps, ceilings)).collect();
    if panels.is_empty() {
        return None;
    }
    let mut legend = Vec::new();
    let shown_steps = || all().map(|(x, _)| x.step);
    if let Some((from, to)) = shown_steps().min().zip(shown_steps().max()).filter(|(from, to)| from < to) {
        legend.push(LegendEntry::new(Sample::Ramp { from: from.to_string(), to: to.to_string() }, "step"));
    }
    legend.extend(layers.iter().enumerate().map(|(index, layer)| {
        let sample = Sample::Point { shape: Marker::category(index), color: palette::AXIS.to_owned(), filled: true };
        LegendEntry::new(sample, format!("layer {layer}"))
    }));
    let rows: Vec<&Row> = all().flat_map(|(x, y)| [x, y]).collect();
    let caption = sentences(&[
        "Mutual information of each layer's activations T with the input X and with the label Y, mean over the ensemble. One \
         trajectory a layer, its colour follows the logarithm of the step; bars, one standard error either side.",
        if ceilings.iter().any(Option::is_some) {
            "Dashed, the ceilings that the number of examples and the labels set."
        } else {
            ""
        },
        &error_sentence(rows),
    ]);
    let title = "Information plane";
    let svg = render(&panels, 3, &legend, title);
    Some(Figure { name: "information_plane", title, caption, svg, quantities: drawn, layered: true })
}

/// Rows of both quantities at the same layer and step, by layer and step.
fn pairs<'a>(records: &'a Records, across: &str, upwards: &str) -> Vec<PlanePoint<'a>> {
    let upwards = records.ensemble(upwards);
    let mut pairs: Vec<PlanePoint<'a>> = records
        .ensemble(across)
        .into_iter()
        .filter(|x| x.layer.is_some())
        .filter_map(|x| Some((x, *upwards.iter().find(|y| y.layer == x.layer && y.step == x.step)?)))
        .collect();
    pairs.sort_by_key(|(x, _)| (x.layer, x.step));
    pairs
}

fn ceiling(records: &Records, quantity: &str) -> Option<f64> {
    latest(records.ensemble(quantity)).first().and_then(|r| finite(r.measured))
}

fn plane(
    title: &str,
    pairs: &[PlanePoint<'_>],
    layers: &[usize],
    steps: &Scale,
    ceilings: [Option<f64>; 2],
) -> Option<Panel> {
    let span = |rows: &mut dyn Iterator<Item = &Row>, ceiling: Option<f64>| {
        let mut values: Vec<f64> = Vec::new();
        for row in rows {
            let (measured, error) = (finite(row.measured)?, finite(row.std_error).unwrap_or(0.0));
            values.extend([measured - error, measured + error]);
        }
        values.extend(ceiling);
        Scale::linear(values)
    };
    let x = span(&mut pairs.iter().map(|p| p.0), ceilings[0])?;
    let y = span(&mut pairs.iter().map(|p| p.1), ceilings[1])?;
    let mut marks = Vec::new();
    marks.extend(ceilings[0].map(|x| Mark::Upright { x, label: "ceiling of I(X;T)".to_owned() }));
    marks.extend(ceilings[1].map(|y| Mark::Level { y, label: "ceiling of I(T;Y)".to_owned() }));
    let trajectories = layers.iter().enumerate().map(|(index, &layer)| {
        let of_layer: Vec<PlanePoint<'_>> = pairs.iter().copied().filter(|p| p.0.layer == Some(layer)).collect();
        (index, of_layer)
    });
    for (index, pairs) in trajectories {
        let points: Vec<(f64, f64)> = pairs.iter().filter_map(|p| Some((p.0.measured?, p.1.measured?))).collect();
        if points.len() > 1 {
            marks.push(Mark::Line { points, stroke: Stroke::solid(palette::AXIS, 1.0).faded(0.5) });
        }
        for pair in pairs {
            marks.extend(pair_marks(pair, index, &palette::ramp(steps.position(pair.0.step as f64))));
        }
    }
    let unit = pairs.first().map_or("", |p| p.0.unit.as_str());
    let named = |name: &str| if unit.is_empty() { name.to_owned() } else { format!("{name} [{unit}]") };
    Some(Panel { title: title.to_owned(), x_label: named("I(X;T)"), y_label: named("I(T;Y)"), x, y, marks })
}

fn pair_marks((across, upwards): PlanePoint<'_>, index: usize, color: &str) -> Vec<Mark> {
    let (Some(x), Some(y)) = (finite(across.measured), finite(upwards.measured)) else { return Vec::new() };
    let mut marks = Vec::new();
    let color = color.to_owned();
    marks.extend(finite(across.std_error).map(|e| Mark::HorizontalBar {
        y,
        low: x - e,
        high: x + e,
        color: color.clone(),
    }));
    marks.extend(finite(upwards.std_error).map(|e| Mark::VerticalBar {
        x,
        low: y - e,
        high: y + e,
        color: color.clone(),
    }));
    let tooltip = format!("{}\n{}", tooltip(across), tooltip(upwards).lines().skip(1).collect::<Vec<_>>().join("\n"));
    marks.push(Mark::Point { at: (x, y), shape: Marker::category(index), radius: 4.2, color, filled: true, tooltip });
    marks
}
