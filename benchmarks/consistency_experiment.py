"""Does anatomy help, and does consistency fine-tuning? Every variant, before and after, on the phantom's hard setting.

    python benchmarks/consistency_experiment.py --out experiments-out/consistency --jobs 2

A cell is one variant, one stage or λ, one seed. Cells are resumable: what is finished is not run again, and an unfinished
training goes on where it stopped. `before` is the first stage; every λ continues from it for the same number of epochs,
so λ = 0 is the control for what more training alone does. All cells share the cohort, its split, and the test patients,
which nothing is chosen on. The tables go to OUT/tables.md.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VARIANTS = ("none", "hemiretinal", "neuron-axon", "hemiretinal-neuron-axon", "shuffled", "epa")
SEEDS = (100, 200, 300, 400, 500)
AFTER, CONTROL = "0.75", "0"
SWEEP = ("0", "0.25", "0.5", "0.75", "1")
SIZE = (32, 64, 32)
MEASURES = {
    "agreement_pearson": "Pearson of CARE and Grad-CAM",
    "agreement_ssim": "SSIM of CARE and Grad-CAM",
    "agreement_mse": "MSE of CARE and Grad-CAM",
    "grad_cam_is_zero": "Share of zero Grad-CAM maps",
    "care_mass_inside": "CARE mass inside planted truth",
    "grad_cam_mass_inside": "Grad-CAM mass inside planted truth",
    "mask_volume_share": "planted truth's share of the volume",
}
CHANCE = "mask_volume_share"
TRUTH = ("grad_cam_mass_inside", "care_mass_inside")


def cells():
    """All cells in the order they must run: first stages first."""
    first = [(variant, "before", seed) for variant in VARIANTS for seed in SEEDS]
    second = [(variant, weight, seed) for variant in VARIANTS for weight in (CONTROL, AFTER) for seed in SEEDS]
    sweep = [("hemiretinal", weight, seed) for weight in SWEEP if weight not in {CONTROL, AFTER} for seed in SEEDS]
    return first, second + sweep


def recipe_of(variant, stage, options):
    from octavo.systems.ai_cnet3d import AICNet3DRecipe

    return AICNet3DRecipe(
        attention=variant,
        size=SIZE,
        channels=16,
        balance="none",
        learning_rate=options.learning_rate,
        batch_size=8,
        epochs=options.epochs,
        patience=options.epochs,
        consistency="off" if stage == "before" else "mse",
        consistency_weight=0.0 if stage == "before" else float(stage),
        consistency_epochs=options.consistency_epochs,
        consistency_patience=options.consistency_epochs,
    )


def run_cell(variant, stage, seed, options):
    """Train one cell and write what the test patients get from it."""
    from octavo.cohorts.choice import CohortChoice
    from octavo.training.machine import Machine
    from octavo.workflows.evaluate import divided_again
    from octavo.workflows.explain import explain_exam
    from octavo.workflows.models import load_models
    from octavo.workflows.predict import predict_prepared
    from octavo.workflows.train import train

    started = time.monotonic()
    run = options.out / "runs" / f"{variant}-{stage}-{seed}"
    prepared = options.out / "prepared"
    if not (run / f"seed-{seed}" / "finished.json").exists():
        train(
            "ai-cnet3d",
            recipe_of(variant, stage, options),
            CohortChoice(str(options.out / "cohort" / "manifest.csv")),
            run,
            seeds=(seed,),
            machine=Machine(accelerator="cpu", track="none"),
            prepared=prepared,
            stage_one_of=None if stage == "before" else options.out / "runs" / f"{variant}-before-{seed}",
        )
    model = load_models(run, seed)[0]
    parts = divided_again(run, model, prepared)
    predictions = predict_prepared([model], parts.test)
    rows = []
    for prediction in predictions:
        exam = prediction.exam
        # the maps agree, or not, on what is predicted; where disease was planted is asked of the map for disease
        numbers = explain_exam(model, exam).numbers
        if exam.label == 1:
            disease = explain_exam(model, exam, target="positive").numbers
            numbers = {**numbers, **{name: disease.get(name) for name in TRUTH}}
        rows.append(
            {
                "exam_id": exam.exam_id,
                "patient_id": exam.patient_id,
                "label": exam.label,
                "probability": prediction.probability,
                **{name: numbers.get(name) for name in MEASURES},
            }
        )
    seconds = time.monotonic() - started
    return {
        "variant": variant,
        "stage": stage,
        "seed": seed,
        "options": options_told(options),
        "seconds": seconds,
        "exams": rows,
    }


def options_told(options):
    """What makes two cells comparable."""
    names = ("patients", "cohort_seed", "epochs", "consistency_epochs", "learning_rate")
    return {name: getattr(options, name) for name in names}


def run_all(options):
    """Run what is missing, `jobs` cells at a time, each in a process with its share of the cores."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // options.jobs))}

    def one(cell):
        variant, stage, seed = cell
        if cell_file(options.out, *cell).exists() or time.monotonic() > options.deadline:
            return
        command = [sys.executable, __file__, *sys.argv[1:], "--cell", variant, stage, str(seed)]
        started = time.monotonic()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        said = (
            f"{time.monotonic() - started:.0f} s"
            if done.returncode == 0
            else f"failed: {done.stderr.splitlines()[-1:]}"
        )
        print(f"{variant} {stage} seed {seed}: {said}", flush=True)

    for group in cells():
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(one, group))


def cell_file(out, variant, stage, seed):
    return out / "cells" / f"{variant}-{stage}-{seed}.json"


def load_cells(options):
    found = {}
    for path in sorted((options.out / "cells").glob("*.json")):
        cell = json.loads(path.read_text())
        if cell["options"] != options_told(options):
            raise SystemExit(
                f"{path}: was made with {cell['options']}; wanted {options_told(options)}; choose another --out"
            )
        found[cell["variant"], cell["stage"], cell["seed"]] = cell["exams"]
    return found


class Table:
    """What the cells of one variant and stage say, over seeds, with intervals over patients."""

    def __init__(self, found):
        import numpy as np

        self.found = found
        exams = next(iter(found.values()))
        self.labels = np.array([row["label"] for row in exams], dtype=np.int64)
        self.patients = [row["patient_id"] for row in exams]
        for cell in found.values():
            if [row["exam_id"] for row in cell] != [row["exam_id"] for row in exams]:
                raise SystemExit("cells were made on different test exams; delete the cells and run again")

    def seeds(self, *stages):
        """The seeds for which all these cells are there."""
        return [s for s in SEEDS if all((variant, stage, s) in self.found for variant, stage in stages)]

    def _auroc(self, variant, stage, seeds, weights):
        import numpy as np

        from octavo.metrics import weighted

        scores = [np.array([row["probability"] for row in self.found[variant, stage, s]]) for s in seeds]
        return np.mean([weighted.auroc(self.labels, score, weights) for score in scores], axis=0)

    def _column(self, variant, stage, seed, name):
        import numpy as np

        return np.array([_number(row[name]) for row in self.found[variant, stage, seed]])

    def _measure(self, name, cell, against, seeds, weights):
        """Weighted mean over exams, averaged over seeds; of the difference by exam, over exams where both are defined."""
        import numpy as np

        draws = []
        for seed in seeds:
            values = self._column(*cell, seed, name)
            if against:
                values = values - self._column(*against, seed, name)
            known = np.isfinite(values)
            total = weights[:, known].sum(axis=1)
            draws.append((weights[:, known] @ values[known]) / np.where(total > 0, total, np.nan))
        return np.mean(draws, axis=0)

    def value(self, name, variant, stage, against=None):
        """Mean over seeds and its 95 % interval; with `against`, of the difference."""
        import numpy as np

        from octavo.metrics.intervals import bootstrap_over_patients

        cells = [(variant, stage), *([against] if against else [])]
        seeds = self.seeds(*cells)
        if not seeds:
            return "-"

        def statistic(weights):
            if name != "auroc":
                return self._measure(name, (variant, stage), against, seeds, weights)
            first = self._auroc(variant, stage, seeds, weights)
            return first - self._auroc(*against, seeds, weights) if against else first

        whole = float(statistic(np.ones((1, len(self.labels))))[0])
        if not np.isfinite(whole):
            return "not defined"
        interval = bootstrap_over_patients({name: statistic}, self.patients)[name]
        sign = "+" if against and whole >= 0 else ""
        note = "" if len(seeds) == len(SEEDS) else f", {len(seeds)} seeds"
        return f"{sign}{whole:.3f} ({interval.low:.3f} to {interval.high:.3f}{note})"

    def spread(self, variant, stage):
        """Standard deviation of AUROC over seeds."""
        import numpy as np

        seeds = self.seeds((variant, stage))
        one = np.ones((1, len(self.labels)))
        values = [float(self._auroc(variant, stage, [seed], one)[0]) for seed in seeds]
        return f"{np.std(values, ddof=1):.3f}" if len(values) > 1 else "-"


def _number(value):
    return float("nan") if value is None else float(value)


def tables(options):
    """All tables as Markdown."""
    table = Table(load_cells(options))
    lines = [
        "AUROC on test patients: mean over seeds (95 % interval over patients).",
        "",
        f"| variant | before | sd over seeds | λ = {AFTER} | λ = {CONTROL} | {AFTER} minus {CONTROL} | before, minus none |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for variant in VARIANTS:
        row = [
            table.value("auroc", variant, "before"),
            table.spread(variant, "before"),
            table.value("auroc", variant, AFTER),
            table.value("auroc", variant, CONTROL),
            table.value("auroc", variant, AFTER, (variant, CONTROL)),
            "" if variant == "none" else table.value("auroc", variant, "before", ("none", "before")),
        ]
        lines.append(f"| {variant} | {' | '.join(row)} |")
    told = {name: title for name, title in MEASURES.items() if name != CHANCE}
    for name, title in told.items():
        chance = f"; a map that knows nothing has {table.value(CHANCE, 'none', 'before')}" if name in TRUTH else ""
        lines += [
            "",
            f"{title}{chance}.",
            "",
            f"| variant | before | λ = {AFTER} | λ = {CONTROL} | λ = {AFTER} minus λ = {CONTROL} |",
        ]
        lines.append("| --- | --- | --- | --- | --- |")
        for variant in VARIANTS:
            values = [table.value(name, variant, stage) for stage in ("before", AFTER, CONTROL)]
            values.append(table.value(name, variant, AFTER, (variant, CONTROL)))
            lines.append(f"| {variant} | {' | '.join(values)} |")
    lines += [
        "",
        "λ on hemiretinal.",
        "",
        f"| λ | AUROC | {' | '.join(told.values())} |",
        "| --- " * (len(told) + 2) + "|",
    ]
    for weight in SWEEP:
        values = [table.value(name, "hemiretinal", weight) for name in ("auroc", *told)]
        lines.append(f"| {weight} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("experiments-out/consistency"))
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--cohort-seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--consistency-epochs", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1e9, help="start no new cell after so many minutes")
    parser.add_argument("--cell", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.deadline = time.monotonic() + 60 * options.minutes
    if options.cell:
        variant, stage, seed = options.cell
        from octavo.files import write_json

        write_json(cell_file(options.out, variant, stage, seed), run_cell(variant, stage, int(seed), options))
        return
    from octavo.workflows.phantom import write_phantoms

    write_phantoms(
        options.out / "cohort",
        patients=options.patients,
        seed=options.cohort_seed,
        difficulty="hard",
        shape=(32, 64, 48),
    )
    load_cells(options)  # refuses cells of another experiment before anything runs
    run_all(options)
    text = tables(options)
    (options.out / "tables.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
