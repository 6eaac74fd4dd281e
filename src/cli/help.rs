//! The texts of the help.

pub(super) const LONG_ABOUT: &str = "\
Does a finite network do what infinite-width theory says, and if not, why?

widthwise trains networks of finite width, measures them while they train, and compares every number with what theory \
predicts for the same network at infinite width.

  widthwise run                              the default experiment, bundled data
  widthwise run my.toml --dry-run            what an experiment would take
  widthwise check runs/mnist_mlp               its verdict, as an exit code
  widthwise plan my.toml                     how many members decide it
  widthwise explain runs/mnist_mlp             why it differs from theory
  widthwise report runs/mnist_mlp              draw its report again
  widthwise bundle runs/mnist_mlp            one file from which others judge it again
  widthwise table runs/* --out all.csv       the ends of many runs in one table
  widthwise data fetch cifar10               get a data set
  widthwise kernel net.toml --inputs x.npy --out k    infinite-width kernels on your inputs
  widthwise ntk runs/mnist_mlp --inputs mnist:test:500 --out k    the tangent kernel of a trained network
  widthwise predict net.toml --train mnist:train:1000 --test mnist:test --out p    what wide networks predict
  widthwise monte-carlo net.toml --inputs x.npy --out k    the same kernels sampled over finite networks
  widthwise ladder my.toml --widths 64..2048 --seeds 24    powers of the width, fitted and held against theory
  widthwise weights import net.pt --network net.toml --input 784 --outputs 10 --out w.safetensors    a network of PyTorch
  widthwise reproduce lee2019-widths         a figure of a paper again: paper, theory, here, verdict
  widthwise bench kernels                    how fast this machine is
  widthwise config init                      a commented configuration
  widthwise completions bash                 completions for your shell

Results go to standard output, progress and remarks to standard error. `widthwise help COMMAND` tells more.";

pub(super) const EXIT_CODES: &str = "\
Exit codes:
    0  done; for `run`, `check`, `ladder` and `reproduce`: theory and experiment agree
    1  `run`, `check`, `ladder`, `reproduce`: they disagree, or a network diverged; `data import`: a set is still incomplete
    2  failed: bad arguments, files or data, a full disk
    3  `run`, `check`, `ladder`, `reproduce`: undecided; for a run also that no claim is required
  130  stopped by Ctrl-C, SIGTERM or SIGUSR1; a run that trains has written a checkpoint then";

pub(super) const RUN_HELP: &str = "\
Examples:
  widthwise run
  widthwise run experiment.toml --set network.width=2048 --set network.activation=tanh
  widthwise run experiment.toml --output runs/wide --resume
  widthwise run experiment.toml --output shared/wide --shard 2/4

Members are trained side by side, one a thread, as far as memory goes. With --shard every process trains its part of them and goes on \
with what is there; parts may run at the same time, on machines that share the folder, and the one that finds all members there \
concludes. No byte of the results depends on it.

Exit codes are those of `widthwise check`: 0 when the run has ended and all required claims agree; 1 when one disagrees or a network \
diverged; 2 when the run failed; 3 when it has ended and the evidence is not enough, no claim is required, or members of other shards are missing; 130 when it was stopped by \
Ctrl-C, SIGTERM or SIGUSR1. A run that was stopped while it trained has written a checkpoint and --resume continues it; a second Ctrl-C \
ends it at once, without.";

pub(super) const CHECK_HELP: &str = "\
Examples:
  widthwise check runs/mnist_mlp
  widthwise check mnist_mlp.tar.gz
  widthwise check runs/mnist_mlp --control sigma-w2-factor=1.1
  widthwise check runs/mnist_mlp --power
  widthwise check runs/mnist_mlp --mutate all

Only the claims named in claims.required of the configuration decide; the others are printed too. A control spoils theory on \
purpose, to see that the comparison notices: a run that agrees should disagree then. --power gives the chance to notice such errors, from the \
standard errors of the run; --mutate puts each of them into theory in turn; both end with 0. Nothing is written. A bundle is held against its \
checksums, and judged again from what its members measured.

Exit codes: 0 when all required claims agree; 1 when one disagrees or a network diverged; 2 when the check failed, or something else is \
judged than was registered before training; 3 when the evidence is not enough, a claim has no prediction, none is required or the run is unfinished.";

pub(super) const BUNDLE_HELP: &str = "\
Examples:
  widthwise bundle runs/mnist_mlp
  widthwise bundle runs/mnist_mlp --out mnist_mlp.tar.gz --data-dir ~/data
  widthwise check mnist_mlp.tar.gz --control sigma-w2-factor=1.1

The archive holds what check, check --control, report and table read, and nothing else: configuration, manifest, registration, tables, \
the matrices that members left, and the examples as the run prepared them, to the last bit, if they take at most 256 MiB. SHA256SUMS \
has the checksum of every file. One run has one archive, byte for byte. `widthwise check` takes the archive, or the folder that it was \
unpacked to, holds every file against its checksum, works theory out again and judges the members once more. Weights are left out.

Exit codes: 0 when done; 2 when it failed.";

pub(super) const PLAN_HELP: &str = "\
Examples:
  widthwise plan experiment.toml
  widthwise plan experiment.toml --set network.width=2048 --members 24

A pilot of a few members is trained in a temporary folder, to the end of the experiment. The spread of every claim over its members says how many members make the claim \
agree in 98 % of runs while theory is right, what they cost, and which errors they would notice. Nothing is kept.

Exit codes: 0 when the plan is made; 2 when the pilot failed; 130 when it was stopped.";

pub(super) const EXPLAIN_HELP: &str = "\
Examples:
  widthwise explain runs/mnist_mlp
  widthwise explain runs/mnist_mlp --members 4 --quadratic

The gap between a run and infinite-width theory is a chain of trajectories, each one change away from the next: the mean over \
initializations, the member's own initial outputs (seed), steps instead of flow (time_discretization), the member's own kernel \
(initial_kernel), the run's optimizer and batches (optimizer), the network instead of its Taylor model (linearization), the run's \
precision (arithmetic). Every member is trained again beside its Taylor models; error_budget.csv holds the parts, with signs, \
explain/ the outputs of every trajectory. forecast.csv says for how many steps the tangent kernel of each snapshot, frozen, forecasts \
the rest of training. A stopped command goes on with the members that are left. `widthwise run` does the same where explain.members \
is above 0.

Exit codes: 0 when done; 2 when it failed; 130 when stopped.";

pub(super) const MONTE_CARLO_HELP: &str = "\
Examples:
  widthwise monte-carlo network.toml --inputs mnist:train:8 --width 512 --members 200 --out k
  widthwise monte-carlo network.toml --inputs x.npy --width 256 --extrapolate --out k

It writes PREFIX.nngp.npy and PREFIX.ntk.npy, means over networks drawn independently, with their standard errors beside them in \
PREFIX.nngp_std_error.npy and PREFIX.ntk_std_error.npy, and prints the largest difference from theory in standard errors. At finite \
width the mean differs from the limit by a term of order 1/width; --extrapolate removes it with networks of half the width.";

pub(super) const LADDER_HELP: &str = "\
Examples:
  widthwise ladder my.toml --widths 64..2048 --seeds 24
  widthwise ladder my.toml --coordinates --set network.parameterization=mup
  widthwise ladder my.toml --widths 64,128,512 --shard 2/4 --out shared/ladder

Every network is trained beside two that a constant kernel describes: its own linearization and the one of infinite width. Of the distances from them, the change of kernel, weights and pre-activations, the power of the width is fitted to means over members, as A n^a (1 + c/n), with an interval by Student's law, and held against the power that the parameterization declares. Widths at which the kernel changes by more than 10 % are left out of what holds for frozen kernels. Kernels, losses and outputs are extrapolated to infinite width and held against theory there. All verdicts of a ladder are corrected together (Holm) at claims.significance, the probability of a false disagreement.

--coordinates takes five steps, and measures only how far the pre-activations of every layer move: the coordinate check of muP, with a slope and a verdict a layer.

Networks of a finished ladder stay in its folder. The same command goes on where it was stopped, and more widths or seeds may be asked for; shards may run at the same time, on machines that share the folder.

Exit codes: 0 when all exponents agree; 1 when one or a value at infinite width disagrees, pre-activations grow with the width or a network diverged; 2 when the ladder failed; 3 when the evidence is not enough or other shards are missing; 130 when it was stopped.";

pub(super) const WEIGHTS_HELP: &str = "\
Examples:
  widthwise weights export runs/mnist_mlp --out w.safetensors
  widthwise weights export runs/mnist_mlp --member 3 --step 100 --layout pytorch --out w.safetensors
  widthwise weights import net.pt --network net.toml --input 3,32,32 --outputs 10 --out w.safetensors
  widthwise weights import net.safetensors --network net.toml --input 784 --outputs 10 --map 1=encoder --out w.safetensors

In the layout of this program tensors are called parameters.LAYER.weight and parameters.LAYER.bias, layers counted from 1: dense \
weights are inputs x outputs (gated ones gate by gate), filters are output channel by output channel, and the network computes \
gain W a + gain b with the gains of its parameterization; the header holds the architecture. In that of PyTorch they are called as \
nn.Sequential calls them, Linear weights are outputs x inputs, Conv2d weights outputs x channels x height x width, and gains are \
multiplied in.

An import reads nn.Linear and nn.Conv2d whatever their modules and the file are called: the k-th weight of a shape goes to the k-th \
layer of that shape, in the order of the state dict, or, where the file has none (safetensors), of the numbers in the names (2 before \
10); the table shows which, and --map LAYER=MODULE says otherwise. Of a checkpoint the model is read and its optimizer left out. \
Numbers are divided by the gains, so that the function is the same: with --set network.parameterization=standard the gains are 1.

A state dict says nothing about activations, strides, dilation and padding: FILE does. padding = [1, 1] is nn.Conv2d(..., padding=1); \
\"same\" puts the odd cell of zeros at the high side and is refused where that is not what PyTorch does, with a stride above 1. Refused are \
layers that share weights (their tangent kernel is another), BatchNorm, pruned or reparameterized weights, and TorchScript; LayerNorm is read \
where its scales are 1 and its shifts 0.";

pub(super) const NTK_HELP: &str = "\
Examples:
  widthwise ntk runs/mnist_mlp --inputs mnist:test:500 --out kernels/trained
  widthwise ntk weights.safetensors --inputs train.csv --right test.csv --output full --out kernels/cross
  widthwise ntk network.toml --inputs mnist:train:10000 --set network.width=1024 --out kernels/large --memory 2GiB
  widthwise ntk weights.safetensors --inputs x.npy --output logit=3 --per-layer --precision f64 --storage f64 --out k
  widthwise ntk weights.safetensors --inputs mnist:train:5000 --top-k 20 --out k

It writes PREFIX.ntk.npy: one row for each example of --inputs, one column for each of them or of --right; with --output full one \
for each example and output, example by example; with --output diagonal O x O numbers a row. With --per-layer the shares of the \
layers go to PREFIX.ntk.layer1.npy and so on. The same as text with --csv, or where a kernel has at most a million entries. With \
--top-k it writes PREFIX.eigenvalues.csv and PREFIX.eigenvectors.npy instead. The kernel is that of the loss 1/2 sum |f - y|^2 for \
each unit of the base learning rate, each layer weighted with the learning-rate factor of gradient descent, whatever optimizer \
trained the network.

Kernels are written tile by tile. A job that was killed or stopped goes on when its command is given again: finished tiles are \
held against the checksums in PREFIX.journal. Numbers do not depend on --threads; tiles of another size change their round-off.

Sources of examples are those of `widthwise kernel`. A network that is drawn has the outputs of the data set.";

pub(super) const REPRODUCE_HELP: &str = "\
Examples:
  widthwise reproduce --list
  widthwise reproduce jacot2018-percentiles
  widthwise reproduce lee2019-linearization --full --data-dir ~/data --out again

A recipe trains what it needs and writes its configurations, every number (numbers.csv), a figure (figure.svg) and a table \
(table.csv, table.md) with a row for each quantity: what the paper says, what theory says, what was found with its standard error, \
and a verdict. Findings are held against theory; what was recalled of a paper and not read in it is shown and never judged by. \
The default size takes at most a few minutes on two cores, --full that of the paper.

Exit codes: 0 when all verdicts agree; 1 when one disagrees; 2 when the recipe failed; 3 when one is undecided; 130 when it was \
stopped.";

pub(super) const BENCH_HELP: &str = "\
Examples:
  widthwise bench kernels
  widthwise bench ntk
  widthwise bench ntk --case mlp_784_512 --repeats 3
  widthwise bench train --case mlp --device wgpu
  widthwise bench probes --case cnn
  widthwise bench kernels --case global_average --repeats 3
  widthwise --threads 1 bench kernels --case fc_relu";

pub(super) const REPORT_HELP: &str = "\
Example:
  widthwise report runs/mnist_mlp

Everything is drawn from the files of the run; nothing is computed again.";

pub(super) const TABLE_HELP: &str = "\
Examples:
  widthwise table runs/width-256 runs/width-1024 --out widths.csv
  widthwise table runs/* | head";

pub(super) const DATA_HELP: &str = "\
Examples:
  widthwise data list
  widthwise data info mnist
  widthwise data fetch mnist fashion-mnist
  widthwise data import ~/Downloads

Data sets are looked for in --data-dir, or else in the folder that WIDTHWISE_DATA names and in the platform's data folder.";

pub(super) const KERNEL_HELP: &str = "\
Examples:
  widthwise kernel network.toml --inputs inputs.npy --out kernels/mine
  widthwise kernel network.toml --inputs mnist:train:20000 --out kernels/mnist --memory 4GiB --storage f32
  widthwise kernel network.toml --inputs train.csv --right test.csv --out kernels/cross
  widthwise kernel cnn.toml --inputs images.npy --shape 3,32,32 --out kernels/cnn
  widthwise kernel network.toml --inputs x.npy --out k --compare theirs.npy

A file like this is enough for an architecture; any experiment will do as well:
  [network]
  depth = 3
  activation = \"erf\"
  sigma_w2 = 1.5

It writes PREFIX.nngp.npy and PREFIX.ntk.npy: one row for each example of --inputs, one column for each of them or of --right; \
the same as text (PREFIX.nngp.csv, PREFIX.ntk.csv, 17 significant digits, no header) with --csv, or where a kernel has at most a \
million entries. Kernels are written tile by tile. A job that was killed or stopped goes on when its command is given again: \
finished tiles are held against the checksums in PREFIX.journal.

Sources of examples:
  FILE.csv, FILE.npy        one row an example
  NAME:train[:COUNT]        a data set of `widthwise data list`, NAME:test likewise, with the preprocessing that an experiment
                            has by default: COUNT examples chosen by seed 1, |x|^2 = d, centred one-hot targets
  CONFIG.toml:train[:COUNT] the data set, preprocessing and seed of a configuration, CONFIG.toml:test likewise

With --compare the exit code is 0 if the kernels are equal to within --tolerance and 1 if they are not; then the likely difference \
of conventions is named.";

pub(super) const PREDICT_HELP: &str = "\
Examples:
  widthwise predict network.toml --train mnist:train:1000 --test mnist:test:500 --out p
  widthwise predict network.toml --train x.csv --targets y.csv --test z.csv --method nngp --noise 0.01 --out p
  widthwise predict network.toml --train x.npy --targets y.npy --optimizer momentum --learning-rate 0.1 --times 0,10,inf --out p
  widthwise predict network.toml --train mnist:train:500 --optimizer gradient-descent --learning-rate 1e-3 --batch-size 50 --times 100 --out p
  widthwise predict network.toml --train mnist:train:500 --loss cross-entropy --times 1,10,100 --members 16 --out p
  widthwise predict network.toml --train mnist:train:5000 --test mnist:test --method ntkgp --noise 0.1 --solver cg --out p

Methods:
  ntk             ensemble of networks trained by --optimizer to each of --times (inf if left out)
  nngp            posterior of the NNGP kernel; with --times, an ensemble whose readouts alone are trained
  ntkgp           posterior of the tangent kernel; with --times, the ensemble whose covariance it is, trained
  student-t       posterior of the NNGP kernel with a random readout variance, inverse gamma of --prior-shape and --prior-scale
  infinite-depth  classifier of infinitely many layers of the activation

Sources of examples are those of `widthwise kernel`. The loss is 1/2 sum (f - y)^2, a sum over examples, and times are flow times: \
learning rate (1 for the flow) times time, or steps of a discrete optimizer; with --batch-size the sum is over the batch. --noise is a variance of the targets and part of the \
model, --ridge a penalty ridge/2 |theta - theta_0|^2, --jitter neither: it only makes a kernel solvable, and is always stated.

It writes PREFIX.predictions.csv (split, example, output, time, mean, variance, target), PREFIX.summary.json and, with --covariance, \
a .npy of examples x examples for each split and time.";

pub(super) const CONFIG_HELP: &str = "\
Examples:
  widthwise config init experiment.toml
  widthwise config check experiment.toml --set network.width=2048
  widthwise config check experiment.toml -v";

pub(super) const COMPLETIONS_HELP: &str = "\
Examples:
  widthwise completions bash > ~/.local/share/bash-completion/completions/widthwise
  widthwise completions zsh > \"${fpath[1]}/_widthwise\"
  widthwise completions fish > ~/.config/fish/completions/widthwise.fish";
