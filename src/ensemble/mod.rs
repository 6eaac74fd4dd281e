//! Studies: networks at one or many points, each with its members, trained side by side and kept until all are there.
//!
//! A [`Study`] says what is trained and what is kept of it; a [`Job`] does the rest, the same for runs, ladders, explanations,
//! recipes and sampled kernels: it leaves out what is there already, takes its shard, trains as many networks at a time as threads
//! and memory allow, reports progress and stops when asked to. A [`Unit`] is done when its file is there, whole; nothing else
//! remembers what was done. Results depend neither on shards nor on what is trained side by side: units draw from streams of
//! their own names, and are read in the order of their numbers.

mod shard;
#[cfg(test)]
mod tests;

use rayon::prelude::*;

use crate::error::Result;
use crate::memory::{self, Bytes};
use crate::monitor::{Monitor, Stage};
use crate::signals::StopFlag;
use crate::training::sharing_threads;

pub use shard::Shard;

/// One network of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unit {
    /// Its point, from 0.
    pub point: usize,
    /// Its number among the networks of the point, from 0.
    pub member: usize,
}

/// How work on a unit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitEnd {
    /// What it left is there, whole.
    Done,
    /// A stop was asked for; what was kept of it, if anything, is gone on with.
    Stopped,
    /// Another process is at it.
    Elsewhere,
}

/// What is trained, and what is kept of it.
pub trait Study: Sync {
    /// What the members of a point share.
    type Point: Send + Sync;

    /// Points: settings of an experiment, such as a width or a learning rate; one if there are none.
    fn points(&self) -> usize {
        1
    }

    /// Networks at each point.
    fn members(&self) -> usize;

    /// Whether what `unit` leaves is there.
    fn is_done(&self, unit: Unit) -> bool;

    /// Prepares a point, once for the units that are trained side by side.
    ///
    /// # Errors
    /// What keeps any of its members from being trained.
    fn point(&self, point: usize) -> Result<Self::Point>;

    /// Bytes of one network at a point while it is trained; `None` where networks take turns, as on a device of their own.
    ///
    /// # Errors
    /// Shapes that do not fit.
    fn need(&self, point: usize) -> Result<Option<Bytes>>;

    /// Trains a unit and writes what it leaves, last of all the file by which [`Study::is_done`] knows it.
    ///
    /// # Errors
    /// A failure to train or to write.
    fn train(&self, point: &Self::Point, unit: Unit) -> Result<UnitEnd>;
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All units of the study are there.
    Complete,
    /// A stop was asked for.
    Interrupted,
    /// This shard is done and others are not.
    Unfinished {
        /// Units that are there.
        done: usize,
        /// Units of the study.
        all: usize,
    },
}

impl Ended {
    /// Of one study and another.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Interrupted, _) | (_, Self::Interrupted) => Self::Interrupted,
            (unfinished @ Self::Unfinished { .. }, _) => unfinished,
            (Self::Complete, other) => other,
        }
    }
}

/// One process's part of a study.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Which part.
    pub shard: Shard,
    /// Asks for a stop.
    pub stop: &'a StopFlag,
    /// Hears of progress.
    pub monitor: &'a dyn Monitor,
}

impl Job<'_> {
    /// Trains what is missing of this shard, and says what is missing then. `name` is told with the progress.
    ///
    /// # Errors
    /// The first error of a unit, in their order; units that were at work besides it are ended first.
    pub fn run<S: Study>(&self, study: &S, stage: Stage<'_>) -> Result<Ended> {
        let units: Vec<Unit> = units(study).collect();
        let mine = || units.iter().enumerate().filter(|(index, _)| self.shard.owns(*index)).map(|(_, unit)| *unit);
        let missing: Vec<Unit> = mine().filter(|unit| !study.is_done(*unit)).collect();
        let all = mine().count();
        self.monitor.stage(&Stage { done: all - missing.len(), all, ..stage });
        let mut at_once = Vec::new();
        for unit in &missing {
            if at_once.last().is_none_or(|(point, _)| *point != unit.point) {
                at_once.push((unit.point, side_by_side(study.need(unit.point)?)));
            }
        }
        let count_at =
            |unit: &Unit| at_once.iter().find(|(point, _)| *point == unit.point).map_or(1, |(_, count)| *count);
        // Points that allow as many networks at a time share a queue, so that no thread waits for the last of a point.
        for queue in missing.chunk_by(|a, b| count_at(a) == count_at(b)) {
            let mut prepared: Vec<(usize, S::Point)> = Vec::new();
            for group in queue.chunks(count_at(&queue[0])) {
                if self.stop.is_raised() {
                    return Ok(Ended::Interrupted);
                }
                prepared.retain(|(point, _)| group.iter().any(|unit| unit.point == *point));
                for unit in group {
                    if prepared.iter().all(|(point, _)| *point != unit.point) {
                        prepared.push((unit.point, study.point(unit.point)?));
                    }
                }
                if !self.train(study, &prepared, group)? {
                    return Ok(Ended::Interrupted);
                }
            }
        }
        let done = units.iter().filter(|unit| study.is_done(**unit)).count();
        Ok(if done == units.len() { Ended::Complete } else { Ended::Unfinished { done, all: units.len() } })
    }

    /// Trains `group` side by side; false if a stop was asked for.
    fn train<S: Study>(&self, study: &S, prepared: &[(usize, S::Point)], group: &[Unit]) -> Result<bool> {
        let train = |unit: &Unit| -> Result<UnitEnd> {
            let Some((_, point)) = prepared.iter().find(|(point, _)| *point == unit.point) else {
                unreachable!("all points of the group are prepared")
            };
            let ended = sharing_threads(group.len(), || study.train(point, *unit))?;
            if ended == UnitEnd::Done {
                self.monitor.advanced(unit.member);
            }
            Ok(ended)
        };
        let ended: Vec<Result<UnitEnd>> = group.par_iter().with_max_len(1).map(train).collect();
        let ended = ended.into_iter().collect::<Result<Vec<_>>>()?;
        Ok(!ended.contains(&UnitEnd::Stopped))
    }
}

/// All units of a study, point by point.
pub fn units<S: Study>(study: &S) -> impl Iterator<Item = Unit> {
    let members = study.members();
    (0..study.points()).flat_map(move |point| (0..members).map(move |member| Unit { point, member }))
}

/// Networks of `need` bytes each to train at a time: one a thread, as far as half of the free memory goes.
fn side_by_side(need: Option<Bytes>) -> usize {
    let Some(need) = need else { return 1 };
    let room = memory::free().map_or(u64::MAX, |free| free.bytes.0 / 2);
    usize::try_from(room / need.0.max(1)).unwrap_or(usize::MAX).clamp(1, rayon::current_num_threads())
}
