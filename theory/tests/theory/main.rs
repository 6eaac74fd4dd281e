//! Tests of the theory crate through its public interface. Golden numbers were computed by independent programs
//! (NumPy, and neural-tangents for the kernels) unless a comment says otherwise.

mod activation;
mod conventions;
mod criticality;
mod dual;
mod dynamics;
mod finite_width;
mod general_loss;
mod infinite_depth;
mod kernel;
mod large_variances;
mod layers;
mod methods;
mod minibatch;
mod near;
mod networks;
mod positions;
mod posterior;
mod refusals;
mod regression;
mod sampled;
mod tiles;
mod timing;
