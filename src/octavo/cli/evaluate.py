"""`octavo evaluate`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro


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

    def run(self) -> int:
        """Evaluate, and print the measures that matter most."""
        from octavo.workflows.evaluate import evaluate
        from octavo.workflows.report import report

        evaluated = evaluate(self.folder, seed=self.seed, prepared=self.prepared)
        page = report(evaluated)
        print(describe(evaluated.evaluation))
        print(f"research software, not a medical device; see {page}")
        return 0


def describe(evaluation: Mapping[str, Any]) -> str:
    """The headline measures with their intervals, one a line."""
    lines = [f"{evaluation['exams']} exams of {evaluation['patients']} patients, {evaluation['positives']} positive"]
    for name in ("auroc", "accuracy", "sensitivity", "specificity", "f1", "auprc", "brier", "calibration_error"):
        value, low, high = (evaluation.get(key) for key in (name, f"{name}_ci_low", f"{name}_ci_high"))
        if value is None:
            lines.append(f"  {name:<20} not defined: {evaluation.get(f'{name}_undefined', '')}")
            continue
        interval = "no interval" if low is None or high is None else f"95 % {low:.3f} to {high:.3f}"
        spread = evaluation.get(f"{name}_sd")
        seeds = "" if spread is None else f"; seeds {evaluation[f'{name}_mean']:.3f} +- {spread:.3f}"
        note = evaluation.get(f"{name}_ci_note")
        lines.append(f"  {name:<20} {value:.3f} ({interval}{seeds})" + (f"; {note}" if note else ""))
    if evaluation.get("caution"):
        lines.append(str(evaluation["caution"]))
    return "\n".join(lines)
