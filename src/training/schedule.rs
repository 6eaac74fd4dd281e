//! When to measure and when to stop.

use std::collections::BTreeSet;

use crate::config::{Schedule, Stop};

/// Steps of a member if neither steps nor epochs bound it.
const UNBOUNDED: u64 = 1_000_000;

/// The last step of a member, unless loss or time stop it earlier.
pub fn last_step(stop: &Stop, steps_per_epoch: u64) -> u64 {
    let from_epochs = stop.epochs.map(|epochs| (epochs * steps_per_epoch as f64).ceil() as u64);
    stop.steps.into_iter().chain(from_epochs).min().unwrap_or(UNBOUNDED)
}

/// The steps at which probes look, the first and the last always among them.
pub fn probe_steps(schedule: Schedule, last: u64) -> BTreeSet<u64> {
    let mut steps = BTreeSet::from([0, last]);
    match schedule {
        Schedule::Ends => {}
        Schedule::Every(n) => steps.extend((0..=last).step_by(n.max(1) as usize)),
        Schedule::Log(count) => {
            let ratio = (last.max(1) as f64).ln() / (count.max(2) - 1) as f64;
            steps.extend((0..count).map(|i| (ratio * i as f64).exp().round() as u64).filter(|step| *step <= last));
        }
    }
    steps
}

/// Steps between rows of `training.csv`: at most about 500 rows a member.
pub fn row_stride(last: u64) -> u64 {
    last.div_ceil(500).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_schedules_hold_both_ends_and_grow() {
        let steps: Vec<u64> = probe_steps(Schedule::Log(5), 10_000).into_iter().collect();
        assert_eq!(steps, [0, 1, 10, 100, 1000, 10_000]);
        assert_eq!(probe_steps(Schedule::Log(4), 0).into_iter().collect::<Vec<_>>(), [0]);
        assert_eq!(probe_steps(Schedule::Every(4), 10).into_iter().collect::<Vec<_>>(), [0, 4, 8, 10]);
        assert_eq!(probe_steps(Schedule::Ends, 7).into_iter().collect::<Vec<_>>(), [0, 7]);
    }

    #[test]
    fn the_earlier_bound_wins() {
        let stop = Stop { steps: Some(30), epochs: Some(2.0), loss: None, wall_time_s: None };
        assert_eq!(last_step(&stop, 10), 20);
        assert_eq!(last_step(&Stop { epochs: None, ..stop }, 10), 30);
    }
}
