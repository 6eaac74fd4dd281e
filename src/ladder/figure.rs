//! The figure of a ladder: a panel a quantity, means over members against the width on logarithmic axes, the fitted powers and the
//! declared ones. Every number in it stands in `means.csv` or `fits.csv`.

use widthwise_statistics::power_law::PowerLaw;
use widthwise_statistics::{Estimate, StudentEstimate};

use super::fit::{Fit, FitStatistic};
use super::folder::MeanRow;
use super::quantity::LadderQuantity;
use crate::plot::palette;
use crate::plot::panel::{Mark, Panel, axis_title};
use crate::plot::scale::Scale;
use crate::plot::sheet::{LegendEntry, Sample, render};
use crate::plot::svg::{Marker, Stroke};

/// Points of a drawn line: a power is straight only where both axes are logarithmic.
const LINE_POINTS: i32 = 32;

/// Draws the figure; `None` without a fitted exponent.
pub(super) fn draw(means: &[MeanRow], fits: &[Fit]) -> Option<String> {
    let fits: Vec<&Fit> = fits.iter().filter(|fit| fit.statistic == FitStatistic::ExponentOfMean).collect();
    let panels: Vec<Panel> =
        fits.chunk_by(|a, b| a.quantity == b.quantity).filter_map(|fits| panel(means, fits)).collect();
    let most_layers = fits.iter().filter_map(|fit| fit.layer).max().unwrap_or(1);
    let layers = (1..=most_layers).map(|layer| {
        let (shape, color) = (Marker::category(layer - 1), palette::category(layer - 1).to_owned());
        LegendEntry::new(
            Sample::Point { shape, color, filled: true },
            if layer == 1 { "layer 1, or the whole network".to_owned() } else { format!("layer {layer}") },
        )
    });
    let mut legend: Vec<LegendEntry> = layers.collect();
    legend.push(LegendEntry::new(Sample::Bar(palette::AXIS), "standard error over members"));
    legend.push(LegendEntry::new(Sample::Line(Stroke::solid(palette::AXIS, 1.5)), "fit, where it is used"));
    legend.push(LegendEntry::new(Sample::Line(Stroke::dashed(palette::INK, 1.2)), "declared power"));
    (!panels.is_empty()).then(|| render(&panels, 2, &legend, "means over members against the width"))
}

fn panel(means: &[MeanRow], fits: &[&Fit]) -> Option<Panel> {
    let quantity = fits.first()?.quantity;
    let of = |fit: &Fit| -> Vec<&MeanRow> {
        means.iter().filter(|row| (row.quantity, row.layer) == (fit.quantity, fit.layer)).collect()
    };
    let mut marks = Vec::new();
    let (mut all_widths, mut heights) = (Vec::new(), Vec::new());
    for fit in fits {
        let category = fit.layer.unwrap_or(1) - 1;
        let (shape, color) = (Marker::category(category), palette::category(category));
        let rows = of(fit);
        for row in &rows {
            all_widths.push(row.width as f64);
        }
        marks.extend(lines(fit, color));
        for row in rows {
            let (x, error) = (row.width as f64, row.std_error.unwrap_or(0.0));
            let (low, high) = ((row.mean - error).max(0.5 * row.mean), row.mean + error);
            heights.extend([low, high]);
            marks.push(Mark::VerticalBar { x, low, high, color: color.to_owned() });
            let tooltip =
                format!("{}\nwidth {}\nmean {:?}\nstandard error {error:?}", title(quantity), row.width, row.mean);
            let at = (x, row.mean);
            marks.push(Mark::Point { at, shape, radius: 4.0, color: color.to_owned(), filled: true, tooltip });
        }
    }
    let (x, y) = (Scale::log_if_wide(all_widths)?, Scale::log_if_wide(heights)?);
    Some(Panel {
        title: title(quantity).to_owned(),
        x_label: axis_title("width n", "", &x),
        y_label: axis_title(measure(quantity), "", &y),
        x,
        y,
        marks,
    })
}

/// The fitted power, with its correction, over the widths of the fit, and the declared one through its middle.
fn lines(fit: &Fit, color: &'static str) -> Vec<Mark> {
    let widths: Vec<f64> = fit.widths.split(' ').filter_map(|width| width.parse().ok()).collect();
    let ends = widths.first().zip(widths.last());
    let (Some((&first, &last)), Some(exponent), Some(prefactor)) = (ends, fit.value, fit.prefactor) else {
        return Vec::new();
    };
    let law = PowerLaw {
        exponent: StudentEstimate { estimate: Estimate::exact(exponent), freedom: f64::INFINITY },
        prefactor,
        correction: fit.correction.map(Estimate::exact),
    };
    let line = |height: &dyn Fn(f64) -> f64, stroke| {
        let point = |i: i32| {
            let width = first * (last / first).powf(f64::from(i) / f64::from(LINE_POINTS));
            (width, height(width))
        };
        Mark::Line { points: (0..=LINE_POINTS).map(point).collect(), stroke }
    };
    let middle = (first * last).sqrt();
    let mut marks = vec![line(&|width| law.at(width), Stroke::solid(color, 1.5))];
    marks.extend(fit.declared.map(|declared| {
        let height = |width: f64| law.at(middle) * (width / middle).powf(declared);
        line(&height, Stroke::dashed(palette::INK, 1.2))
    }));
    marks
}

fn title(quantity: LadderQuantity) -> &'static str {
    match quantity {
        LadderQuantity::LinearizationGap => "Outputs: distance from the own linearization",
        LadderQuantity::FullNtkRelativeChange => "Relative change of the NTK",
        LadderQuantity::InfiniteKernelGap => "Outputs: distance from those of infinite width",
        LadderQuantity::FullNtkDistance => "Initial NTK: relative distance from its limit",
        LadderQuantity::WeightChange => "Relative change of the weights",
        LadderQuantity::FirstPreactivationChange => "Change of pre-activations, first step",
        LadderQuantity::PreactivationChange => "Change of pre-activations, last step",
        LadderQuantity::NtkMeanDiagonal => "NTK, mean diagonal",
        LadderQuantity::NtkMeanOffDiagonal => "NTK, mean off the diagonal",
        LadderQuantity::TrainLoss => "Training loss",
        LadderQuantity::TrainLossGap => "Training loss less that of infinite width",
        LadderQuantity::TargetOverlapGap => "Overlap with the targets less that of infinite width",
        LadderQuantity::Diverged => "Diverged",
    }
}

/// What stands next to the vertical axis: how the quantity is measured.
fn measure(quantity: LadderQuantity) -> &'static str {
    match quantity {
        LadderQuantity::LinearizationGap | LadderQuantity::InfiniteKernelGap => "distance of the outputs",
        LadderQuantity::FullNtkRelativeChange => "|Θ − Θ₀| / |Θ₀|",
        LadderQuantity::FullNtkDistance => "|Θ₀ − Θ∞| / |Θ∞|",
        LadderQuantity::WeightChange => "|W − W₀| / |W₀|",
        LadderQuantity::FirstPreactivationChange | LadderQuantity::PreactivationChange => "RMS change",
        LadderQuantity::NtkMeanDiagonal | LadderQuantity::NtkMeanOffDiagonal => "mean entry of the NTK",
        LadderQuantity::TrainLoss | LadderQuantity::TrainLossGap => "training loss",
        LadderQuantity::TargetOverlapGap => "overlap with the targets",
        LadderQuantity::Diverged => "share of members",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(declared: Option<f64>) -> Fit {
        Fit {
            quantity: LadderQuantity::WeightChange,
            layer: Some(2),
            statistic: FitStatistic::ExponentOfMean,
            value: Some(-0.5),
            low: Some(-0.6),
            high: Some(-0.4),
            std_error: Some(0.05),
            prefactor: Some(2.0),
            declared,
            accepted_low: None,
            accepted_high: None,
            z: None,
            widths: "64 256 1024".into(),
            members: 3,
            verdict: None,
            remark: String::new(),
            form: None,
            correction: Some(-16.0),
            correction_std_error: None,
            correction_declared: None,
            freedom: None,
            p_value: None,
            is_growing: None,
        }
    }

    fn mean(width: usize) -> MeanRow {
        MeanRow {
            quantity: LadderQuantity::WeightChange,
            layer: Some(2),
            width,
            members: 3,
            mean: 2.0 * (width as f64).powf(-0.5),
            std_error: Some(0.01),
            median: 0.1,
        }
    }

    #[test]
    fn a_figure_is_well_formed_and_holds_the_means() {
        let means = [64, 256, 1024].map(mean);
        let svg = draw(&means, &[fit(Some(-0.5))]).unwrap();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let tooltips: Vec<_> = document.descendants().filter(|n| n.tag_name().name() == "title").collect();
        assert_eq!(tooltips.len(), 3);
        crate::plot::assert_texts_are_words("ladder", &svg);
        for (tooltip, mean) in tooltips.iter().zip(&means) {
            assert!(tooltip.text().unwrap().contains(&format!("mean {:?}", mean.mean)));
        }
        let polylines = |svg: &str| svg.matches("<polyline").count();
        assert_eq!(polylines(&svg), polylines(&draw(&means, &[fit(None)]).unwrap()) + 1);
        assert_eq!(draw(&means, &[]), None);
    }
}
