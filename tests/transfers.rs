//! What crosses between host and device while networks train on wgpu, counted in wgpu's own log of its calls: whoever makes a
//! transfer, our code or Burn's, makes it through one of these.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::tensor::{DType, Device, Tensor};
use widthwise::Result;
use widthwise::config::{Loss, Optimizer, Schedule, TrainingConfig};
use widthwise::data::Data;
use widthwise::network::Network;
use widthwise::objective::Evaluation;
use widthwise::training::Outcome;
use widthwise::training::optimizer::update_rule;
use widthwise::training::schedule::ProbeSteps;
use widthwise::training::{Observer, Trainee, TrainingPlan, train};
use widthwise_datasets::{Examples, ImageShape, Prepared};
use widthwise_tensors::to_f64;
use widthwise_theory::architecture::{Architecture, Layer, Parameterization};

use crate::networks::{families, inputs, layered};

/// Steps between two reads of the losses.
const BETWEEN_READS: u64 = 64;
/// Times that the calls between two reads are counted.
const ROUNDS: u64 = 4;
/// Training examples, and examples of a batch: four steps an epoch.
const EXAMPLES: usize = 32;
const BATCH: usize = 8;

/// Calls of wgpu: reads of device memory, writes to it, waits for work submitted earlier, and launches of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calls {
    reads: u64,
    writes: u64,
    waits: u64,
    launches: u64,
}

impl Calls {
    fn now() -> Self {
        let [reads, writes, waits, launches] = COUNTER.0.each_ref().map(|count| count.load(Ordering::SeqCst));
        Self { reads, writes, waits, launches }
    }

    fn since(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            writes: self.writes - before.writes,
            waits: self.waits - before.waits,
            launches: self.launches - before.launches,
        }
    }
}

struct Counter([AtomicU64; 4]);

static COUNTER: Counter = Counter([const { AtomicU64::new(0) }; 4]);

impl log::Log for Counter {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.target().starts_with("wgpu_core")
    }

    fn log(&self, record: &log::Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = record.args().to_string();
        let kinds: [&[&str]; 4] = [
            // Every read of a buffer of the device from the host, to read it or to fill it.
            &["Buffer::get_mapped_range"],
            &["Queue::write_buffer", "Queue::create_staging_buffer"],
            &["Device::poll Wait { submission_index: Some"],
            &["ComputePass::dispatch"],
        ];
        for (count, starts) in self.0.iter().zip(kinds) {
            if starts.iter().any(|start| text.starts_with(start)) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn flush(&self) {}
}

/// Remembers the calls up to each read of the losses.
#[derive(Default)]
struct Watch(Vec<Calls>);

impl Observer for Watch {
    fn probe(&mut self, _: &Trainee, _: bool) -> Result<Evaluation> {
        Ok(Evaluation::default())
    }

    fn losses(&mut self, _: &Trainee, _: u64, losses: &[f64], _: Option<Evaluation>) -> Result<()> {
        if !losses.is_empty() {
            assert_eq!(losses.len() as u64, BETWEEN_READS);
            self.0.push(Calls::now());
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        false
    }
}

/// The calls of `BETWEEN_READS` steps and of the read of their losses, after as many steps that compile kernels: the fewest of
/// `ROUNDS` times, since Burn keeps the arguments of launches on the device and drops one now and then, which is then sent once more. What
/// every step sends, every round shows.
fn calls(architecture: &Architecture, optimizer: Optimizer, loss: Loss, batch_size: Option<usize>) -> Calls {
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    let shape = architecture.input;
    let shape = ImageShape { channels: shape.channels, height: shape.height, width: shape.width };
    let outputs = architecture.weight_layers().unwrap().last().unwrap().width;
    let examples = |n: usize| Examples {
        n,
        inputs: inputs(n, shape.len()),
        targets: inputs(n, outputs),
        labels: (0..n).map(|i| (i % outputs) as u8).collect(),
    };
    let (train_set, test) = (examples(EXAMPLES), examples(0));
    let prepared = Prepared { shape, outputs, classes: outputs, tasks: 1, train: train_set, test };
    let data = Data::new(&prepared, architecture, 1, &device, DType::F32);
    let network = Network::new(architecture, update_rule(optimizer), 1, 0, &device, DType::F32).unwrap();
    let config = TrainingConfig { optimizer, loss, batch_size, ..TrainingConfig::default() };
    let last_step = (1 + ROUNDS) * BETWEEN_READS;
    let plan = TrainingPlan {
        loss,
        examples: &data.train,
        targets: &data.train_targets,
        last_step,
        stop_loss: None,
        probe_steps: &ProbeSteps::new(Schedule::Ends, last_step),
        checkpoint_every: u64::MAX,
        deadline: None,
    };
    let mut trainee = Trainee::new(network, (1, 0), EXAMPLES, &config, 1e-4);
    let mut watch = Watch::default();
    let outcome = train(&mut trainee, &plan, &mut watch).unwrap();
    assert_eq!((outcome, watch.0.len() as u64), (Outcome::Finished, 1 + ROUNDS));
    watch.0.windows(2).map(|reads| reads[1].since(reads[0])).min_by_key(|calls| calls.writes).unwrap()
}

/// Starts counting, and shows that the counter sees a transfer either way.
fn count() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        log::set_logger(&COUNTER).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let before = Calls::now();
    let device = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    let there = Tensor::<1>::from_data([1.0_f32, 2.0, 4.0], &device);
    assert_eq!(to_f64(there * 3.0), [3.0, 6.0, 12.0]);
    let calls = Calls::now().since(before);
    assert!(calls.reads >= 1 && calls.writes >= 1, "{calls:?}");
}

/// Dense, convolutional with each padding and pooling, gated and dropout networks.
fn architectures() -> Vec<(&'static str, Architecture)> {
    let chosen = [
        "mlp",
        "cnn same stride flatten",
        "cnn valid pooled global average",
        "cnn circular global average",
        "gated heaviside",
        "dropout",
        "convolutions with norm, residual, sum pooling",
    ];
    let all = families(4, Parameterization::Ntk).into_iter().chain(layered(4, Parameterization::Ntk));
    let found: Vec<_> = all.filter(|(name, _)| chosen.contains(name)).collect();
    assert_eq!(found.len(), chosen.len());
    found
}

/// Data stay where they are; an epoch sends its order, a step of Adam two numbers, a dropout layer its masks, and nothing else is sent;
/// losses come back together.
pub(crate) fn a_step_reads_nothing_and_sends_no_more_than_it_must() {
    count();
    let momentum = Optimizer::Momentum { beta: 0.9 };
    let adam = Optimizer::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
    for (name, architecture) in architectures() {
        let is_dropout = |layer: &&Layer| matches!(layer, Layer::Dropout { .. });
        let dropouts = architecture.layers.iter().filter(is_dropout).count() as u64;
        for (optimizer, loss, of_optimizer) in [(momentum, Loss::HalfMean, 0), (adam, Loss::CrossEntropy, 1)] {
            let epochs = BETWEEN_READS / (EXAMPLES / BATCH) as u64;
            for (batch, orders) in [(None, 0), (Some(BATCH), epochs)] {
                let calls = calls(&architecture, optimizer, loss, batch);
                let allowed = orders + (of_optimizer + dropouts) * BETWEEN_READS;
                let case = format!("{name}, {optimizer:?}, batch {batch:?}: {calls:?}, {allowed} writes allowed");
                eprintln!("{case}");
                assert_eq!(calls.reads, 1, "{case}");
                assert!(calls.writes <= allowed, "{case}");
                assert!(calls.waits < BETWEEN_READS, "{case}");
            }
        }
    }
}
