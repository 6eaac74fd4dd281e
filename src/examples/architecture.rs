//! The architecture that a file describes, on the examples at hand.

use widthwise_theory::TheoryError;
use widthwise_theory::architecture::{Architecture, InputShape, TangentScale};

use super::{ExamplesError, FileExamples, Source};
use crate::config::{GateKind, NetworkConfig};
use crate::network::{build_architecture, draw_gates};

/// Infinite-width kernels are of one output; the others have the same.
const OUTPUTS: usize = 1;

/// The shape of an example: that of the user, that of the data set, or flat.
///
/// # Errors
/// A network of images on rows of numbers without a shape, or examples of another size.
pub fn shape_of(
    asked: Option<InputShape>,
    network: &NetworkConfig,
    sources: &[(&Source, &FileExamples)],
) -> Result<InputShape, ExamplesError> {
    let (_, first) = sources[0];
    let shape = match asked.or(first.shape) {
        Some(shape) => shape,
        None => {
            let columns = first.columns;
            if network.reads_images() {
                return Err(ExamplesError::NeedsShape { columns });
            }
            InputShape::flat(columns)
        }
    };
    for (source, examples) in sources {
        let (found, features) = (examples.columns, shape.features());
        if found != features {
            return Err(ExamplesError::OtherSize { name: source.to_string(), found, features });
        }
        examples.expect_shape(source, shape)?;
    }
    Ok(shape)
}

/// The network on these inputs; `left` is what k-means gates are found on.
///
/// # Errors
/// Gates or windows that do not fit the inputs.
pub fn architecture(
    network: &NetworkConfig,
    seed: u64,
    shape: InputShape,
    left: &FileExamples,
) -> Result<Architecture, ExamplesError> {
    architecture_with(network, seed, shape, left, OUTPUTS)
}

/// As [`architecture`], with as many outputs as are asked for.
///
/// # Errors
/// As [`architecture`].
pub fn architecture_with(
    network: &NetworkConfig,
    seed: u64,
    shape: InputShape,
    left: &FileExamples,
    outputs: usize,
) -> Result<Architecture, ExamplesError> {
    let gates = if network.is_gated() {
        let limit = match network.gates.kind {
            GateKind::Task => Some((left.columns, "columns")),
            GateKind::KMeans => Some((left.rows, "examples")),
            GateKind::Heaviside | GateKind::Smooth => None,
        };
        let count = network.gates.count;
        if let Some((room, of)) = limit.filter(|(room, _)| count > *room) {
            return Err(ExamplesError::TooManyGates { count, room, of });
        }
        Some(draw_gates(&network.gates, seed, &left.values, left.columns))
    } else {
        None
    };
    build_architecture(network, shape, outputs, gates).map_err(ExamplesError::Architecture)
}

/// What to say of kernels that are not those of infinite width alone, as in parameterizations whose rates or outputs scale
/// with the width.
///
/// # Errors
/// An architecture that does not fit its input.
pub fn width_dependence(architecture: &Architecture) -> Result<Option<String>, TheoryError> {
    let width = architecture.scaling_width()?;
    let scales = architecture.tangent_scales()?;
    let wider = architecture.with_hidden_width(2 * width).tangent_scales()?;
    // What a layer adds to the tangent kernel passes through all layers above it.
    let through = |scales: &[TangentScale], part: fn(&TangentScale) -> f64, layer: usize| {
        scales[layer + 1..].iter().fold(part(&scales[layer]), |product, above| product * above.signal)
    };
    let differs = |part: fn(&TangentScale) -> f64| {
        (0..scales.len()).any(|layer| {
            let (here, there) = (through(&scales, part, layer), through(&wider, part, layer));
            (here - there).abs() > 1e-9 * here.abs()
        })
    };
    let nngp = differs(|scale| scale.signal);
    let ntk = differs(|scale| scale.weight) || differs(|scale| scale.bias);
    let what = match (nngp, ntk) {
        (false, false) => return Ok(None),
        (true, false) => "the nngp kernel depends",
        (false, true) => "the ntk kernel depends",
        (true, true) => "the nngp and ntk kernels depend",
    };
    Ok(Some(format!(
        "{what} on the width, here {width}: network.parameterization has a factor of it; \"ntk\" and \"standard-layerwise\" have none"
    )))
}

#[cfg(test)]
mod tests {
    use crate::config::{self, ConfigError, Family};

    use super::*;

    fn load(text: &str, set: &[&str]) -> Result<NetworkConfig, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("network.toml");
        std::fs::write(&file, text).unwrap();
        let set: Vec<String> = set.iter().map(|&text| text.to_owned()).collect();
        config::load_network(Some(&file), &set).map(|(network, _)| network)
    }

    #[test]
    fn an_architecture_need_not_fit_the_default_data() {
        // A filter beyond 28 x 28 pixels, more centroids than training examples, tasks without a task code.
        let cnn =
            load("[network]\nfamily = \"cnn\"\nconvolution = { filter_size = [40, 3], padding = \"valid\" }", &[]);
        let cnn = cnn.unwrap();
        assert_eq!((cnn.family, cnn.convolution.filter_size), (Family::Cnn, [40, 3]));
        let centroids = "[network]\nfamily = \"gated_deep_linear\"\ngates = { kind = \"k_means\", count = 999 }";
        assert_eq!(load(centroids, &[]).unwrap().gates.count, 999);
        let tasks = load("[network]\ngates = { kind = \"task\" }", &["network.family=gated_deep_linear"]).unwrap();
        assert_eq!((tasks.family, tasks.gates.kind), (Family::GatedDeepLinear, GateKind::Task));
    }

    #[test]
    fn an_architecture_that_is_wrong_in_itself_is_refused() {
        let message = load("[network]\nfamily = \"cnn\"\nsigma_w2 = -1.0", &[]).unwrap_err().to_string();
        assert!(message.contains("network.sigma_w2"), "{message}");
        let message = load("[network]\ninit = \"pytorch\"", &[]).unwrap_err().to_string();
        assert!(message.contains("standard parameterization"), "{message}");
    }

    #[test]
    fn gates_that_do_not_fit_the_inputs_are_refused() {
        let network =
            load("[network]\nfamily = \"gated_deep_linear\"\ngates = { kind = \"task\", count = 8 }", &[]).unwrap();
        let left = FileExamples { values: vec![1.0; 6], rows: 2, columns: 3, ..FileExamples::default() };
        let message = architecture(&network, 1, InputShape::flat(3), &left).unwrap_err().to_string();
        assert!(message.contains("there are only 3 columns"), "{message}");
    }

    #[test]
    fn kernels_that_depend_on_the_width_say_so() {
        let left = FileExamples { values: vec![1.0; 6], rows: 2, columns: 3, ..FileExamples::default() };
        for (name, words) in [
            ("ntk", None),
            ("standard-layerwise", None),
            ("standard", Some("the ntk kernel depends on the width, here 48")),
            ("mean-field", Some("the nngp kernel depends on the width, here 48")),
            ("mup", Some("the nngp kernel depends on the width, here 48")),
        ] {
            let text = format!("[network]\nwidth = 48\ndepth = 2\nsigma_b2 = 0.3\nparameterization = \"{name}\"\n");
            let network = load(&text, &[]).unwrap();
            let architecture = architecture(&network, 1, InputShape::flat(3), &left).unwrap();
            let said = width_dependence(&architecture).unwrap();
            assert_eq!(said.is_some(), words.is_some(), "{name}: {said:?}");
            assert!(said.unwrap_or_default().contains(words.unwrap_or_default()), "{name}");
        }
    }

    #[test]
    fn examples_of_another_size_are_named() {
        let network = load("[network]\ndepth = 1\n", &[]).unwrap();
        let (left, right): (Source, Source) = ("a.csv".parse().unwrap(), "b.csv".parse().unwrap());
        let (three, two) = (
            FileExamples { columns: 3, ..FileExamples::default() },
            FileExamples { columns: 2, ..FileExamples::default() },
        );
        let message = shape_of(None, &network, &[(&left, &three), (&right, &two)]).unwrap_err().to_string();
        assert!(message.contains("b.csv has 2 columns, but an example has 3"), "{message}");
    }
}
