//! Gates of a gated deep linear network, drawn once a run from a stream of their own.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use widthwise_theory::architecture::{GateFunction, Gates};

use crate::config::{GateKind, GatesConfig};

/// Rounds of Lloyd's iteration, or fewer if no example changes its cluster.
const LLOYD_ROUNDS: usize = 100;

/// Draws the gates of `seed`: stream `gates`. K-means examines the training inputs, never at labels.
///
/// # Shapes
/// `train_inputs`: `N x features` row-major.
pub fn draw_gates(config: &GatesConfig, seed: u64, train_inputs: &[f64], features: usize) -> Gates {
    let mut random = widthwise_datasets::stream(seed, "gates");
    let gaussian: Vec<f64> = match config.kind {
        GateKind::Heaviside | GateKind::Smooth => {
            (0..config.count * features).map(|_| StandardNormal.sample(&mut random)).collect()
        }
        GateKind::KMeans | GateKind::Task => Vec::new(),
    };
    match config.kind {
        GateKind::Heaviside => Gates {
            function: GateFunction::Heaviside,
            directions: gaussian,
            thresholds: vec![config.threshold; config.count],
        },
        GateKind::Smooth => Gates {
            function: GateFunction::Smooth { function: config.activation.clone() },
            directions: gaussian,
            thresholds: vec![config.threshold; config.count],
        },
        GateKind::KMeans => Gates {
            function: GateFunction::NearestCentroid,
            directions: k_means(train_inputs, features, config.count, &mut random),
            thresholds: vec![0.0; config.count],
        },
        GateKind::Task => Gates {
            function: GateFunction::TaskCode { first: features - config.count },
            directions: Vec::new(),
            thresholds: vec![0.0; config.count],
        },
    }
}

/// Lloyd's algorithm from k-means++ seeds (Arthur and Vassilvitskii 2007). Returns `count x features` centroids.
fn k_means(inputs: &[f64], features: usize, count: usize, random: &mut impl rand::Rng) -> Vec<f64> {
    let examples: Vec<&[f64]> = inputs.chunks_exact(features).collect();
    let distance = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum() };
    let mut centroids: Vec<Vec<f64>> = vec![examples[random.random_range(0..examples.len())].to_vec()];
    while centroids.len() < count {
        let nearest: Vec<f64> =
            examples.iter().map(|x| centroids.iter().map(|c| distance(x, c)).fold(f64::INFINITY, f64::min)).collect();
        let mut left = random.random::<f64>() * nearest.iter().sum::<f64>();
        let chosen = nearest.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        centroids.push(examples[chosen.unwrap_or(examples.len() - 1)].to_vec());
    }
    let mut assignment = vec![usize::MAX; examples.len()];
    for _ in 0..LLOYD_ROUNDS {
        let closest = |x: &[f64]| {
            let key = |m: &usize| distance(x, &centroids[*m]);
            (0..count).min_by(|a, b| key(a).total_cmp(&key(b))).unwrap_or(0)
        };
        let next: Vec<usize> = examples.iter().map(|x| closest(x)).collect();
        if next == assignment {
            break;
        }
        assignment = next;
        for (m, centroid) in centroids.iter_mut().enumerate() {
            let members: Vec<&&[f64]> =
                examples.iter().zip(&assignment).filter(|(_, a)| **a == m).map(|(x, _)| x).collect();
            // An empty cluster keeps its centroid.
            if !members.is_empty() {
                for (j, value) in centroid.iter_mut().enumerate() {
                    *value = members.iter().map(|x| x[j]).sum::<f64>() / members.len() as f64;
                }
            }
        }
    }
    centroids.concat()
}
