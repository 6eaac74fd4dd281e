//! The table of quantities.

use std::collections::BTreeSet;

use super::*;

#[test]
fn whatever_is_made_from_a_tangent_kernel_weighs_layers() {
    for quantity in Quantity::ALL {
        let name = quantity.name();
        let is_tangent = name.starts_with("ntk_") || name == "gradient_covariance_trace";
        assert_eq!(quantity.weighs_layers(), is_tangent, "{name}");
    }
}

#[test]
fn names_are_distinct_and_come_back() {
    for quantity in Quantity::ALL {
        assert_eq!(quantity.name().parse::<Quantity>(), Ok(*quantity));
        assert!(quantity.of_gaussian_values().is_none_or(|level| level.name() == format!("{quantity}_null")));
    }
    let labels: BTreeSet<&str> = Quantity::ALL.iter().map(|quantity| quantity.label()).collect();
    assert_eq!(labels.len(), Quantity::ALL.len());
}

#[test]
fn whatever_is_claimed_is_predicted_and_every_probe_measures_something() {
    for quantity in Quantity::ALL {
        let Some(claim) = quantity.claim() else { continue };
        assert_ne!(quantity.theory(), Theory::None, "{quantity}");
        assert_eq!(Quantity::of_claim(claim.name), Some(*quantity));
    }
    for quantity in Quantity::ALL {
        // What takes noise off a claim is a claim itself.
        let Some((control, _)) = quantity.control().and_then(|control| control.place(Some(2), 3)) else { continue };
        assert!(control.claim().is_some_and(|claim| claim.when != When::Last), "{quantity}");
    }
    let config = crate::config::ProbesConfig::default();
    for &probe in Probe::ALL {
        assert!(Quantity::ALL.iter().any(|quantity| quantity.probe() == probe), "{probe:?}");
        assert_eq!(config.has_switch(probe), probe != Probe::Evaluation, "{probe:?} has no switch in [probes]");
    }
}
