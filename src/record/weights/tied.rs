//! Layers that are one tensor: a network of another class, although every forward pass is the same.
//!
//! With tied weights the gradient of a shared number is the sum over its places, so that the tangent kernel has cross terms between
//! layers that it has not with a weight each. A file of `torch.save` says what is shared (see [`torch`](super::torch)); copies, as in
//! safetensors, are known by their numbers.

use std::path::Path;

use super::WeightsError;
use super::tensors::{NamedTensor, Tensors};

/// Refuses weights or biases of two modules that have the same numbers, or each other's as the transpose. `modules` are those of the
/// layers, in their order.
///
/// # Errors
/// The two tensors by name.
pub(super) fn expect_apart(
    path: &Path,
    tensors: &Tensors,
    names: impl Iterator<Item = String>,
) -> Result<(), WeightsError> {
    let found: Vec<(String, &NamedTensor)> =
        names.filter_map(|name| tensors.get(&name).map(|tensor| (name, tensor))).collect();
    for (index, (second, b)) in found.iter().enumerate().filter(|(_, (_, tensor))| is_telling(&tensor.values)) {
        for (first, a) in &found[..index] {
            let how = if a.shape == b.shape && a.values == b.values {
                "have the same numbers"
            } else if are_transposed(a, b) {
                "are each other's transpose"
            } else {
                continue;
            };
            let (path, first, second, how) = (path.to_owned(), first.clone(), second.clone(), how.to_owned());
            return Err(WeightsError::Tied { path, first, second, how });
        }
    }
    Ok(())
}

/// Whether no rule makes these numbers: at least two magnitudes besides 0. Zeros, constants, signs and multiples of the identity
/// begin alike in layers of their own.
fn is_telling(values: &[f64]) -> bool {
    let mut magnitudes = values.iter().map(|value| value.abs()).filter(|magnitude| *magnitude != 0.0);
    magnitudes.next().is_some_and(|first| magnitudes.any(|other| other != first))
}

fn are_transposed(a: &NamedTensor, b: &NamedTensor) -> bool {
    let ([rows, columns], [others, count]) = (a.shape.as_slice(), b.shape.as_slice()) else { return false };
    rows == count
        && columns == others
        && (0..*rows).all(|i| (0..*columns).all(|j| a.values[i * columns + j] == b.values[j * rows + i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_tell_of_one_tensor_unless_a_rule_makes_them() {
        let matrix = |shape: [usize; 2], values: &[f64]| NamedTensor {
            shape: shape.to_vec(),
            values: values.to_vec(),
            is_double: false,
        };
        let judge = |a: NamedTensor, b: NamedTensor| {
            let tensors = Tensors::from([("a.weight".to_owned(), a), ("b.weight".to_owned(), b)]);
            let names = ["a.weight", "b.weight"].map(str::to_owned).into_iter();
            match expect_apart(Path::new("net.pt"), &tensors, names) {
                Err(WeightsError::Tied { first, second, how, .. }) => {
                    assert_eq!([first.as_str(), second.as_str()], ["a.weight", "b.weight"]);
                    Some(how)
                }
                other => other.map(|()| None).unwrap(),
            }
        };
        let a = [1.5, -2.0, 0.25, 3.0, 0.5, 7.0];
        let turned = [1.5, 3.0, -2.0, 0.5, 0.25, 7.0];
        assert_eq!(judge(matrix([2, 3], &a), matrix([2, 3], &a)).as_deref(), Some("have the same numbers"));
        assert_eq!(judge(matrix([2, 3], &a), matrix([3, 2], &turned)).as_deref(), Some("are each other's transpose"));
        let mut other = a;
        other[5] = 7.000_001;
        assert_eq!(judge(matrix([2, 3], &a), matrix([2, 3], &other)), None);
        // The same numbers in another shape are another map.
        assert_eq!(judge(matrix([2, 3], &a), matrix([3, 2], &a)), None);
        for made in [[0.0; 4], [0.1; 4], [2.0, 0.0, 0.0, 2.0], [0.5, -0.5, 0.5, 0.5]] {
            assert_eq!(judge(matrix([2, 2], &made), matrix([2, 2], &made)), None, "{made:?}");
        }
    }
}
