"""Demo: the whole way on synthetic eyes, in a few minutes on two cores."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.exam import Exam
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.training.machine import Machine
from octavo.workflows.evaluate import Evaluated, evaluate
from octavo.workflows.explain import explain_exam, write_explanations
from octavo.workflows.phantom import write_phantoms
from octavo.workflows.report import report
from octavo.workflows.train import train

_log = logging.getLogger("octavo.demo")

SHAPE = (32, 64, 48)
"""Of the synthetic scans."""


def demo_recipe() -> AICNet3DRecipe:
    """A recipe small enough for two cores; everything but sizes and lengths is as for real scans."""
    return AICNet3DRecipe(
        attention="hemiretinal",
        size=(32, 64, 32),
        channels=16,
        balance="none",
        learning_rate=1e-3,
        batch_size=8,
        epochs=22,
        patience=22,
        consistency_epochs=4,
        consistency_patience=4,
    )


@dataclass(frozen=True)
class Demo:
    """What a demo made."""

    folder: Path
    evaluation: dict[str, Any]
    explained: list[dict[str, Any]]
    """The rows of the table of explanations."""
    seconds: float


def demo(out: Path, *, seed: int = 1, patients: int = 210) -> Demo:
    """Make a cohort, train both stages, evaluate on patients never seen, and explain some of them.

    Called again it goes on where it stopped.

    Args:
        out: Where everything goes.
        seed: Of the cohort, the split and the training.
        patients: How many synthetic patients; a fifth of them are tested.
    """
    started = time.monotonic()
    _log.info("1/4 synthetic eyes of %d patients", patients)
    write_phantoms(out / "cohort", patients=patients, seed=seed, difficulty="standard", shape=SHAPE)
    manifest, run = out / "cohort" / "manifest.csv", out / "run"
    _log.info("2/4 training, two stages")
    if not (run / f"seed-{seed}" / "finished.json").exists():
        train(
            "ai-cnet3d",
            demo_recipe(),
            CohortChoice(str(manifest)),
            run,
            seeds=(seed,),
            machine=Machine(track="none"),
        )
    _log.info("3/4 evaluation on patients never seen")
    evaluated = evaluate(run)
    report(evaluated)
    _log.info("4/4 explanation")
    model = evaluated.models[0]
    telling = (explain_exam(model, exam) for exam in _telling(evaluated))
    rows = write_explanations(out / "explanations", telling, model)
    return Demo(out, dict(evaluated.evaluation), rows, time.monotonic() - started)


def _telling(evaluated: Evaluated) -> list[Exam]:
    """The surest right answers of either class, and the surest wrong one."""
    by_margin = sorted(
        evaluated.predictions, key=lambda one: abs((one.probability or 0.0) - one.threshold), reverse=True
    )
    right = [one for one in by_margin if one.predicted == one.exam.label]
    wrong = [one for one in by_margin if one.predicted != one.exam.label]
    chosen = (
        [one for one in right if one.exam.label == 1][:2]
        + [one for one in right if one.exam.label == 0][:1]
        + wrong[:1]
    )
    return [one.exam for one in chosen]
