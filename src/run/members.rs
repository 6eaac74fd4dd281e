//! A run as a study: one point, the experiment, and its members.

use std::path::Path;

use burn::tensor::{DType, Device, Tensor};
use faer::Mat;
use widthwise_tensors::to_matrix;

use super::folder;
use super::recorder::Recorder;
use crate::ensemble::{Job, Study, Unit, UnitEnd};
use crate::error::{Error, Result, bail, ensure};
use crate::memory::Bytes;
use crate::network::LayerParameters;
use crate::prediction::Theory;
use crate::record::checkpoint::{self, Position};
use crate::record::folder::make;
use crate::record::kill_point::kill_point;
use crate::record::lock::Lock;
use crate::record::manifest::MemberEnd;
use crate::session::Session;
use crate::training::{Outcome, Trainee, TrainingPlan, train};

/// The members of a run and what they share.
pub(super) struct Members<'a> {
    /// Of the run.
    pub(super) folder: &'a Path,
    pub(super) session: &'a Session<'a>,
    pub(super) theory: &'a Theory<'a>,
    pub(super) learning_rate: f64,
    pub(super) plan: TrainingPlan<'a>,
    pub(super) job: Job<'a>,
}

impl Members<'_> {
    /// How a member ended, if it did under this configuration and on these data.
    pub(super) fn end(&self, member: usize) -> Option<MemberEnd> {
        let end = MemberEnd::read(&folder::member(self.folder, member))?;
        let Session { config_hash, data_hash, .. } = self.session;
        (end.config_hash == *config_hash && end.data_hash == *data_hash && end.outcome.member == member).then_some(end)
    }

    /// The position and the tensors of a checkpoint, or those of a start.
    fn found(&self, folder: &Path, member: usize) -> Result<(Position, checkpoint::ParameterSets)> {
        let path = folder.join(checkpoint::FILE);
        if !path.is_file() {
            return Ok((self.session.start(member), Vec::new()));
        }
        let (position, sets) = checkpoint::read(&path, &self.session.data.train.inputs.device())?;
        self.session.expect_same(&position, member, self.folder)?;
        Ok((position, sets))
    }
}

impl Study for Members<'_> {
    type Point = ();

    fn members(&self) -> usize {
        self.session.experiment.run.members
    }

    fn is_done(&self, unit: Unit) -> bool {
        // Another process may have come to the end of the run, after which members no longer say that they have ended.
        self.end(unit.member).is_some() || folder::is_over(self.folder)
    }

    fn point(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn need(&self, _: usize) -> Result<Option<Bytes>> {
        let need = self.session.need()?;
        Ok((self.session.device == Device::flex()).then(|| need.training.max(need.probing)))
    }

    fn train(&self, _: &(), Unit { member, .. }: Unit) -> Result<UnitEnd> {
        let folder = folder::member(self.folder, member);
        make(&folder)?;
        let Some(_lock) = Lock::try_acquire(&folder)? else { return Ok(UnitEnd::Elsewhere) };
        if self.end(member).is_some() {
            return Ok(UnitEnd::Done);
        }
        let session = self.session;
        let name = (session.experiment.run.seed, member);
        let mut trainee = session.trainee(&session.architecture, name, self.learning_rate)?;
        let initial_weights = trainee.model.parameters.clone();
        let (position, sets) = self.found(&folder, member)?;
        let previous_ntk = restore(&mut trainee, &position, sets)?;
        kill_point("resume");
        let mut recorder = Recorder::open(self, position, &trainee, initial_weights, previous_ntk)?;
        match train(&mut trainee, &self.plan, &mut recorder)? {
            Outcome::Interrupted => Ok(UnitEnd::Stopped),
            outcome => {
                recorder.end(&trainee, outcome)?;
                Ok(UnitEnd::Done)
            }
        }
    }
}

/// Takes a trainee to where `position` says that its checkpoint left it; returns the kernel of its last snapshot.
fn restore(trainee: &mut Trainee, position: &Position, sets: checkpoint::ParameterSets) -> Result<Option<Mat<f64>>> {
    if position.step == 0 {
        return Ok(None);
    }
    let network = &mut trainee.model.parameters;
    let (mut moments, mut parameters, mut previous_ntk) = (Vec::new(), None, None);
    for (name, set) in sets {
        if name == checkpoint::PREVIOUS_NTK {
            previous_ntk = set.into_iter().next().map(|ntk| to_matrix(ntk.weight));
            continue;
        }
        if set.len() != network.len() {
            bail!(damaged: "the checkpoint has {} weight layers where the network has {}", set.len(), network.len());
        }
        expect_fit(&name, &set, network)?;
        if name == "parameters" { parameters = Some(set) } else { moments.push(set) }
    }
    *network = parameters
        .ok_or_else(|| Error::damaged("the checkpoint has no parameters; start again with --force".to_owned()))?;
    let expected = trainee.state.moments.len();
    ensure!(
        moments.len() == expected,
        damaged: "the checkpoint has {} optimizer moments, the optimizer {expected}",
        moments.len()
    );
    trainee.state.moments = moments;
    trainee.step = position.step;
    Ok(previous_ntk)
}

/// Refuses a set of the checkpoint whose tensors are not of the shapes and type of the network's.
fn expect_fit(name: &str, set: &[LayerParameters], network: &[LayerParameters]) -> Result<()> {
    for (layer, (found, expected)) in (1..).zip(set.iter().zip(network)) {
        let of = |parameters: &LayerParameters| {
            let form = |tensor: &Tensor<2>| (tensor.dims(), tensor.dtype());
            [Some(form(&parameters.weight)), parameters.bias.as_ref().map(form)]
        };
        for (what, (found, expected)) in ["weight", "bias"].into_iter().zip(of(found).into_iter().zip(of(expected))) {
            let form = |form: Option<([usize; 2], DType)>| {
                form.map_or("not there".to_owned(), |(dims, dtype)| format!("{dims:?} of {dtype:?}"))
            };
            ensure!(
                found == expected,
                damaged: "{name}.{layer}.{what} of the checkpoint is {}, where the network needs {}; start again with --force",
                form(found),
                form(expected)
            );
        }
    }
    Ok(())
}
