"""Empirical tangent kernels of widthwise and of PyTorch (torch.func), alternately in one run.

    python benches/peers/ntk.py [--program target/release/widthwise] [--device flex] [--threads 2] [--rounds 3] [--case mlp_784_512]

The cases are those of `widthwise bench ntk`. Torch does what its tutorial on tangent kernels does: the Jacobian of every example by
`vmap(jacrev)`, contracted layer by layer. It holds that Jacobian whole, so cases that need more than `--memory` are named and left
out. Kernels end in host memory on both sides. Not part of the tests; needs Python and torch.
"""

import argparse
import json
import re
import statistics
import subprocess
import time

from train import OUTPUTS, place, torch_model

CASES = [f"mlp_784_{width}x3_10_n{n}" for width in (512, 2048) for n in (64, 256, 512)]
CASES += [f"cnn_3_64_64_64_gap_10_n{n}" for n in (16, 32)]


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default="target/release/widthwise")
    parser.add_argument("--device", default="flex", choices=["flex", "ndarray", "wgpu", "cuda"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=float, default=8.0, help="GiB that torch may fill with a Jacobian")
    parser.add_argument("--case", default="", help="only cases whose name has this part")
    return parser.parse_args()


def ours(arguments, name):
    """Seconds of the kernel of one case."""
    command = [arguments.program, "bench", "ntk", "--json", "--quiet", "--repeats", "3", "--case", name]
    command += ["--threads", str(arguments.threads), "--device", arguments.device]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    events = [json.loads(line) for line in lines if line.startswith("{")]
    return next(event["median_s"] for event in events if event.get("case") == name)


def torch_kernel(torch, name, device, is_full):
    model, shape = torch_model(torch, re.sub(r"_n\d+.*", "", name))
    model = model.to(device)
    examples = int(re.search(r"_n(\d+)", name).group(1))
    inputs = torch.randn((examples, *shape[1:]), device=device)
    parameters = {key: value.detach() for key, value in model.named_parameters()}

    def outputs(parameters, x):
        return torch.func.functional_call(model, parameters, (x.unsqueeze(0),)).squeeze(0)

    def kernel():
        jacobian = torch.func.vmap(torch.func.jacrev(outputs), (None, 0))(parameters, inputs)
        total = 0
        for share in jacobian.values():
            rows = share.reshape(examples * OUTPUTS if is_full else examples, -1)
            total = total + rows @ rows.T
        return (total if is_full else total / OUTPUTS).cpu()

    return kernel, sum(value.numel() for value in parameters.values()) * examples * OUTPUTS * 4 / 2**30


def seconds_of(kernel):
    """Median of three kernels after one that warms up."""
    kernel()
    rounds = []
    for _ in range(3):
        start = time.perf_counter()
        kernel()
        rounds.append(time.perf_counter() - start)
    return statistics.median(rounds)


def main():
    arguments = parse()
    import torch

    torch.set_num_threads(arguments.threads)
    device, _, hardware = place(torch, arguments.device)
    print(f"torch {torch.__version__}; widthwise on {arguments.device}, torch on {hardware}; ", end="")
    print(f"{arguments.threads} threads; {arguments.rounds} rounds")
    names = [f"{case}_{output}" for case in CASES for output in ("trace", "full")]
    for name in (name for name in names if arguments.case in name):
        kernel, gibibytes = torch_kernel(torch, name, device, name.endswith("full"))
        peers = {"torch": False, "torch, TF32": True} if device == "cuda" else {"torch": False}
        found = {}
        for _ in range(arguments.rounds):
            found.setdefault("widthwise", []).append(ours(arguments, name))
            if gibibytes > arguments.memory:
                continue
            for peer, tf32 in peers.items():
                torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
                found.setdefault(peer, []).append(seconds_of(kernel))
        print(name if gibibytes <= arguments.memory else f"{name}: torch needs {gibibytes:.0f} GiB for the Jacobian")
        reference = statistics.median(found["widthwise"])
        for peer, rounds in found.items():
            median = statistics.median(rounds)
            spread = f"{1e3 * min(rounds):.3g} to {1e3 * max(rounds):.3g} ms"
            print(f"    {peer:20} {1e3 * median:8.3g} ms  ({spread})  ratio {median / reference:.2f}")


if __name__ == "__main__":
    main()
