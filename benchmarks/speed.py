"""Speed and memory of AI-CNet3D against the textbook version the tests keep, as ratios measured in one run.

    python benchmarks/speed.py --size 128 192 112 --pairs 5

The textbook version is nn.Conv3d in default layout, F.normalize, matmul and softmax over tokens, and Grad-CAM by a full
backward pass; float32. Each measure is the median over interleaved pairs (textbook, octavo, textbook, octavo ...), so that a
machine that drifts drifts for both. Memory is the highest resident size of a process of its own that makes two steps, above
what it held before the first; on a GPU it is the allocator's peak.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from octavo.attribution import grad_cam
from octavo.systems.ai_cnet3d import AICNet3D
from textbook.ai_cnet3d import HalvesAttention, TextbookAICNet3D, grad_cam_by_full_backward

MEASURES = ("inference", "classification step", "consistency step")
WEIGHT = 0.75


def build(which, size, device):
    torch.manual_seed(0)
    if which == "octavo":
        network = AICNet3D("hemiretinal", size=size)
    else:
        network = TextbookAICNet3D("hemiretinal", attention_type=HalvesAttention)
    network = network.to(device)
    return network, torch.optim.NAdam(network.parameters(), lr=1e-4)


def step(which, measure, network, optimizer, x, labels):
    """One inference or training step."""
    if measure == "inference":
        network.eval()
        with torch.no_grad():
            return network(x)[0]
    network.train()
    optimizer.zero_grad(set_to_none=True)
    logits, care, features = network(x)
    loss = F.cross_entropy(logits, labels)
    if measure == "consistency step":
        if which == "octavo":
            with network.frozen_head():
                heat = grad_cam(features, network.classify)
        else:
            heat = grad_cam_by_full_backward(logits, features, network.parameters())
        loss = (1 - WEIGHT) * loss + WEIGHT * F.mse_loss(care, heat)
    loss.backward()
    optimizer.step()
    return loss.detach()


def synchronise(device):
    if device.type == "cuda":
        torch.cuda.synchronize()


def measure_times(size, batch, pairs, device):
    """Median seconds of each measure for both, and the median ratio of the pairs."""
    x = torch.rand(batch, 1, *size, device=device)
    labels = torch.arange(batch, device=device) % 2
    both = {which: build(which, size, device) for which in ("textbook", "octavo")}
    rows = {}
    for measure in MEASURES:
        seconds = {"textbook": [], "octavo": []}
        for pair in range(pairs + 1):
            for which, (network, optimizer) in both.items():
                synchronise(device)
                started = time.perf_counter()
                step(which, measure, network, optimizer, x, labels)
                synchronise(device)
                if pair:  # the first pair warms up
                    seconds[which].append(time.perf_counter() - started)
        ratios = [a / b for a, b in zip(seconds["textbook"], seconds["octavo"], strict=True)]
        rows[measure] = {
            "textbook_s": statistics.median(seconds["textbook"]),
            "octavo_s": statistics.median(seconds["octavo"]),
            "times_faster": statistics.median(ratios),
            "least": min(ratios),
            "most": max(ratios),
        }
    return rows


def peak_bytes(which, size, batch, device):
    """Highest memory of a consistency step above what was held before it; run in a process of its own."""
    network, optimizer = build(which, size, device)
    x = torch.rand(batch, 1, *size, device=device)
    labels = torch.arange(batch, device=device) % 2
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        before = resident_bytes()
    for _ in range(2):
        step(which, "consistency step", network, optimizer, x, labels)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() - before
    return resident_bytes("VmHWM") - before


def resident_bytes(which="VmRSS"):
    """Resident size now, or the highest so far (VmHWM); unlike getrusage's it does not begin with the parent's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))


def measure_memory(size, batch, device):
    peaks = {}
    for which in ("textbook", "octavo"):
        command = [sys.executable, __file__, "--peak-of", which, "--size", *map(str, size), "--batch", str(batch)]
        done = subprocess.run([*command, "--device", device.type], capture_output=True, text=True, check=True)
        peaks[which] = int(done.stdout.split()[-1])
    return {**{f"{which}_bytes": peak for which, peak in peaks.items()}, "share": peaks["octavo"] / peaks["textbook"]}


def table(size, batch, device, times, memory):
    name = (
        torch.cuda.get_device_name()
        if device.type == "cuda"
        else f"{torch.get_num_threads()} threads, {platform.machine()}"
    )
    shown = "x".join(map(str, size))
    lines = [
        f"Size {shown}, batch {batch}, float32, PyTorch {torch.__version__}, {name}",
        "",
        "| measure | textbook | octavo | times faster (range over pairs) |",
        "| --- | ---: | ---: | ---: |",
    ]
    for measure, row in times.items():
        faster = f"{row['times_faster']:.2f} ({row['least']:.2f} to {row['most']:.2f})"
        lines.append(f"| {measure} | {row['textbook_s']:.3f} s | {row['octavo_s']:.3f} s | {faster} |")
    mib = {which: memory[f"{which}_bytes"] / 2**20 for which in ("textbook", "octavo")}
    share = f"{memory['share']:.2f} of it"
    lines.append(f"| peak memory, consistency step | {mib['textbook']:.0f} MiB | {mib['octavo']:.0f} MiB | {share} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(128, 192, 112))
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--json", type=Path, help="also write the numbers here")
    parser.add_argument("--peak-of", choices=("textbook", "octavo"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    size, device = tuple(options.size), torch.device(options.device)
    if options.peak_of:
        print(peak_bytes(options.peak_of, size, options.batch, device))
        return
    times = measure_times(size, options.batch, options.pairs, device)
    memory = measure_memory(size, options.batch, device)
    print(table(size, options.batch, device, times, memory))
    if options.json:
        options.json.write_text(json.dumps({"size": size, "times": times, "memory": memory}, indent=2))


if __name__ == "__main__":
    main()
