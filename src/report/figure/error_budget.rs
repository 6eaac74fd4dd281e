//! Why the run differs from theory: the parts of the gap over the steps, stacked, and their sizes.

use super::super::read::Records;
use super::super::select::finite;
use super::Figure;
use crate::plot::number::exact;
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel, axis_title};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};
use crate::record::budget::{BudgetRow, Part, Split};

const X_LABEL: &str = "training step (log scale, 0 set apart)";

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let splits = [(Split::Train, "training examples"), (Split::Test, "test examples")];
    let of = |split: Split| records.budget.iter().filter(move |row| row.split == split).collect::<Vec<_>>();
    let rows = splits.map(|(split, name)| (of(split), name));
    let mut panels: Vec<Panel> = rows.iter().filter_map(|(rows, name)| shares(rows, name)).collect();
    panels.extend(rows.iter().filter_map(|(rows, name)| sizes(rows, name)));
    if panels.is_empty() {
        return None;
    }
    let mut legend: Vec<LegendEntry> = Part::ALL
        .iter()
        .enumerate()
        .map(|(index, part)| {
            LegendEntry::new(Sample::Line(Stroke::solid(palette::category(index), 2.0)), label(part.name()))
        })
        .collect();
    legend.push(LegendEntry::new(Sample::Line(Stroke::dashed(palette::INK, 1.5)), "gap"));
    let members = records.budget.iter().map(|row| row.members).max().unwrap_or(0);
    let caption = format!(
        "The gap between the run and infinite width as a chain of trajectories, each part the difference of two neighbours, mean over \
         {members} {}. Above: the sum of absolute values of each part over examples and outputs, in units of that of all parts, stacked. \
         Below: root mean square of each part and of the gap; bars, one standard error over members either side.",
        if members == 1 { "member" } else { "members" }
    );
    let title = "Error budget";
    Some(Figure {
        name: "error_budget",
        title,
        caption,
        svg: render(&panels, 2, &legend, title),
        quantities: Vec::new(),
        layered: false,
    })
}

fn label(part: &str) -> String {
    part.replace('_', " ")
}

/// Rows of one part, by step.
fn of_part<'a>(rows: &[&'a BudgetRow], part: &str) -> Vec<&'a BudgetRow> {
    rows.iter().copied().filter(|row| row.part == part).collect()
}

/// The panel of stacked shares.
fn shares(rows: &[&BudgetRow], name: &str) -> Option<Panel> {
    let mut low: Vec<(u64, f64)> = of_part(rows, Part::ALL[0].name())
        .iter()
        .filter_map(|row| finite(row.absolute_share).map(|_| (row.step, 0.0)))
        .collect();
    let x = Scale::steps(low.iter().map(|(step, _)| *step))?;
    let mut marks = Vec::new();
    let mut points = Vec::new();
    for (index, part) in Part::ALL.iter().enumerate() {
        let color = palette::category(index);
        let here: Vec<(&BudgetRow, f64)> =
            of_part(rows, part.name()).into_iter().filter_map(|row| Some((row, finite(row.absolute_share)?))).collect();
        if here.len() != low.len() {
            return None;
        }
        let band = low.iter().zip(&here).map(|((step, low), (_, share))| (*step as f64, *low, low + share)).collect();
        marks.push(Mark::Band { points: band, color });
        for ((step, low), (row, share)) in low.iter_mut().zip(here) {
            *low += share;
            points.push(Mark::Point {
                at: (*step as f64, *low),
                shape: Marker::Circle,
                radius: 2.0,
                color: color.to_owned(),
                filled: true,
                tooltip: format!("{} at step {step}\nshare {}", label(&row.part), exact(share)),
            });
        }
    }
    marks.extend(points);
    Some(Panel {
        title: format!("Shares, {name}"),
        x_label: X_LABEL.to_owned(),
        y_label: "share of the sum of absolute parts".to_owned(),
        x,
        y: Scale::linear([0.0, 1.0])?,
        marks,
    })
}

/// Both ends of the error bar of a size, the lower one kept on a logarithmic axis.
fn bar(row: &BudgetRow) -> Option<[f64; 2]> {
    let (size, error) = (row.root_mean_square, finite(row.std_error)?);
    Some([(size - error).max(size / 3.0), size + error])
}

/// The panel of sizes.
fn sizes(rows: &[&BudgetRow], name: &str) -> Option<Panel> {
    // Parts that vanish, or are rounding, have no place on a logarithmic axis.
    let largest = rows.iter().map(|row| row.root_mean_square).fold(0.0, f64::max);
    let is_shown = |row: &&BudgetRow| row.root_mean_square > 1e-9 * largest;
    let shown: Vec<&BudgetRow> = rows.iter().copied().filter(is_shown).collect();
    let x = Scale::steps(shown.iter().map(|row| row.step))?;
    let ends = shown.iter().flat_map(|row| bar(row).unwrap_or([row.root_mean_square; 2]));
    let y = Scale::log_if_wide(ends)?;
    let mut marks = Vec::new();
    let named = Part::ALL.iter().enumerate().map(|(index, part)| (part.name(), palette::category(index)));
    for (part, color) in named.chain([("gap", palette::INK)]) {
        let here = of_part(&shown, part);
        let points = here.iter().map(|row| (row.step as f64, row.root_mean_square)).collect();
        let stroke = if part == "gap" { Stroke::dashed(color, 1.5) } else { Stroke::solid(color, 1.5) };
        marks.push(Mark::Line { points, stroke });
        for row in here {
            let (at, size) = (row.step as f64, row.root_mean_square);
            let mut tooltip = format!("{} at step {}\nroot mean square {}", label(part), row.step, exact(size));
            if let Some([low, high]) = bar(row) {
                marks.push(Mark::VerticalBar { x: at, low, high, color: color.to_owned() });
            }
            if let Some(error) = finite(row.std_error) {
                tooltip.push_str(&format!("\nstandard error {}", exact(error)));
            }
            marks.push(Mark::Point {
                at: (at, size),
                shape: Marker::Circle,
                radius: 2.5,
                color: color.to_owned(),
                filled: true,
                tooltip,
            });
        }
    }
    Some(Panel {
        title: format!("Sizes, {name}"),
        x_label: X_LABEL.to_owned(),
        y_label: axis_title("RMS difference of outputs", "", &y),
        x,
        y,
        marks,
    })
}
