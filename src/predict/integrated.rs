//! Training with losses that have no closed form: the flow by an adaptive method, discrete optimizers step by step.

use faer::{Mat, MatRef};
use rand_distr::{Distribution, StandardNormal};
use widthwise_theory::TheoryError;
use widthwise_theory::dynamics::{
    FlowSteps, GeneralLossProblem, OutputLoss, PriorSampler, Spectrum, descend_general_loss, flow_general_loss,
    train_sampled_ensemble,
};

use super::answer::{Answer, PredictedOutputs, PredictedSplit, Report};
use super::dense::Whole;
use super::options::PredictOptimizer;
use super::question::{Question, Time};

/// Allowed error of an output a step of the flow, absolute and relative.
const FLOW: FlowSteps = FlowSteps::Adaptive { absolute: 1e-8, relative: 1e-8 };

/// Trains one network that starts at zero, or an ensemble with initial outputs drawn from the prior.
///
/// # Errors
/// A flow that is too stiff, or a kernel that is none.
pub(super) fn integrated(
    whole: &Whole<'_>,
    targets: MatRef<'_, f64>,
    times: &[Time],
    loss: OutputLoss,
    question: &Question,
) -> Result<Answer, TheoryError> {
    let (kernel, name) = whole.of(question.method);
    let (n, all) = (whole.train, kernel.nrows());
    let mut ntk = kernel.submatrix(0, 0, n, n).to_owned();
    (0..n).for_each(|i| ntk[(i, i)] += question.jitter);
    let cross = kernel.submatrix(n, 0, all - n, n);
    let learning_rate = question.learning_rate.unwrap_or(1.0);
    let steps: Vec<u64> = times.iter().map(|time| time.number() as u64).collect();
    let flow_times: Vec<f64> = times.iter().map(|time| learning_rate * time.number()).collect();
    // One matrix a time: training examples above test examples.
    let train = |problem: &GeneralLossProblem<'_>| -> Result<(Vec<Mat<f64>>, u64), TheoryError> {
        let gradient = |outputs: MatRef<'_, f64>| loss.gradient(outputs, targets);
        let (states, taken) = if question.optimizer == PredictOptimizer::Flow {
            let flow = flow_general_loss(problem, &flow_times, FLOW, gradient)?;
            (flow.states, flow.accepted + flow.rejected)
        } else {
            let last = steps.last().copied().unwrap_or(0);
            (descend_general_loss(problem, learning_rate, question.rule(), &steps, gradient)?, last)
        };
        let join = |train: &Mat<f64>, test: &Mat<f64>| {
            Mat::from_fn(all, train.ncols(), |i, o| if i < n { train[(i, o)] } else { test[(i - n, o)] })
        };
        Ok((states.iter().map(|state| join(&state.train_outputs, &state.test_outputs)).collect(), taken))
    };
    let mut report = Report { solver: "integrated", kernel: name, ..Report::default() };
    let found: Vec<(Mat<f64>, Option<Mat<f64>>)> = if question.members == 0 {
        let zeros = Mat::zeros(all, targets.ncols());
        let (initial, initial_test) = zeros.as_ref().split_at_row(n);
        let problem = GeneralLossProblem { ntk: ntk.as_ref(), ntk_test: cross, initial, initial_test };
        let (states, taken) = train(&problem)?;
        report.steps = Some(taken);
        report.remarks.push("one network whose outputs start at zero; --members draws an ensemble".to_owned());
        states.into_iter().map(|mean| (mean, None)).collect()
    } else {
        let sampler = PriorSampler::new((*whole.prior(question.method)).as_ref())?;
        let mut random = widthwise_datasets::stream(question.seed, "predict.members");
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let draws: Vec<Mat<f64>> =
            (0..question.members).map(|_| sampler.sample(targets.ncols(), &mut normal)).collect();
        let moments = train_sampled_ensemble(ntk.as_ref(), cross, &draws, |problem| Ok(train(problem)?.0))?;
        report.members = Some(question.members);
        let error = moments.iter().map(|at| at.mean_standard_error.norm_max()).fold(0.0, f64::max);
        report.remarks.push(format!("means over members have standard errors of at most {error:.3e}"));
        moments.into_iter().map(|at| (at.mean, Some(at.variance))).collect()
    };
    let mut outputs = Vec::new();
    for ((mean, variance), time) in found.into_iter().zip(times) {
        for (half, start, count) in [(PredictedSplit::Train, 0, n), (PredictedSplit::Test, n, all - n)] {
            if count == 0 {
                continue;
            }
            let rows = |matrix: &Mat<f64>| matrix.subrows(start, count).to_owned();
            let (mean, variance) = (rows(&mean), variance.as_ref().map(rows));
            outputs.push(PredictedOutputs { half, time: Some(time.number()), mean, variance, covariance: None });
        }
    }
    let spectrum = Spectrum::of(kernel.submatrix(0, 0, n, n))?;
    report.set_spectrum(spectrum.smallest(), spectrum.largest(), spectrum.zero_below, question.jitter);
    // Two over the fastest rate: the largest eigenvalue times the largest curvature of the loss.
    let curvature = match loss {
        OutputLoss::Logistic => 0.25,
        OutputLoss::SoftmaxCrossEntropy => 0.5,
        OutputLoss::Squared | OutputLoss::Huber { .. } | OutputLoss::SquaredHinge => 1.0,
    };
    report.stable_learning_rate = Some(2.0 / (curvature * (spectrum.largest() + question.jitter)));
    if question.covariance {
        report.remarks.push("no covariance: it is known for --loss mse only".to_owned());
    }
    Ok(Answer::new(outputs, report))
}
