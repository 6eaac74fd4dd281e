"""Training steps of widthwise and of PyTorch (and JAX where it is installed), alternately in one run.

    python benches/peers/train.py [--program target/release/widthwise] [--device flex] [--threads 2] [--rounds 3] [--case mlp_784_512]
        [--compiled]

Every round times one case of `widthwise bench train`, then the same network in the other libraries, so that a change in the load of
the machine meets all of them. Medians over rounds are printed with the ratio, above 1 where widthwise is faster, and of the other
libraries the processor time of a step, all threads together. On a machine that others use too, only `--threads 1` compares: threads that
wait for each other wait for theirs. Not part of the tests; needs Python, torch, and optionally jax. With `--device cuda` or `wgpu` torch computes on its CUDA device, with products in
full float32 and once more with TF32; clocks are read when the device has finished.
"""

import argparse
import json
import re
import statistics
import subprocess
import time

OUTPUTS = 10


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="target/release/widthwise")
    parser.add_argument("--device", default="flex", choices=["flex", "ndarray", "wgpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compiled", action="store_true", help="also torch.compile, which needs a C++ compiler")
    parser.add_argument("--case", default="", help="only cases whose name has this part")
    return parser.parse_args()


def ours(arguments, name):
    """Seconds of a step by case name; names that begin as `name` does, its generic road beside it."""
    command = [arguments.program, "bench", "train", "--json", "--quiet", "--repeats", "3", "--case", name]
    command += ["--threads", str(arguments.threads), "--device", arguments.device]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return {event["case"]: event["median_s"] for event in events if event["event"] == "bench"}


def seconds_of(step, wait, floor=0.5):
    """By the clock and of the processors: medians of three rounds of steps that last about half a second each; `wait` until the device
    has finished."""
    for _ in range(3):
        step()
    wait()
    start = time.perf_counter()
    step()
    wait()
    count = max(1, min(1000, round(floor / (time.perf_counter() - start))))
    rounds = []
    for _ in range(3):
        start = time.perf_counter(), time.process_time()
        for _ in range(count):
            step()
        wait()
        rounds.append(((time.perf_counter() - start[0]) / count, (time.process_time() - start[1]) / count))
    return [statistics.median(kind) for kind in zip(*rounds)]


def place(torch, device):
    """Torch's device beside ours, how to wait for it, and the name of its hardware."""
    if device in ("wgpu", "cuda"):
        return "cuda", torch.cuda.synchronize, f"{torch.cuda.get_device_name()} (CUDA {torch.version.cuda})"
    return "cpu", lambda: None, "the processors"


def torch_model(torch, name):
    nn = torch.nn
    if name.startswith("cnn"):
        layers, channels = [], 3
        for _ in range(3):
            layers += [nn.Conv2d(channels, 64, 3, padding=1), nn.ReLU()]
            channels = 64
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, OUTPUTS)), (64, 3, 32, 32)
    if name.startswith("narrow"):
        sizes = [12, 10, 7, 5, 4, 3]
        hidden = [layer for a, b in zip(sizes, sizes[1:]) for layer in (nn.Linear(a, b), nn.Tanh())]
        return nn.Sequential(*hidden, nn.Linear(3, 2)), (512, 12)
    width = int(re.search(r"784_(\d+)x3", name).group(1))
    hidden, features = [], 784
    for _ in range(3):
        hidden.append(nn.Linear(features, width))
        if not name.startswith("deep_linear"):
            hidden.append(nn.ReLU())
        features = width
    return nn.Sequential(*hidden, nn.Linear(width, OUTPUTS)), (128, 784)


def torch_step(torch, name, device, fused, tf32=False, compiled=False):
    members = int((re.match(r"(?:ensemble|narrow)(\d+)", name) or [0, 1])[1])
    is_narrow = name.startswith("narrow")
    models = [torch_model(torch, name) for _ in range(members)]
    models = [(model.to(device), shape) for model, shape in models]
    if compiled:
        models = [(torch.compile(model), shape) for model, shape in models]
    shape = models[0][1]
    inputs, targets = torch.randn(shape, device=device), torch.randn(shape[0], OUTPUTS, device=device)
    classes = torch.arange(shape[0], device=device) % 2
    optimizers = [
        torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused)
        if is_narrow
        else torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, fused=fused)
        for model, _ in models
    ]

    def step():
        torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.backends.cudnn.allow_tf32 = tf32
        for (model, _), optimizer in zip(models, optimizers):
            optimizer.zero_grad(set_to_none=True)
            outputs = model(inputs)
            if is_narrow:
                loss = torch.nn.functional.cross_entropy(outputs, classes)
            else:
                loss = 0.5 * (outputs - targets).square().sum(1).mean()
            loss.backward()
            optimizer.step()

    return step


def jax_step(jax, name):
    jnp = jax.numpy
    width = int(re.search(r"784_(\d+)x3", name).group(1))
    sizes = [784, width, width, width, OUTPUTS]
    keys = jax.random.split(jax.random.PRNGKey(0), 4)
    weights = [jax.random.normal(k, (a, b)) / a**0.5 for k, a, b in zip(keys, sizes, sizes[1:])]
    parameters = [(w, jnp.zeros(w.shape[1])) for w in weights]
    inputs, targets = jnp.ones((128, 784)), jnp.ones((128, OUTPUTS))

    def loss(parameters):
        state = inputs
        for index, (w, b) in enumerate(parameters):
            state = state @ w + b
            state = jax.nn.relu(state) if index < 3 else state
        return 0.5 * jnp.mean(jnp.sum((state - targets) ** 2, 1))

    @jax.jit
    def update(parameters, velocity):
        gradient = jax.grad(loss)(parameters)
        velocity = jax.tree.map(lambda v, g: 0.9 * v - 1e-3 * g, velocity, gradient)
        return jax.tree.map(lambda p, v: p + v, parameters, velocity), velocity

    held = [parameters, jax.tree.map(jnp.zeros_like, parameters)]

    def step():
        held[:] = update(*held)
        jax.block_until_ready(held[0])

    return step


def main():
    arguments = parse()
    import torch

    torch.set_num_threads(arguments.threads)
    try:
        import jax
    except ImportError:
        jax = None
    device, wait, hardware = place(torch, arguments.device)
    versions = [f"torch {torch.__version__}", f"jax {jax.__version__}" if jax else "no jax"]
    print(f"{', '.join(versions)}; widthwise on {arguments.device}, torch on {hardware}; ", end="")
    print(f"{arguments.threads} threads; {arguments.rounds} rounds")
    cases = [f"mlp_784_{width}x3_10_b128" for width in (128, 512, 2048, 8192)]
    cases += ["cnn_3_64_64_64_gap_10_b64", "deep_linear_784_512x3_10_b128", "ensemble32_mlp_784_128x3_10_b128"]
    cases += [f"narrow{members}_12_10_7_5_4_3_2_b512_adam" for members in (1, 4)]
    for case in (case for case in cases if arguments.case in case):
        peers = {
            "torch": torch_step(torch, case, device, False),
            "torch, fused": torch_step(torch, case, device, True),
        }
        if arguments.compiled:
            peers["torch, compiled"] = torch_step(torch, case, device, True, compiled=True)
        if device == "cuda":
            peers["torch, TF32"] = torch_step(torch, case, device, False, True)
            peers["torch, fused, TF32"] = torch_step(torch, case, device, True, True)
        if jax and case.startswith("mlp"):
            peers["jax"] = jax_step(jax, case)
        found, processor = {}, {}
        for _ in range(arguments.rounds):
            for name, seconds in ours(arguments, case).items():
                if name in (case, f"{case}_generic"):
                    found.setdefault("widthwise" + (", generic" if name != case else ""), []).append(seconds)
            for name, step in peers.items():
                clock, busy = seconds_of(step, wait)
                found.setdefault(name, []).append(clock)
                processor.setdefault(name, []).append(busy)
        medians = {name: statistics.median(rounds) for name, rounds in found.items()}
        print(case)
        for name, median in medians.items():
            spread = f"{1e3 * min(found[name]):.3g} to {1e3 * max(found[name]):.3g} ms"
            busy = f"  processor {1e3 * statistics.median(processor[name]):.3g} ms" if name in processor else ""
            print(f"    {name:20} {1e3 * median:8.3g} ms  ({spread})  ratio {median / medians['widthwise']:.2f}{busy}")


if __name__ == "__main__":
    main()
