"""DinoAtten3D's epochs from stored features against the backbone's work in every epoch, as the published program does it.

    python benchmarks/features_once.py

One volume's slices go through a ViT-S/14 with random weights (no trained ones are needed to time it), one at a time as
published and batched as here; an epoch of the head is timed on as many volumes. Both epochs end in the same step of the
same head. Ratios of one run on one machine.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volumes", type=int, default=16)
    parser.add_argument("--slices", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    from octavo.encoders.dinov2 import _network, build
    from octavo.encoders.dinov2_layouts import Architecture, to_original
    from octavo.encoders.slices import SliceChoice, to_pictures
    from octavo.systems.dino_atten3d.network import DinoAtten3D
    from octavo.systems.dino_atten3d.task import DinoAtten3DTask

    architecture = Architecture(width=384, blocks=12, heads=6, mlp_width=1536, patch=14, positions=37)
    torch.manual_seed(0)
    backbone = build(architecture, to_original(_network(architecture).state_dict()), "random weights")
    volumes = [
        np.random.default_rng(number).integers(0, 255, (options.slices, 217, 181), dtype=np.uint8)
        for number in range(options.volumes)
    ]
    choice = SliceChoice("bscan", options.slices)
    task = DinoAtten3DTask(DinoAtten3D(384), 1e-3, 1)
    optimiser = task.configure_optimizers()

    def step(features):
        labels = torch.arange(len(features)) % 2
        optimiser.zero_grad()
        task.losses({"volume": features, "label": labels, "exam_id": [""] * len(features)})["loss"].mean().backward()
        optimiser.step()

    def recomputed(at_once):
        features = []
        for values in volumes:
            pictures = to_pictures(choice.slices(values)).pictures
            features.append(torch.cat([backbone.features(part) for part in pictures.split(at_once)]))
        step(torch.stack(features).clone())
        return features

    from safetensors.numpy import load_file, save_file

    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.safetensors" for number in range(options.volumes)]

        def stored():
            step(torch.stack([torch.from_numpy(load_file(file)["features"]) for file in files]))

        started = time.perf_counter()
        first = recomputed(at_once=32)
        batched_s = time.perf_counter() - started
        for file, features in zip(files, first, strict=True):
            save_file({"features": features.numpy()}, file)
        started = time.perf_counter()
        recomputed(at_once=1)
        published_s = time.perf_counter() - started
        times = []
        for _ in range(options.epochs):
            started = time.perf_counter()
            stored()
            times.append(time.perf_counter() - started)
    stored_s = statistics.median(times)
    print(
        f"| {options.volumes} volumes of {options.slices} slices, ViT-S/14 | an epoch | against the store |\n"
        "| --- | ---: | ---: |"
    )
    for name, seconds in (("slices one at a time, as published", published_s), ("slices batched", batched_s)):
        print(f"| backbone in every epoch, {name} | {seconds:.2f} s | {seconds / stored_s:.0f} times |")
    print(f"| features from the store | {stored_s:.4f} s (median of {options.epochs}) | 1 |")


if __name__ == "__main__":
    main()
