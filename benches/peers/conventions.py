"""Checks what docs/coming-from.md says of neural-tangents, PyTorch and mup, number by number.

    python3 benches/peers/conventions.py target/release/widthwise

Needs numpy, and for each part the library that it is about; a part whose library is missing is skipped and says so.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
FOLDER = pathlib.Path(tempfile.mkdtemp())
NETWORK = """
[network]
family = "mlp"
depth = {depth}
width = 64
activation = "{activation}"
sigma_w2 = {sigma_w2}
sigma_b2 = {sigma_b2}
parameterization = "{parameterization}"
"""
FAILED = []


def widthwise(*arguments):
    done = subprocess.run([PROGRAM, *map(str, arguments)], cwd=FOLDER, capture_output=True, text=True)
    if done.returncode not in (0, 1, 3):
        raise SystemExit(f"{arguments}: {done.stderr}")
    return done


def network(name, depth=2, activation="relu", sigma_w2=2.0, sigma_b2=0.1, parameterization="ntk"):
    path = FOLDER / f"{name}.toml"
    path.write_text(NETWORK.format(**{k: v for k, v in locals().items() if k not in ("name", "path")}))
    return path


def claim(text, found, expected, bound=1e-6):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    error = np.abs(found - expected).max() / np.abs(expected).max()
    verdict = "holds" if error <= bound else "FAILS"
    if error > bound:
        FAILED.append(text)
    print(f"{verdict}: {text} (largest difference {error:.1e} of the largest entry)")


RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(12, 5))
Z = RANDOM.normal(size=(4, 5))
Y = RANDOM.normal(size=(12, 2))
for name, values in [("x", X), ("y", Y), ("z", Z)]:
    np.save(FOLDER / f"{name}.npy", values)


def kernels(path, prefix, *more):
    widthwise("kernel", path, "--inputs", "x.npy", "--out", prefix, *more)
    return [np.load(FOLDER / f"{prefix}.{kernel}.npy") for kernel in ("nngp", "ntk")]


def neural_tangents():
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        import neural_tangents as nt
        from neural_tangents import stax
    except ImportError as missing:
        return print(f"skipped: neural-tangents ({missing})")
    for activation, layer in [("relu", stax.Relu()), ("erf", stax.Erf()), ("gelu", stax.Gelu())]:
        dense = lambda n: stax.Dense(n, W_std=2.0**0.5, b_std=0.1**0.5)
        _, _, kernel = stax.serial(dense(64), layer, dense(64), layer, dense(2))
        theirs = kernel(X, X, ("nngp", "ntk"))
        here = kernels(network(activation, activation=activation), activation)
        claim(f"W_std^2 is sigma_w2, b_std^2 is sigma_b2: NNGP, {activation}", here[0], theirs.nngp)
        claim(f"the same, NTK, {activation}", here[1], theirs.ntk)
    standard = lambda n: stax.Dense(n, W_std=2.0**0.5, b_std=0.1**0.5, parameterization="standard")
    _, _, kernel = stax.serial(standard(64), stax.Relu(), standard(2))
    here = kernels(network("standard", depth=1, parameterization="standard"), "standard")
    claim("parameterization='standard' is \"standard\": NTK", here[1], kernel(X, X, "ntk"))
    norm_network = FOLDER / "norm.toml"
    norm_network.write_text(
        '[network]\nfamily = "layers"\nwidth = 64\nactivation = "relu"\nsigma_w2 = 2.0\nsigma_b2 = 0.1\n'
        'layers = ["dense", { rms_norm = { epsilon = 0.0 } }, "activation"]\n'
    )
    dense = lambda n: stax.Dense(n, W_std=2.0**0.5, b_std=0.1**0.5)
    _, _, kernel = stax.serial(dense(64), stax.LayerNorm(eps=0.0), stax.Relu(), dense(2))
    claim("stax.LayerNorm is rms_norm: NTK", kernels(norm_network, "norm")[1], kernel(X, X, "ntk"))
    _, _, kernel = stax.serial(dense(64), stax.Relu(), dense(64), stax.Relu(), dense(2))
    time = 3.0
    predict = nt.predict.gradient_descent_mse_ensemble(kernel, X, Y)
    theirs = predict(t=time, x_test=Z, get="ntk")
    size = Y.size
    widthwise(
        "predict", network("relu"), "--train", "x.npy", "--targets", "y.npy", "--test", "z.npy", "--times", time / size, "--out", "p"
    )
    lines = (FOLDER / "p.predictions.csv").read_text().splitlines()
    header = lines[0].split(",")
    rows = [dict(zip(header, line.split(","))) for line in lines[1:]]
    means = [float(row["mean"]) for row in rows if row.get("split", row.get("set", "test")) == "test"]
    claim("t there is t / (N O) here: mean after training", means[-Z.shape[0] * 2 :], np.asarray(theirs).ravel())


def pytorch():
    try:
        import torch
    except ImportError as missing:
        return print(f"skipped: PyTorch ({missing})")
    torch.set_default_dtype(torch.float64)
    outputs, targets = torch.tensor(RANDOM.normal(size=(12, 2))), torch.tensor(Y)
    half_mean = 0.5 * ((outputs - targets) ** 2).sum() / len(targets)
    claim("half_mean is O/2 times nn.MSELoss", half_mean, torch.nn.MSELoss()(outputs, targets) * targets.shape[1] / 2)
    rate, beta = 0.1, 0.9
    parameter = torch.nn.Parameter(torch.tensor(RANDOM.normal(size=3)))
    for nesterov in [False, True]:
        optimizer = torch.optim.SGD([parameter], lr=rate, momentum=beta, nesterov=nesterov)
        here, velocity = parameter.detach().numpy().copy(), np.zeros(3)
        for _ in range(5):
            optimizer.zero_grad()
            (0.5 * (parameter**2).sum()).backward()
            optimizer.step()
            velocity = beta * velocity - rate * here
            here = here + (beta * velocity - rate * here if nesterov else velocity)
        claim(f"momentum at a constant rate is the same, nesterov={nesterov}", parameter.detach().numpy(), here, 1e-12)
    bound = torch.nn.Linear(100, 100000).weight.detach()
    claim("nn.Linear draws variance 1/(3 fan_in): sigma_w2 = 1/3", bound.var() * 100 * 3, 1.0, 2e-2)


def mup():
    try:
        import torch
        from mup import MuAdam, MuReadout, set_base_shapes
    except ImportError as missing:
        return print(f"skipped: mup ({missing})")

    def network(width):
        return torch.nn.Sequential(
            torch.nn.Linear(5, width), torch.nn.ReLU(), torch.nn.Linear(width, width), torch.nn.ReLU(), MuReadout(width, 2)
        )

    base, width = 16, 128
    model = set_base_shapes(network(width), network(base), delta=network(2 * base))
    rates = {}
    for group in MuAdam(model.parameters(), lr=1.0).param_groups:
        for parameter in group["params"]:
            rates[tuple(parameter.shape)] = group["lr"]
    claim("MuAdam: hidden weights at lr n0/n", rates[(width, width)], base / width)
    claim("MuAdam: first weights at lr", rates[(width, 5)], 1.0)
    claim("MuReadout divides by n/n0", model[-1].width_mult(), width / base)


neural_tangents()
pytorch()
mup()
raise SystemExit(f"{len(FAILED)} failed" if FAILED else 0)
