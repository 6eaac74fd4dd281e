//! The engine's promises: tiles are parts of the whole to the last bit, storage in single precision rounds once, errors.

use faer::Mat;
use widthwise_testing::{assert_relative, round_off};
use widthwise_theory::TheoryError;
use widthwise_theory::activation::Activation;
use widthwise_theory::architecture::{Architecture, GateFunction, Gates, InputShape, Layer, Padding};
use widthwise_theory::kernel::{Inputs, InputsView, KernelEngine, KernelTile, Kernels, TrainedLayers, kernels};

use crate::networks::{activation, convolution, dense, flat_inputs, gated, mlp, network, numbers, variance};

fn init() -> widthwise_theory::architecture::InitVariance {
    variance(1.7, 0.2)
}

/// Networks on every method, with how many examples to take.
fn cases() -> Vec<(&'static str, Architecture, usize)> {
    let shape = InputShape { channels: 2, height: 5, width: 6 };
    let same = || convolution([3, 3], 1, Padding::Same, init());
    let relu = || activation(&Activation::Relu);
    let pool = || Layer::AveragePool { window: [2, 2], stride: [2, 2], padding: Padding::Valid };
    let gates = Gates {
        function: GateFunction::Smooth { function: Activation::Softplus },
        directions: numbers(15),
        thresholds: numbers(5),
    };
    let circular = convolution([3, 3], 2, Padding::Circular, init());
    vec![
        ("dense, ReLU", mlp(300, &[8, 8], &Activation::Relu, init()), 150),
        ("dense, erf", mlp(7, &[8; 3], &Activation::Erf, init()), 150),
        ("dense, GELU", mlp(7, &[8; 3], &Activation::Gelu, init()), 150),
        ("gated", gated(3, 2, init(), gates), 90),
        ("flattened", network(shape, vec![same(), relu(), same(), relu(), dense(1, init())]), 40),
        ("averaged", network(shape, vec![same(), relu(), Layer::GlobalAveragePool, dense(1, init())]), 20),
        ("pooled", network(shape, vec![same(), relu(), pool(), same(), relu(), dense(1, init())]), 20),
        (
            "pooled twice",
            network(shape, vec![same(), relu(), pool(), same(), relu(), Layer::GlobalAveragePool, dense(1, init())]),
            18,
        ),
        ("whole tensors", network(shape, vec![circular, relu(), Layer::GlobalAveragePool, dense(1, init())]), 18),
    ]
}

/// A kernel put together from tiles of uneven sizes.
fn by_tiles(engine: &KernelEngine, inputs: &Inputs, heights: usize, widths: usize) -> Result<Kernels, TheoryError> {
    let prepared = engine.prepare(inputs)?;
    let n = prepared.examples();
    let mut whole = Kernels { nngp: Mat::zeros(n, n), ntk: Mat::zeros(n, n) };
    let mut scratch = engine.scratch();
    for r in (0..n).step_by(heights) {
        for c in (0..n).step_by(widths) {
            let (rows, columns) = (r..(r + heights).min(n), c..(c + widths).min(n));
            let nngp = whole.nngp.as_mut().submatrix_mut(r, c, rows.len(), columns.len());
            let ntk = whole.ntk.as_mut().submatrix_mut(r, c, rows.len(), columns.len());
            engine.tile(&prepared, rows, &prepared, columns, KernelTile::both(nngp, ntk), &mut scratch)?;
        }
    }
    let (held, bound) = (scratch.bytes(), engine.scratch_bytes());
    assert!(held <= bound && bound < 64 * held, "{held} bytes held, {bound} said for {engine:?}");
    Ok(whole)
}

#[test]
fn tiles_are_parts_of_the_whole_to_the_last_bit() -> Result<(), TheoryError> {
    for (name, net, examples) in cases() {
        let inputs = Inputs::new(numbers(examples * net.input.features()), net.input)?;
        let engine = KernelEngine::new(&net, TrainedLayers::All)?;
        let whole = kernels(&net, &inputs, None)?;
        for (heights, widths) in [(7, 11), (1, examples), (examples, 1), (64, 3)] {
            assert_eq!(by_tiles(&engine, &inputs, heights, widths)?, whole, "{name}, tiles of {heights} x {widths}");
        }
        // One thread, three threads, and as the kernel of two equal sets.
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            assert_eq!(pool.install(|| kernels(&net, &inputs, None))?, whole, "{name}, {threads} threads");
        }
        assert_eq!(kernels(&net, &inputs, Some(&inputs))?, whole, "{name}, as a cross kernel");
        assert_eq!(whole.ntk, whole.ntk.transpose(), "{name} is symmetric");
    }
    Ok(())
}

#[test]
fn tiles_of_series_agree_with_the_whole() -> Result<(), TheoryError> {
    // Sums over terms stop at 1e-17 of the norms, block by block: other blocks, other last bits.
    let net = mlp(5, &[8, 8], &Activation::Tanh, init());
    let inputs = flat_inputs(130, 5)?;
    let whole = kernels(&net, &inputs, None)?;
    let tiles = by_tiles(&KernelEngine::new(&net, TrainedLayers::All)?, &inputs, 17, 29)?;
    for (i, j) in [(0, 1), (0, 129), (77, 40), (129, 128), (50, 50)] {
        assert_relative(tiles.nngp[(i, j)], whole.nngp[(i, j)], round_off(50), "K");
        assert_relative(tiles.ntk[(i, j)], whole.ntk[(i, j)], round_off(50), "Theta");
    }
    Ok(())
}

#[test]
fn tiles_may_cross_the_ends_of_tables() -> Result<(), TheoryError> {
    // Series are kept in tables of 512 examples.
    let net = mlp(2, &[8], &Activation::Tanh, init());
    let inputs = flat_inputs(530, 2)?;
    let engine = KernelEngine::new(&net, TrainedLayers::All)?;
    let prepared = engine.prepare(&inputs)?;
    let mut nngp = Mat::<f64>::zeros(2, 40);
    engine.tile(&prepared, 511..513, &prepared, 485..525, KernelTile::nngp(nngp.as_mut()), &mut engine.scratch())?;
    for (i, j) in [(511, 490), (511, 520), (512, 511), (512, 512)] {
        let pair = Inputs::new([inputs.example(i), inputs.example(j)].concat(), inputs.shape)?;
        let expected = kernels(&net, &pair, None)?.nngp[(0, 1)];
        assert_relative(nngp[(i - 511, j - 485)], expected, round_off(50), "K");
    }
    Ok(())
}

#[test]
fn scratch_stops_growing() -> Result<(), TheoryError> {
    for (name, net, _) in cases() {
        let inputs = Inputs::new(numbers(6 * net.input.features()), net.input)?;
        let engine = KernelEngine::new(&net, TrainedLayers::All)?;
        let prepared = engine.prepare(&inputs)?;
        let mut scratch = engine.scratch();
        let mut after = || {
            let mut nngp = Mat::<f64>::zeros(6, 6);
            let tile = KernelTile::nngp(nngp.as_mut());
            engine.tile(&prepared, 0..6, &prepared, 0..6, tile, &mut scratch).map(|()| scratch.bytes())
        };
        let first = after()?;
        assert_eq!(after()?.max(after()?), first, "{name}");
    }
    Ok(())
}

#[test]
fn storage_in_single_precision_rounds_once() -> Result<(), TheoryError> {
    for (name, net, examples) in cases() {
        let inputs = Inputs::new(numbers(examples * net.input.features()), net.input)?;
        let engine = KernelEngine::new(&net, TrainedLayers::All)?;
        let prepared = engine.prepare(&inputs)?;
        let exact = engine.kernels(&prepared, None)?;
        let (mut nngp, mut ntk) = (Mat::<f32>::zeros(examples, examples), Mat::<f32>::zeros(examples, examples));
        engine.fill(&prepared, None, KernelTile::both(nngp.as_mut(), ntk.as_mut()))?;
        // Row-major memory, as a transposed view, and a cross kernel, where rows are no columns.
        let few = engine.prepare(InputsView::from_f64(&inputs.values[..3 * net.input.features()], net.input)?)?;
        let mut rows = Mat::<f32>::zeros(examples, 3);
        engine.fill(&few, Some(&prepared), KernelTile::nngp(rows.as_mut().transpose_mut()))?;
        for i in 0..examples {
            for j in 0..examples {
                assert_eq!(nngp[(i, j)], exact.nngp[(i, j)] as f32, "{name}");
                assert_eq!(ntk[(i, j)], exact.ntk[(i, j)] as f32, "{name}");
                assert!(j >= 3 || rows[(i, j)] == nngp[(i, j)], "{name}");
            }
        }
        let error = engine.single_precision_error(&prepared, &prepared, 50)?;
        let bound = 0.5 * f64::from(f32::EPSILON);
        let [largest, typical] = error.nngp;
        assert!(error.pairs >= 25 && largest <= bound && typical <= largest && typical > 0.0, "{name}: {error:?}");
        assert!(error.ntk.is_some_and(|ntk| ntk[0] <= bound), "{name}: {error:?}");
    }
    Ok(())
}

#[test]
fn inputs_in_single_precision_are_widened() -> Result<(), TheoryError> {
    let shape = InputShape { channels: 2, height: 3, width: 4 };
    let single: Vec<f32> = numbers(5 * shape.features()).iter().map(|&x| x as f32).collect();
    let double = Inputs::new(single.iter().map(|&x| f64::from(x)).collect(), shape)?;
    let same = convolution([3, 3], 1, Padding::Same, init());
    let first = Layer::AveragePool { window: [1, 2], stride: [1, 2], padding: Padding::Valid };
    for layers in [
        vec![dense(8, init()), activation(&Activation::Relu), dense(1, init())],
        vec![same.clone(), activation(&Activation::Relu), Layer::GlobalAveragePool, dense(1, init())],
        vec![first, same, activation(&Activation::Relu), dense(1, init())],
    ] {
        let copies = matches!(layers[0], Layer::AveragePool { .. });
        let net = network(shape, layers);
        let engine = KernelEngine::new(&net, TrainedLayers::All)?;
        let prepared = engine.prepare(InputsView::from_f32(&single, shape)?)?;
        assert_eq!(engine.kernels(&prepared, None)?, kernels(&net, &double, None)?);
        let values = 8 * 5 * shape.features() / 2;
        assert!(prepared.bytes() > 0 && (!copies || prepared.bytes() > values), "{}", prepared.bytes());
    }
    Ok(())
}

#[test]
fn repeated_examples_are_found_wherever_they_stand() -> Result<(), TheoryError> {
    for net in [mlp(5, &[8, 8], &Activation::Relu, init()), mlp(5, &[8, 8], &Activation::Tanh, init())] {
        let inputs = flat_inputs(4, 5)?;
        let mut values = inputs.values.clone();
        // Zero and minus zero are one number.
        values[7] = 0.0;
        let mut again = values[5..10].to_vec();
        again[2] = -0.0;
        let inputs = Inputs::new([values, again].concat(), inputs.shape)?;
        let found = kernels(&net, &inputs, None)?;
        assert_eq!(found.ntk[(1, 4)], found.ntk[(1, 1)]);
        assert_eq!(found.ntk[(4, 4)], found.ntk[(1, 1)]);
        assert_eq!(found.nngp[(0, 1)], found.nngp[(0, 4)]);
    }
    Ok(())
}

#[test]
fn requests_that_do_not_fit_are_refused() -> Result<(), TheoryError> {
    let net = mlp(3, &[8], &Activation::Relu, init());
    let inputs = flat_inputs(4, 3)?;
    let (engine, other) = (KernelEngine::new(&net, TrainedLayers::All)?, KernelEngine::new(&net, TrainedLayers::All)?);
    let (prepared, foreign) = (engine.prepare(&inputs)?, other.prepare(&inputs)?);
    let mut out = Mat::<f64>::zeros(2, 3);
    let mut scratch = engine.scratch();
    let mut tile = |rows, columns, right| {
        engine.tile(&prepared, rows, right, columns, KernelTile::nngp(out.as_mut()), &mut scratch)
    };
    assert!(tile(0..2, 0..3, &prepared).is_ok());
    for (rows, columns, right, words) in [
        (0..3, 0..3, &prepared, "rows of a tile"),
        (0..2, 0..2, &prepared, "columns of a tile"),
        (3..5, 0..3, &prepared, "examples (at least)"),
        (0..2, 0..3, &foreign, "number of the engine"),
    ] {
        let error = tile(rows, columns, right).expect_err("does not fit");
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(InputsView::from_f32(&[0.0; 5], InputShape::flat(3)).is_err());
    assert!(engine.prepare(&flat_inputs(2, 4)?).is_err());
    let nothing = Inputs::new(Vec::new(), InputShape::flat(3))?;
    let nothing = engine.prepare(&nothing)?;
    assert_eq!(engine.kernels(&nothing, Some(&prepared))?.nngp.ncols(), 4);
    assert!(engine.single_precision_error(&nothing, &prepared, 10).is_err());
    Ok(())
}

#[test]
fn covariances_without_tangents_can_be_had_alone() -> Result<(), TheoryError> {
    let inputs = flat_inputs(4, 3)?;
    let net = mlp(3, &[8, 8], &Activation::Gelu, init());
    let engine = KernelEngine::new(&net, TrainedLayers::All)?;
    let prepared = engine.prepare(&inputs)?;
    let both = engine.kernels(&prepared, None)?;
    let mut nngp = Mat::<f64>::zeros(4, 4);
    engine.fill(&prepared, None, KernelTile::nngp(nngp.as_mut()))?;
    assert_eq!(nngp, both.nngp);
    Ok(())
}
