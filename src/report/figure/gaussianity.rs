//! How Gaussian the pre-activations are, over the layers, at the first and the last step.

use super::super::read::Records;
use super::Figure;
use super::over_layers::figure;
use crate::quantity::Quantity;

pub(super) fn draw(records: &Records) -> Option<Figure> {
    let about = if records.ensemble(Quantity::Kurtosis.name()).is_empty() {
        "Moments of the pre-activations of each layer, mean over the ensemble."
    } else {
        "Moments of the pre-activations of each layer, mean over the ensemble. The kurtosis \
         E z⁴ / (E z²)², without the bias of few values, is 3 for a Gaussian."
    };
    let quantities = [
        Quantity::Kurtosis.name(),
        Quantity::PreactivationVariance.name(),
        Quantity::Skewness.name(),
        Quantity::KsDistance.name(),
    ];
    figure(records, "gaussianity", "Gaussianity of pre-activations", about, &quantities)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plot::palette;
    use crate::report::fixture::FixtureRun;

    #[test]
    fn what_gaussian_values_come_to_is_drawn_where_it_is_known() {
        let mut records = FixtureRun::small().records();
        let figure = draw(&records).unwrap();
        assert!(figure.svg.contains(palette::LEVEL) && figure.svg.contains("distance, n = 192</text>"));
        assert!(figure.caption.contains("95 % of ensembles"), "{}", figure.caption);
        records.rows.retain(|row| !row.quantity.ends_with("_null"));
        let figure = draw(&records).unwrap();
        assert!(!figure.svg.contains(palette::LEVEL) && !figure.caption.contains("95 % of ensembles"));
    }
}
