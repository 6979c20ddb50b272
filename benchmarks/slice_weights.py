"""Where DinoAtten3D's weights fall, on head-like volumes whose changed slices are known.

    python benchmarks/slice_weights.py --out experiments-out/slice-weights

The backbone is untrained unless `--weights` names some, and the change is planted large enough for it. Measured on test
heads alone: AUROC, and the share of the weights that lies on changed slices, against their share of all slices.
"""

import argparse
from pathlib import Path

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=200)
    parser.add_argument("--strengths", type=float, nargs="+", default=(0.3, 0.6, 1.0))
    parser.add_argument("--seeds", type=int, nargs="+", default=(100, 200, 300, 400, 500))
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--weights", type=str, default=None)
    options = parser.parse_args()

    from octavo.cohorts.choice import CohortChoice
    from octavo.metrics.intervals import mean_interval
    from octavo.systems.dino_atten3d import DinoAtten3DRecipe
    from octavo.training.machine import Machine
    from octavo.workflows.evaluate import evaluate
    from octavo.workflows.phantom_heads import write_heads
    from octavo.workflows.train import train

    recipe = DinoAtten3DRecipe(
        weights=options.weights,
        slice_axis="ascan",
        slices=0,
        anatomy="as-stored",
        epochs=options.epochs,
        patience=options.epochs,
        split_fractions=(0.6, 0.15, 0.25),
    )
    machine = Machine(progress="lines", track="none")
    print(
        "| strength of the change | test heads | AUROC (95 %) | sd over seeds | weight on changed slices (95 %) "
        "| their share | entropy |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    )
    for strength in options.strengths:
        cohort = options.out / f"heads-{strength:g}"
        manifest = write_heads(cohort, heads=options.heads, seed=1, strength=strength).manifest
        run = options.out / f"run-{strength:g}"
        if not (run / "summary.json").exists():
            choice = CohortChoice(str(manifest), positive="AD")
            train("dino-atten3d", recipe, choice, run, seeds=tuple(options.seeds), machine=machine)
        found = evaluate(run)
        falls, shares, names = [], [], []
        for one in found.predictions:
            with np.load(cohort / "truth" / f"{one.exam.exam_id}.mask.npz") as truth:
                changed = truth["changed"].any(axis=(0, 1))
            if changed.any():
                falls.append(sum(weight for index, weight in one.slice_weights.weights if changed[index]))
                shares.append(changed.mean())
                names.append(one.exam.exam_id)
        told, interval = found.evaluation, mean_interval(np.array(falls), names)
        entropies = [np.array([weight for _, weight in one.slice_weights.weights]) for one in found.predictions]
        entropy = np.mean([-(w * np.log(np.maximum(w, 1e-12))).sum() / np.log(w.size) for w in entropies])
        print(
            f"| {strength:g} | {told['exams']} | {told['auroc']:.3f} ({told['auroc_ci_low']:.3f} to "
            f"{told['auroc_ci_high']:.3f}) | {told['auroc_sd']:.3f} | {np.mean(falls):.3f} ({interval.low:.3f} to "
            f"{interval.high:.3f}) | {np.mean(shares):.3f} | {entropy:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
