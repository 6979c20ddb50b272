"""`octavo evaluate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

OF_TWO_CLASSES = ("auroc", "accuracy", "sensitivity", "specificity", "f1", "auprc", "brier", "calibration_error")
OF_SEVERAL_CLASSES = ("macro_auroc", "accuracy", "balanced_accuracy", "macro_f1", "brier", "log_loss")
"""The measures that are printed, in order."""


@dataclass(frozen=True)
class Evaluate:
    """Measure a finished run on its test part: patients it never saw.

    Writes evaluation.json, predictions.csv and report.html into the run. Thresholds and temperature were fixed on
    validation; nothing is chosen here.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """The run's folder."""
    seed: int | None = None
    """Only the model of that seed."""
    prepared: Path | None = None
    """Where prepared scans are kept; by default in the run."""
    groups: tuple[str, ...] = ()
    """Columns of the manifest, such as sex or age, by which the AUROC is told apart."""

    def run(self) -> int:
        """Evaluate, and print the measures that matter most."""
        from octavo.workflows.evaluate import evaluate
        from octavo.workflows.report import report

        evaluated = evaluate(self.folder, seed=self.seed, prepared=self.prepared, groups=self.groups)
        page = report(evaluated)
        print(describe(evaluated.evaluation))
        print(f"research software, not a medical device; see {page}")
        return 0


def describe(evaluation: Mapping[str, Any]) -> str:
    """The headline measures with their intervals, one a line."""
    names = [evaluation[f"name_of_{number}"] for number in range(evaluation.get("classes", 0))]
    counted = [f"{evaluation[f'exams_of_{number}']} {name}" for number, name in enumerate(names)]
    of_which = ", ".join(counted) or f"{evaluation['positives']} positive"
    lines = [f"{evaluation['exams']} exams of {evaluation['patients']} patients, {of_which}"]
    for name in OF_SEVERAL_CLASSES if names else OF_TWO_CLASSES:
        value, low, high = (evaluation.get(key) for key in (name, f"{name}_ci_low", f"{name}_ci_high"))
        if value is None:
            lines.append(f"  {name:<20} not defined: {evaluation.get(f'{name}_undefined', '')}")
            continue
        interval = "no interval" if low is None or high is None else f"95 % {low:.3f} to {high:.3f}"
        spread = evaluation.get(f"{name}_sd")
        seeds = "" if spread is None else f"; seeds {evaluation[f'{name}_mean']:.3f} +- {spread:.3f}"
        note = evaluation.get(f"{name}_ci_note")
        lines.append(f"  {name:<20} {value:.3f} ({interval}{seeds})" + (f"; {note}" if note else ""))
    for row, own in enumerate(names):
        called = ", ".join(f"{evaluation[f'confusion_{row}_as_{column}']} {name}" for column, name in enumerate(names))
        lines.append(f"  of {own}, called: {called}")
    if evaluation.get("caution"):
        lines.append(str(evaluation["caution"]))
    return "\n".join(lines)
