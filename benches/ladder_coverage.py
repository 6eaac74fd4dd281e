"""How often the intervals of `widthwise ladder` cover the declared power, and how often a ladder disagrees with a theory that is exact.

    python3 benches/ladder_coverage.py target/release/widthwise --ladders 400 --widths 32..512 --seeds 12 --out /tmp/coverage

Every ladder has a seed of its own, so that data, networks and batches are independent. What is there already is not trained again. It prints, for each
quantity, the share of ladders whose 95 % interval has the declared power inside, with the interval of that share (Wilson 1927) and the mean
length; then the share of ladders with a rejected limit, a rejected power, and exit code 1.
"""

import argparse
import csv
import math
import subprocess
from pathlib import Path

CONFIG = Path(__file__).parent.parent / "examples" / "ladder_one_hidden.toml"

# Small enough for a third of a second a ladder.
SETTINGS = [
    "dataset.preprocessing.train=8",
    "dataset.preprocessing.test=4",
    "probes.examples=8",
    "probes.jacobian_examples=8",
    "training.stop.steps=30",
]


def share(count, of):
    """A share with its 95 % interval."""
    z, p = 1.96, count / of
    middle, reach = p + z * z / (2 * of), z * math.sqrt(p * (1 - p) / of + (z / (2 * of)) ** 2)
    low, high = ((middle + sign * reach) / (1 + z * z / of) for sign in (-1, 1))
    return f"{100 * p:5.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def ladder(options, seed):
    """Exit code and rows of the ladder of a seed."""
    folder = options.out / str(seed)
    command = [options.program, "ladder", CONFIG, "--quiet", "--threads", "1", "--out", folder]
    command += ["--widths", options.widths, "--seeds", options.seeds]
    for setting in [f"run.seed={seed}", *SETTINGS, *options.set]:
        command += ["--set", setting]
    code = subprocess.run(list(map(str, command)), capture_output=True, check=False).returncode
    if code not in (0, 1, 3):
        raise SystemExit(f"seed {seed}: exit code {code}")
    with open(folder / "fits.csv", newline="") as file:
        return code, list(csv.DictReader(file))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("program", type=Path)
    arguments.add_argument("--ladders", type=int, default=400)
    arguments.add_argument("--widths", default="32..512")
    arguments.add_argument("--seeds", default="12")
    arguments.add_argument("--set", action="append", default=[])
    arguments.add_argument("--out", type=Path, required=True)
    options = arguments.parse_args()
    powers, codes = {}, []
    rejected = {"limit": 0, "exponent_of_mean": 0}
    for seed in range(1, options.ladders + 1):
        code, rows = ladder(options, seed)
        codes.append(code)
        for statistic in rejected:
            rejected[statistic] += any(r["statistic"] == statistic and r["verdict"] == "disagrees" for r in rows)
        for row in rows:
            if row["statistic"] == "exponent_of_mean" and row["declared"] and row["low"]:
                low, high, declared = (float(row[key]) for key in ("low", "high", "declared"))
                powers.setdefault((row["quantity"], row["layer"]), []).append((low <= declared <= high, high - low))
    print("| quantity | power inside the 95 % interval | mean length |\n|---|---|---|")
    for (quantity, layer), found in powers.items():
        length = sum(length for _, length in found) / len(found)
        name = quantity + (f", layer {layer}" if layer else "")
        print(f"| {name} | {share(sum(is_inside for is_inside, _ in found), len(found))} | {length:.3f} |")
    print("\n| false alarms | ladders |\n|---|---|")
    for name, count in [
        ("a limit disagrees", rejected["limit"]),
        ("a power disagrees", rejected["exponent_of_mean"]),
        ("exit code 1", codes.count(1)),
    ]:
        print(f"| {name} | {count} of {len(codes)}: {share(count, len(codes))} |")
    print(f"\nexit codes: {', '.join(f'{code}: {codes.count(code)}' for code in (0, 1, 3))}")


if __name__ == "__main__":
    main()
