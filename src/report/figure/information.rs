//! The information plane: I(T;Y) against I(X;T), one trajectory a layer, coloured by step. A bound is named on its axis, with an arrow towards
//! the values that it allows; a saturated point, too close to a ceiling to tell anything, is hollow.
//!
//! Ceilings are drawn where the CSV has them: `information_input_ceiling` (ln of the number of examples) and
//! `information_label_ceiling` (ln of the number of classes, or the entropy of the labels).

use super::super::read::Records;
use super::super::select::{error_sentence, finite, latest, tooltip};
use super::{Figure, sentences};
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel, axis_title};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};
use crate::quantity::{Flag, Kind, Quantity};
use crate::record::row::Row;

const INPUT_CEILING: &str = Quantity::InformationInputCeiling.name();
const LABEL_CEILING: &str = Quantity::InformationLabelCeiling.name();

/// One panel: how information is estimated, what is across and what upwards, each with the title of its axis.
#[derive(Debug, Clone, Copy)]
struct InformationPlane {
    title: &'static str,
    across: (Quantity, &'static str),
    upwards: (Quantity, &'static str),
}

const KDE_LABEL: (Quantity, &str) = (Quantity::InformationLabelKde, "I(T + noise; Y), estimate");

const PLANES: [InformationPlane; 3] = [
    InformationPlane {
        title: "Binning",
        across: (Quantity::InformationInputBinning, "I(X; binned T)"),
        upwards: (Quantity::InformationLabelBinning, "I(binned T; Y)"),
    },
    InformationPlane {
        title: "KDE, upper bound",
        across: (Quantity::InformationInputKdeUpper, "I(X; T + noise), upper bound"),
        upwards: KDE_LABEL,
    },
    InformationPlane {
        title: "KDE, lower bound",
        across: (Quantity::InformationInputKdeLower, "I(X; T + noise), lower bound"),
        upwards: KDE_LABEL,
    },
];

/// Both coordinates of a layer at a step.
type PlanePoint<'a> = (&'a Row, &'a Row);

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let mut planes: Vec<(InformationPlane, Vec<PlanePoint<'_>>)> = Vec::new();
    let mut drawn = Vec::new();
    for plane in PLANES {
        let names = [plane.across.0.name(), plane.upwards.0.name()];
        let pairs = pairs(records, names[0], names[1]);
        if !pairs.is_empty() {
            planes.push((plane, pairs));
            drawn.extend(names);
        }
    }
    let all = || planes.iter().flat_map(|(_, pairs)| pairs.iter().copied());
    let mut layers: Vec<usize> = all().filter_map(|(x, _)| x.layer).collect();
    layers.sort_unstable();
    layers.dedup();
    let steps = Scale::steps(all().map(|(x, _)| x.step))?;
    let ceilings = [INPUT_CEILING, LABEL_CEILING].map(|quantity| ceiling(records, quantity));
    let panels: Vec<Panel> =
        planes.iter().filter_map(|(plane, pairs)| panel(*plane, pairs, &layers, &steps, ceilings)).collect();
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
    let has_bounds = all().any(|(x, _)| allows_less(x).is_some());
    let has_saturated = all().any(is_saturated);
    if has_saturated {
        let sample = Sample::Point { shape: Marker::Circle, color: palette::AXIS.to_owned(), filled: false };
        legend.push(LegendEntry::new(sample, "saturated"));
    }
    if has_bounds {
        legend.push(LegendEntry::new(Sample::Arrow(palette::AXIS), "bound: the value lies this way"));
    }
    let caption = sentences(&[
        "Mutual information of each layer's activations T with the input X and with the label Y, mean over the ensemble. One \
         trajectory a layer, its colour follows the logarithm of the step; bars, one standard error either side.",
        if ceilings.iter().any(Option::is_some) {
            "Dashed, the ceilings that the number of examples and the labels set."
        } else {
            ""
        },
        if has_saturated {
            "Hollow points are saturated: within half a nat of a ceiling, where the examples are too few to tell."
        } else {
            ""
        },
        if has_bounds {
            "Arrows at the last step point from a bound towards the values that it allows; the estimate of I(T + noise; Y) is a \
             difference of bounds."
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

/// Whether the number of `row` is a bound, and whether the value itself is then less.
fn allows_less(row: &Row) -> Option<bool> {
    match row.kind? {
        Kind::Upper => Some(true),
        Kind::Lower => Some(false),
        Kind::Exact | Kind::Estimate => None,
    }
}

fn is_saturated((across, upwards): PlanePoint<'_>) -> bool {
    [across, upwards].into_iter().any(|row| row.flag == Some(Flag::Saturated))
}

fn panel(
    plane: InformationPlane,
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
        let bound = pairs.last().and_then(|(across, upwards)| {
            let at = (finite(across.measured)?, finite(upwards.measured)?);
            let color = palette::ramp(steps.position(across.step as f64));
            Some(Mark::Arrow { at, left: allows_less(across)?, color })
        });
        marks.extend(bound);
        for pair in pairs {
            marks.extend(pair_marks(pair, index, &palette::ramp(steps.position(pair.0.step as f64))));
        }
    }
    let unit = pairs.first().map_or("", |p| p.0.unit.as_str());
    let all_saturated = pairs.iter().copied().all(is_saturated);
    let title = format!("{}{}", plane.title, if all_saturated { ", all points saturated" } else { "" });
    let (x_label, y_label) = (axis_title(plane.across.1, unit, &x), axis_title(plane.upwards.1, unit, &y));
    Some(Panel { title, x_label, y_label, x, y, marks })
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
    let filled = !is_saturated((across, upwards));
    marks.push(Mark::Point { at: (x, y), shape: Marker::category(index), radius: 4.2, color, filled, tooltip });
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn bounds_and_saturated_points_are_marked_and_named() {
        let mut records = FixtureRun::small().records();
        let figure = draw(&records).unwrap();
        for text in ["I(X; T + noise), upper bound [nats]", "saturated</text>", "the value lies this way</text>"] {
            assert!(figure.svg.contains(text), "{text}");
        }
        for row in &mut records.rows {
            (row.kind, row.flag) = (None, None);
        }
        let plain = draw(&records).unwrap();
        assert!(!plain.svg.contains("saturated") && !plain.svg.contains("this way"));
        let binning = Quantity::InformationInputBinning.name();
        for row in records.rows.iter_mut().filter(|row| row.quantity == binning) {
            row.flag = Some(Flag::Saturated);
        }
        assert!(draw(&records).unwrap().svg.contains("Binning, all points saturated"));
    }
}
