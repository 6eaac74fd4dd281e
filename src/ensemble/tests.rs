//! A study that exists nowhere else: the final loss of small networks over learning rates and initial variances.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::tensor::Device;

use super::*;
use crate::config::{Checked, parse};
use crate::error::{Result, ensure};
use crate::measurement::evaluate;
use crate::monitor::Silent;
use crate::need;
use crate::objective::Evaluation;
use crate::record::atomic;
use crate::session::{DataSource, Session};
use crate::training::{Observer, Trainee, train};

const CONFIG: &str = r#"
    [dataset]
    source = { name = "uniform-sphere", input_dim = 3 }
    [dataset.preprocessing]
    train = 8
    test = 4
    [network]
    depth = 1
    width = 8
    [training]
    stop = { steps = 5 }
    learning_rate = { absolute = 0.05 }
    [probes]
    examples = 4
    jacobian_examples = 2
"#;

/// Points are overrides of one experiment.
const POINTS: [&[&str]; 3] = [
    &["network.sigma_w2=1.0"],
    &["network.sigma_w2=2.0", "training.learning_rate.absolute=0.1"],
    &["network.sigma_w2=2.0", "network.width=12"],
];

struct LossOverSettings {
    folder: PathBuf,
    members: usize,
    stop: StopFlag,
    /// Raises the stop once so many networks are trained.
    stops_after: Option<usize>,
    trained: AtomicUsize,
    order: Mutex<Vec<Unit>>,
}

impl LossOverSettings {
    fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(&folder).unwrap();
        let (trained, order) = (AtomicUsize::new(0), Mutex::default());
        Self { folder, members: 3, stop: StopFlag::default(), stops_after: None, trained, order }
    }

    fn experiment(&self, point: usize) -> Checked {
        let overrides: Vec<String> = POINTS[point].iter().map(|text| (*text).to_owned()).collect();
        parse(CONFIG, "test", &overrides).unwrap()
    }

    fn path(&self, unit: Unit) -> PathBuf {
        self.folder.join(format!("{}_{}", unit.point, unit.member))
    }

    fn job(&self, shard: &str) -> Result<Ended> {
        let job = Job { shard: shard.parse().unwrap(), stop: &self.stop, monitor: &Silent };
        job.run(self, Stage::networks("losses", None))
    }

    /// What is concluded: all losses, in the order of their units.
    fn conclude(&self) -> String {
        units(self).map(|unit| fs::read_to_string(self.path(unit)).unwrap() + "\n").collect()
    }
}

struct LastLoss<'a>(&'a Session<'a>, f64, &'a StopFlag);

impl Observer for LastLoss<'_> {
    fn probe(&mut self, trainee: &Trainee, _: bool) -> Result<Evaluation> {
        let evaluation = evaluate(&trainee.model, &self.0.data, self.0.experiment.training.loss);
        self.1 = evaluation.train_loss;
        Ok(evaluation)
    }

    fn is_stopped(&self) -> bool {
        self.2.is_raised()
    }
}

impl Study for LossOverSettings {
    type Point = Checked;

    fn points(&self) -> usize {
        POINTS.len()
    }

    fn members(&self) -> usize {
        self.members
    }

    fn is_done(&self, unit: Unit) -> bool {
        self.path(unit).is_file()
    }

    fn point(&self, point: usize) -> Result<Checked> {
        Ok(self.experiment(point))
    }

    fn need(&self, point: usize) -> Result<Option<Bytes>> {
        let experiment = self.experiment(point);
        let session = Session::new(&experiment, DataSource::Named(None), Device::flex())?;
        Ok(Some(need::training(&experiment, &session.architecture, 8)?))
    }

    fn train(&self, experiment: &Checked, unit: Unit) -> Result<UnitEnd> {
        ensure!(unit.member < 100, "member {} fails", unit.member);
        let session = Session::new(experiment, DataSource::Named(None), Device::flex())?;
        let rate = session.learning_rate(&session.architecture)?;
        let mut trainee = session.trainee(&session.architecture, (experiment.run.seed, unit.member), rate)?;
        let mut last = LastLoss(&session, f64::NAN, &self.stop);
        train(&mut trainee, &session.training_plan(), &mut last)?;
        atomic::write(&self.path(unit), last.1.to_string().as_bytes())?;
        self.order.lock().unwrap().push(unit);
        if Some(self.trained.fetch_add(1, Ordering::SeqCst) + 1) == self.stops_after {
            self.stop.raise();
        }
        Ok(UnitEnd::Done)
    }
}

#[test]
fn a_new_study_is_sharded_stopped_and_gone_on_with_to_the_same_result() {
    let dir = tempfile::tempdir().unwrap();
    let whole = LossOverSettings::new(dir.path().join("whole"));
    assert_eq!(whole.job("1/1").unwrap(), Ended::Complete);
    let expected = whole.conclude();
    assert_eq!(expected.lines().count(), 9);
    let mut distinct: Vec<&str> = expected.lines().collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), 9, "points and members differ");
    // Everything is there: nothing is trained again.
    assert_eq!(whole.job("1/1").unwrap(), Ended::Complete);
    assert_eq!(whole.trained.load(Ordering::SeqCst), 9);

    let sharded = LossOverSettings::new(dir.path().join("sharded"));
    assert_eq!(sharded.job("2/2").unwrap(), Ended::Unfinished { done: 4, all: 9 });
    assert_eq!(sharded.job("1/2").unwrap(), Ended::Complete);
    assert_eq!(sharded.conclude(), expected);

    let mut stopped = LossOverSettings::new(dir.path().join("stopped"));
    stopped.stops_after = Some(2);
    assert_eq!(stopped.job("1/1").unwrap(), Ended::Interrupted);
    (stopped.stop, stopped.stops_after) = (StopFlag::default(), None);
    assert_eq!(stopped.job("1/1").unwrap(), Ended::Complete);
    assert_eq!(stopped.conclude(), expected);
    assert_eq!(stopped.trained.load(Ordering::SeqCst), 9);
}

#[test]
fn networks_side_by_side_find_what_one_after_the_other_find() {
    let dir = tempfile::tempdir().unwrap();
    let of_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let study = LossOverSettings::new(dir.path().join(threads.to_string()));
        assert_eq!(pool.install(|| study.job("1/1")).unwrap(), Ended::Complete);
        study.conclude()
    };
    assert_eq!(of_threads(1), of_threads(4));
}

#[test]
fn the_first_error_in_the_order_of_units_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut study = LossOverSettings::new(dir.path().join("failing"));
    study.members = 102;
    for member in 0..100 {
        fs::write(study.path(Unit { point: 0, member }), "0").unwrap();
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    assert_eq!(pool.install(|| study.job("1/1")).unwrap_err().to_string(), "member 100 fails");
}

#[test]
fn as_many_networks_at_a_time_as_threads_and_memory_allow() {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    pool.install(|| {
        assert_eq!(side_by_side(None), 1);
        assert_eq!(side_by_side(Some(Bytes(1))), 3);
        assert_eq!(side_by_side(Some(Bytes(1 << 60))), 1);
    });
}
