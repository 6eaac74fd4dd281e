//! Quantities that no figure of their own shows: a new one is drawn without an edit here.

use super::super::read::Records;
use super::{Figure, over_layers, over_steps};
use crate::quantity::Quantity;

/// What is said by other means: levels and ceilings stand behind what is held against them, and some numbers are parts of another.
const WITHIN_OTHERS: [Quantity; 8] = [
    Quantity::KurtosisNull,
    Quantity::SkewnessNull,
    Quantity::KsDistanceNull,
    Quantity::ExcessKurtosis,
    Quantity::InformationInputCeiling,
    Quantity::InformationLabelCeiling,
    Quantity::InformationLabelKdeUpper,
    Quantity::InformationLabelKdeLower,
];

/// Over the steps and over the layers what `drawn` does not show.
pub(super) fn draw(records: &Records, drawn: &[Figure]) -> [Option<Figure>; 2] {
    let rest = |is_layered: bool| -> Vec<&'static str> {
        let is_left = |quantity: &Quantity| {
            let rows = records.ensemble(quantity.name());
            !WITHIN_OTHERS.contains(quantity)
                && rows.iter().any(|row| row.layer.is_some() == is_layered && row.layer_from.is_none())
                && !drawn.iter().any(|figure| figure.quantities.contains(&quantity.name()))
        };
        Quantity::ALL.iter().filter(|quantity| is_left(quantity)).map(|quantity| quantity.name()).collect()
    };
    let over_time: Vec<_> = rest(false).into_iter().map(|name| (name, over_steps::StepAxis::Log)).collect();
    let about = "Quantities without a figure of their own.";
    [
        over_steps::figure(records, "other_quantities", "Other quantities", about, &over_time),
        over_layers::figure(records, "other_layers", "Other quantities of layers", about, &rest(true)),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::draw_all;
    use super::*;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn what_no_figure_shows_is_drawn_here() {
        let records = FixtureRun::small().records();
        let mut drawn = draw_all(&records);
        assert_eq!(draw(&records, &drawn), [None, None]);
        drawn.retain(|figure| !["ntk", "layer_motion"].contains(&figure.name));
        let [steps, layers] = draw(&records, &drawn).map(Option::unwrap);
        assert_eq!(steps.quantities, ["ntk_mean_diagonal", "ntk_relative_change", "ntk_target_alignment"]);
        assert_eq!(layers.quantities, ["ntk_layer_share", "weight_distance", "weight_rms_change"]);
    }
}
