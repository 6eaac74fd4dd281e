//! When to measure and when to stop.

use crate::config::{ProbesConfig, Schedule, Stop};
use crate::quantity::Probe;

/// Steps of a member if neither steps nor epochs bound it.
const UNBOUNDED: u64 = 1_000_000;

/// The last step of a member, unless loss or time stop it earlier.
pub fn last_step(stop: &Stop, steps_per_epoch: u64) -> u64 {
    let from_epochs = stop.epochs.map(|epochs| (epochs * steps_per_epoch as f64).ceil() as u64);
    stop.steps.into_iter().chain(from_epochs).min().unwrap_or(UNBOUNDED)
}

/// The steps at which probes measure, 0 and the last always among them. Every n-th step is worked out, not stored: a schedule of
/// 2^63 steps takes no memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSteps {
    /// Distances of the multiples that belong to the schedule up to the last step.
    every: Vec<u64>,
    /// Other steps, ascending, 0 and the last among them.
    listed: Vec<u64>,
    last: u64,
}

impl ProbeSteps {
    /// The steps of `schedule` up to `last`.
    pub fn new(schedule: Schedule, last: u64) -> Self {
        let mut listed = vec![0, last];
        if let Schedule::Log(count) = schedule {
            let ratio = (last.max(1) as f64).ln() / (count.max(2) - 1) as f64;
            listed.extend((0..count).map(|i| (ratio * i as f64).exp().round() as u64).filter(|step| *step <= last));
        }
        listed.sort_unstable();
        listed.dedup();
        let every = if let Schedule::Every(n) = schedule { vec![n.max(1)] } else { Vec::new() };
        Self { every, listed, last }
    }

    /// These steps and `step`, unless it lies after the last.
    pub fn with(mut self, step: u64) -> Self {
        if let Err(place) = self.listed.binary_search(&step)
            && step <= self.last
        {
            self.listed.insert(place, step);
        }
        self
    }

    /// These steps and those of `other`, up to the same last step.
    pub fn and(mut self, other: &Self) -> Self {
        self.every.extend(&other.every);
        self.every.sort_unstable();
        self.every.dedup();
        self.listed.extend(&other.listed);
        self.listed.sort_unstable();
        self.listed.dedup();
        self
    }

    /// Whether probes examine `step`.
    pub fn contains(&self, step: u64) -> bool {
        self.is_multiple(step) || self.listed.binary_search(&step).is_ok()
    }

    /// How many steps there are.
    pub fn count(&self) -> u64 {
        // Multiples of some of the distances, by inclusion and exclusion: multiples of all in a set are those of its least common multiple.
        let last = i128::from(self.last);
        let mut multiples = i128::from(!self.every.is_empty());
        for set in 1..1_usize << self.every.len() {
            let chosen = (0..self.every.len()).filter(|index| set >> index & 1 == 1);
            let common = chosen
                .map(|index| i128::from(self.every[index]))
                .try_fold(1, |a, b| Some(a / greatest_common_divisor(a, b) * b).filter(|multiple| *multiple <= last));
            let sign = if set.count_ones() % 2 == 1 { 1 } else { -1 };
            multiples += common.map_or(0, |common| sign * (last / common));
        }
        let listed = self.listed.iter().filter(|step| !self.is_multiple(**step)).count() as u64;
        u64::try_from(multiples).unwrap_or(u64::MAX).saturating_add(listed)
    }

    /// The step of this place in their order, counted from 0.
    pub fn nth(&self, place: u64) -> Option<u64> {
        // The first step up to which there are more than `place`.
        let (mut low, mut high) = (0, self.last);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.up_to(middle).count() > place { high = middle } else { low = middle + 1 }
        }
        (self.up_to(low).count() > place).then_some(low)
    }

    /// Those that are at most `step`.
    fn up_to(&self, step: u64) -> Self {
        let listed = self.listed[..self.listed.partition_point(|listed| *listed <= step)].to_vec();
        Self { every: self.every.clone(), listed, last: step.min(self.last) }
    }

    /// The steps in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        std::iter::successors(Some(0), |step| self.after(*step))
    }

    /// The steps from `first` to `last` in order.
    pub fn between(&self, first: u64, last: u64) -> impl Iterator<Item = u64> {
        let start = if self.contains(first) { Some(first) } else { self.after(first) };
        std::iter::successors(start, |step| self.after(*step)).take_while(move |step| *step <= last)
    }

    /// The last step before `step`.
    pub fn before(&self, step: u64) -> Option<u64> {
        let below = step.checked_sub(1)?;
        let multiple = self.every.iter().map(|n| below.min(self.last) / n * n).max();
        let listed = self.listed[..self.listed.partition_point(|listed| *listed < step)].last().copied();
        multiple.max(listed)
    }

    /// The first step after `step`.
    fn after(&self, step: u64) -> Option<u64> {
        let next = |n: u64| (step / n).checked_add(1)?.checked_mul(n);
        let multiple = self.every.iter().filter_map(|n| next(*n)).filter(|next| *next <= self.last);
        let listed = self.listed.get(self.listed.partition_point(|listed| *listed <= step)).copied();
        multiple.into_iter().chain(listed).min()
    }

    fn is_multiple(&self, step: u64) -> bool {
        step <= self.last && self.every.iter().any(|n| step.is_multiple_of(*n))
    }
}

fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// When each probe of a run is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSchedule {
    common: ProbeSteps,
    own: Vec<(Probe, ProbeSteps)>,
}

impl ProbeSchedule {
    /// The schedule of `config` for members of `last` steps.
    pub fn new(config: &ProbesConfig, last: u64) -> Self {
        let steps = |probe| Some((probe, ProbeSteps::new(config.own_schedule(probe)?.1, last)));
        Self {
            common: ProbeSteps::new(config.schedule, last),
            own: Probe::ALL.iter().copied().filter_map(steps).collect(),
        }
    }

    /// The steps at which `probe` is taken.
    pub fn of(&self, probe: Probe) -> &ProbeSteps {
        self.own.iter().find(|(own, _)| *own == probe).map_or(&self.common, |(_, steps)| steps)
    }

    /// The steps at which any is: those of the snapshots, each with an evaluation.
    pub fn all(&self) -> ProbeSteps {
        self.own.iter().fold(self.common.clone(), |all, (_, steps)| all.and(steps))
    }
}

/// Steps between rows of `training.csv`: at most about 500 rows a member.
pub fn row_stride(last: u64) -> u64 {
    last.div_ceil(500).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::ProbeConfig;

    fn steps(schedule: Schedule, last: u64) -> Vec<u64> {
        ProbeSteps::new(schedule, last).iter().collect()
    }

    #[test]
    fn log_schedules_hold_both_ends_and_grow() {
        assert_eq!(steps(Schedule::Log(5), 10_000), [0, 1, 10, 100, 1000, 10_000]);
        assert_eq!(steps(Schedule::Log(4), 0), [0]);
        assert_eq!(steps(Schedule::Every(4), 10), [0, 4, 8, 10]);
        assert_eq!(steps(Schedule::Ends, 7), [0, 7]);
    }

    /// Against a set of all steps.
    #[test]
    fn steps_that_are_not_stored_answer_as_a_set_of_them() {
        let every = [1, 2, 3, 7, 30, 31, u64::MAX].map(Schedule::Every);
        let log = [1, 2, 3, 10, 1000].map(Schedule::Log);
        for schedule in every.into_iter().chain(log).chain([Schedule::Ends]) {
            for last in [0, 1, 2, 29, 30, 31] {
                let plain = ProbeSteps::new(schedule, last);
                let mut expected: BTreeSet<u64> = BTreeSet::from([0, last]);
                match schedule {
                    Schedule::Every(n) => expected.extend((0..=last).filter(|step| step % n == 0)),
                    Schedule::Log(count) => expected.extend((0..count).filter_map(|i| {
                        let exponent = (last.max(1) as f64).ln() * i as f64 / (count.max(2) - 1) as f64;
                        Some(exponent.exp().round() as u64).filter(|step| *step <= last)
                    })),
                    Schedule::Ends => {}
                }
                for (found, extra) in
                    [(plain.clone(), None), (plain.clone().with(1), Some(1)), (plain.with(5), Some(5))]
                {
                    let mut expected = expected.clone();
                    expected.extend(extra.filter(|step| *step <= last));
                    let case = format!("{schedule:?} to {last} with {extra:?}");
                    assert!(found.iter().eq(expected.iter().copied()), "{case}");
                    assert_eq!(found.count(), expected.len() as u64, "{case}");
                    let in_order = (0..=found.count()).map(|place| found.nth(place)).collect::<Vec<_>>();
                    assert_eq!(
                        in_order,
                        expected.iter().copied().map(Some).chain([None]).collect::<Vec<_>>(),
                        "{case}"
                    );
                    for step in 0..=last + 2 {
                        assert_eq!(found.contains(step), expected.contains(&step), "{case}: {step}");
                        assert_eq!(found.before(step), expected.range(..step).next_back().copied(), "{case}: {step}");
                        assert!(
                            found
                                .between(step, 20)
                                .eq(expected.range(step..=step.max(20)).copied().filter(|s| *s <= 20)),
                            "{case}"
                        );
                    }
                }
            }
        }
    }

    /// No set of these would fit into any memory.
    #[test]
    fn the_longest_schedules_answer_at_once() {
        for last in [100_000_000, 1 << 62, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX] {
            let all = ProbeSteps::new(Schedule::Every(1), last).with(1);
            assert_eq!(all.count(), last.saturating_add(1));
            assert_eq!(all.before(last), Some(last - 1));
            assert_eq!([0, last / 3, last - 1].map(|place| all.nth(place)), [0, last / 3, last - 1].map(Some));
            assert!(all.contains(last / 3) && all.contains(last));
            assert_eq!(all.between(last - 1, u64::MAX).collect::<Vec<_>>(), [last - 1, last]);
            let thirds = ProbeSteps::new(Schedule::Every(3), last);
            let is_third = last.is_multiple_of(3);
            assert_eq!(thirds.count(), last / 3 + if is_third { 1 } else { 2 });
            assert_eq!(thirds.iter().take(3).collect::<Vec<_>>(), [0, 3, 6]);
            let log = ProbeSteps::new(Schedule::Log(1_000_000), last);
            assert!(log.count() <= 1_000_002 && log.contains(0) && log.contains(1) && log.contains(last));
            assert!(log.iter().is_sorted());
            assert_eq!(ProbeSteps::new(Schedule::Ends, last).count(), 2);
        }
    }

    /// Against a set of all steps.
    #[test]
    fn joined_schedules_answer_as_the_union_of_their_steps() {
        let schedules = [Schedule::Every(6), Schedule::Every(4), Schedule::Every(10), Schedule::Log(5), Schedule::Ends];
        for last in [0, 1, 59, 60, 61, 200] {
            let mut joined = ProbeSteps::new(Schedule::Ends, last);
            let mut expected = BTreeSet::from([0, last]);
            for schedule in schedules {
                joined = joined.and(&ProbeSteps::new(schedule, last));
                expected.extend(steps(schedule, last));
                assert!(joined.iter().eq(expected.iter().copied()), "{schedule:?} to {last}");
                assert_eq!(joined.count(), expected.len() as u64, "{schedule:?} to {last}");
                assert!((0..=last + 2).all(|step| joined.before(step) == expected.range(..step).next_back().copied()));
            }
        }
    }

    #[test]
    fn a_probe_without_a_schedule_follows_the_common_one() {
        let own = ProbeConfig { is_on: true, schedule: Some(Schedule::Every(50)) };
        let config = ProbesConfig { schedule: Schedule::Every(20), ntk: own, ..ProbesConfig::default() };
        let schedule = ProbeSchedule::new(&config, 100);
        let of = |probe| schedule.of(probe).iter().collect::<Vec<_>>();
        assert_eq!(of(Probe::Ntk), [0, 50, 100]);
        assert_eq!(of(Probe::GradientCovariance), [0, 50, 100]);
        assert_eq!(of(Probe::Nngp), [0, 20, 40, 60, 80, 100]);
        assert!(schedule.all().iter().eq([0, 20, 40, 50, 60, 80, 100]));
    }

    #[test]
    fn the_earlier_bound_wins() {
        let stop = Stop { steps: Some(30), epochs: Some(2.0), loss: None, wall_time_s: None };
        assert_eq!(last_step(&stop, 10), 20);
        assert_eq!(last_step(&Stop { epochs: None, ..stop }, 10), 30);
    }
}
