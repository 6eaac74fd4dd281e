//! Which claims a run will be judged by, as far as that can be known before its first step, and whether it was judged by those.

use std::path::Path;

use crate::comparison::{claim_of, loss_places};
use crate::config::Experiment;
use crate::error::{At, Error, Result, ensure};
use crate::quantity::{Claim, ClaimScale, Quantity, Theory, When};
use crate::record::manifest::Manifest;
use crate::record::registration::{RegisteredClaim, Registration, RegistrationFault};
use crate::record::row::Row;
use crate::session::Session;
use crate::training::Outcome;
use crate::training::schedule::ProbeSteps;

/// The rule of `comparison::judge` and of [`check`](super::check()) in words.
const RULE: &str = "each member gives measured - predicted; Student's t over members tests the mean, from eight members on less what goes with \
                    its control variate, or a chi-squared law where the error is known, on both sides of a value and above a bound; the p-values of all claims are corrected together (Holm) at significance; a claim that is rejected \
                    disagrees; one that is not agrees if the measurement, four standard errors on either side, lies within resolution \
                    times its scale of the value, or below the bound; otherwise it is undecided; a run disagrees if a required claim \
                    does or a network diverged, agrees if all required claims do, and is undecided otherwise";

/// What the run of `session` will be judged by. Of a claim that theory turns out to have no prediction for there will be no rows.
pub(super) fn registration(session: &Session<'_>) -> Registration {
    let Experiment { run, claims, control, .. } = &**session.experiment;
    Registration {
        registration_version: Registration::VERSION,
        widthwise_version: env!("CARGO_PKG_VERSION").to_owned(),
        run: run.name.clone(),
        seed: run.seed,
        members: run.members,
        last_step: session.last_step,
        config_hash: session.config_hash.clone(),
        data_hash: session.data_hash.clone(),
        rule: RULE.to_owned(),
        significance: claims.significance,
        resolution: claims.resolution,
        required: claims.required.clone(),
        control: control.clone(),
        claims: registered_claims(session),
        configuration: session.config_text.clone(),
    }
}

fn registered_claims(session: &Session<'_>) -> Vec<RegisteredClaim> {
    let Experiment { probes, claims, .. } = &**session.experiment;
    let is_measured = |quantity: Quantity| {
        let has_examples = quantity != Quantity::TestLoss || session.prepared.test.n > 0;
        probes.is_on(quantity.probe()) && has_examples
    };
    let found = Quantity::ALL.iter().copied().filter(|quantity| is_measured(*quantity));
    found
        .filter_map(|quantity| {
            let Claim { name, when, scale } = quantity.claim()?;
            let registered = RegisteredClaim {
                name: name.to_owned(),
                quantity: quantity.name().to_owned(),
                is_required: claims.required.iter().any(|required| required == name),
                sides: if quantity.theory() == Theory::UpperBound { "upper" } else { "two" }.to_owned(),
                scale: match scale {
                    ClaimScale::Prediction => "prediction",
                    ClaimScale::Of(other) => other.name(),
                    ClaimScale::One => "one",
                }
                .to_owned(),
                when: name_of(when).to_owned(),
                layers: if when == When::FirstHidden { (1..=session.columns.depth).collect() } else { Vec::new() },
                steps: claimed_steps(when, &session.probe_steps),
            };
            Some(registered).filter(|registered| !registered.steps.is_empty())
        })
        .collect()
}

fn name_of(when: When) -> &'static str {
    match when {
        When::First => "first",
        When::FirstHidden => "first_hidden",
        When::Ends => "ends",
        When::Last => "last",
        When::FourSteps => "four_steps",
    }
}

/// The steps that `comparison::claim_of` takes, of a run that reaches the last of those at which it measures.
fn claimed_steps(when: When, measured: &ProbeSteps) -> Vec<u64> {
    let count = measured.count();
    let places: Vec<u64> = match when {
        When::First | When::FirstHidden => vec![0],
        When::Ends => vec![0, count - 1],
        When::Last => (count > 1).then(|| count - 1).into_iter().collect(),
        When::FourSteps => loss_places(count).collect(),
    };
    let mut steps: Vec<u64> = places.into_iter().filter_map(|place| measured.nth(place)).collect();
    steps.dedup();
    steps
}

/// What was registered of the run in `folder`, with the SHA-256 of the file; nothing for a run that was not registered.
///
/// # Errors
/// No run there, or a registration that is not the one the manifest names.
pub fn registered(folder: &Path) -> Result<Option<(Registration, String)>> {
    recall(folder, &Manifest::read(folder)?)
}

pub(super) fn recall(folder: &Path, manifest: &Manifest) -> Result<Option<(Registration, String)>> {
    let text = Registration::found_in(folder).at("read the registration in", folder)?;
    let found = Registration::recall(manifest.registration.as_deref(), text.as_deref()).map_err(in_folder(folder))?;
    Ok(found.zip(manifest.registration.clone()))
}

/// The SHA-256 of what was registered of a run that is gone on with; nothing for one that was begun before there were registrations.
/// Configuration and data are those of the run.
pub(super) fn gone_on_with(folder: &Path, manifest: &Manifest, now: &Registration) -> Result<Option<String>> {
    let Some((begun, hash)) = recall(folder, manifest)? else { return Ok(None) };
    // Only another program has another rule, or other claims.
    ensure!(
        hash == now.hash(),
        Folder: "{} was registered by another version of this program ({}, this is {}), which may judge by another rule; go on with that \
                 version, or start again with --force",
        folder.display(),
        begun.widthwise_version,
        now.widthwise_version
    );
    Ok(Some(hash))
}

/// Refuses a run of which something else is judged than was registered: another configuration, or rows of the ensemble that nobody
/// foresaw.
pub(super) fn expect_registered(folder: &Path, manifest: &Manifest, judged: &Experiment, rows: &[Row]) -> Result<()> {
    let Some((registration, _)) = recall(folder, manifest)? else { return Ok(()) };
    expect_same(&registration, manifest, judged, rows).map_err(in_folder(folder))
}

fn expect_same(
    registration: &Registration,
    manifest: &Manifest,
    judged: &Experiment,
    rows: &[Row],
) -> Result<(), RegistrationFault> {
    registration.expect_config(judged)?;
    registration.expect_manifest(manifest)?;
    let mut steps: Vec<u64> = rows.iter().map(|row| row.step).collect();
    steps.sort_unstable();
    steps.dedup();
    let is_whole = manifest.outcome == Outcome::Finished;
    let unforeseen = rows.iter().find_map(|row| {
        let claim = claim_of(row, &steps)?;
        (!registration.foresees(claim, row.layer, row.step, is_whole)).then_some((claim, row))
    });
    unforeseen.map_or(Ok(()), |(claim, row)| {
        let layer = row.layer.map_or_else(String::new, |layer| format!(" of layer {layer}"));
        Err(RegistrationFault::Unregistered { claim: format!("{claim}{layer}"), step: row.step })
    })
}

fn in_folder(folder: &Path) -> impl Fn(RegistrationFault) -> Error {
    move |fault| Error::Registration { folder: folder.to_owned(), fault: fault.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Schedule;
    use crate::record::row::RunColumns;

    /// The steps that are registered are those that `claim_of` picks out of the rows of a run.
    #[test]
    fn steps_are_those_that_are_judged() {
        let columns = RunColumns {
            run: String::new(),
            seed: 1,
            dataset: String::new(),
            family: String::new(),
            parameterization: String::new(),
            width: 1,
            depth: 2,
        };
        let schedules = [Schedule::Every(1), Schedule::Every(7), Schedule::Log(5), Schedule::Log(14), Schedule::Ends];
        for schedule in schedules {
            for last in [0, 1, 2, 3, 5, 30, 31] {
                let measured = ProbeSteps::new(schedule, last);
                let steps: Vec<u64> = measured.iter().collect();
                for quantity in Quantity::ALL.iter().copied() {
                    let Some(claim) = quantity.claim() else { continue };
                    let layer = (claim.when == When::FirstHidden).then_some(1);
                    let judged = steps.iter().copied().filter(|step| {
                        let mut row = columns.row("0..4".into(), (*step, None), (quantity.name(), ""), (None, layer));
                        row.predicted = Some(1.0);
                        claim_of(&row, &steps) == Some(claim.name)
                    });
                    let case = format!("{} under {schedule:?} to {last}", claim.name);
                    assert_eq!(claimed_steps(claim.when, &measured), judged.collect::<Vec<_>>(), "{case}");
                }
            }
        }
    }

    #[test]
    fn the_rule_is_that_of_the_numbers() {
        use widthwise_statistics::Estimate;
        use widthwise_statistics::judge::{Sides, is_resolved};
        assert!(RULE.contains("four standard errors on either side"));
        let found = |std_error| Estimate { value: 1.02, std_error };
        assert!(is_resolved(found(0.0199), 1.0, Sides::Two, 0.1) && !is_resolved(found(0.0201), 1.0, Sides::Two, 0.1));
    }

    /// No schedule is written out.
    #[test]
    fn the_longest_schedules_are_registered_at_once() {
        let last = i64::MAX as u64;
        let measured = ProbeSteps::new(Schedule::Every(1), last);
        assert_eq!(claimed_steps(When::Ends, &measured), [0, last]);
        let quarters = claimed_steps(When::FourSteps, &measured);
        assert_eq!((quarters.len(), quarters[1], quarters[3]), (4, last.div_ceil(2), last));
    }
}
