#!/usr/bin/env bash
# Measures a machine with an NVIDIA GPU: training, empirical kernels and the CPU's kernels with widthwise, and the same training and
# kernels with PyTorch next to it. Needs a program built with `--features wgpu,cuda`, python3 with torch, a Vulkan driver for wgpu.
#
#     benches/gpu.sh target/release/widthwise results/gpu/raw [flex wgpu cuda]
#
# Writes one file a measurement; what fails leaves its message in its file and the next one goes on.
set -uo pipefail
program=$(realpath "$1") folder=$2
shift 2
devices=${*:-flex wgpu cuda}
peers=$(dirname "$(realpath "$0")")/peers
threads=$(nproc)
mkdir -p "$folder"
measure() {
  local name=$1
  shift
  printf '%s s: %s\n' "$SECONDS" "$name"
  timeout 240 "$@" >"$folder/$name" 2>"$folder/$name.err" || printf 'ended with %s\n' "$?" >>"$folder/$name.err"
}

{
  date -u
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
  lscpu | grep 'Model name'
  printf 'threads %s\n' "$threads"
  python3 -c 'import torch; print("torch", torch.__version__, "CUDA", torch.version.cuda)'
} >"$folder/machine.txt" 2>&1
for device in $devices; do
  measure "train_$device.jsonl" "$program" bench train --json --quiet --threads "$threads" --device "$device" --repeats 5
  measure "ntk_$device.jsonl" "$program" bench ntk --json --quiet --threads "$threads" --device "$device" --repeats 5
  measure "peer_train_$device.txt" python3 "$peers/train.py" --program "$program" --device "$device" --threads "$threads"
  measure "peer_ntk_$device.txt" python3 "$peers/ntk.py" --program "$program" --device "$device" --threads "$threads" --memory 60
done
measure kernels.jsonl "$program" bench kernels --json --quiet --threads "$threads"
