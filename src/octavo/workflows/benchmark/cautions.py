"""What must be said beside the tables of a benchmark: second looks, failures, and what every answer bears."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from octavo.cohorts.parts import Parts
from octavo.cohorts.unlabelled import Unlabelled
from octavo.files import read_json, write_json
from octavo.training.recipe import pretrains
from octavo.workflows.benchmark.cells import Outcome
from octavo.workflows.benchmark.looks import looked_at_elsewhere, looks_at, tested
from octavo.workflows.benchmark.measuring import Answer
from octavo.workflows.benchmark.plan import Plan

GROUPS = "groups.json"
FEW_PATIENTS = 10
"""With fewer of a class a bootstrap over patients is no longer to be trusted."""


def cautions(
    run: Path,
    plan: Plan,
    parts: Mapping[str, Parts],
    answers: Sequence[Answer],
    trained: Sequence[Outcome],
    groups: Sequence[str],
    unlabelled: Mapping[str, Unlabelled],
) -> tuple[str, ...]:
    """What readers of the tables must know beside them.

    Args:
        run: The benchmark's folder.
        plan: What is compared.
        parts: The parts of each division.
        answers: What was measured.
        trained: What became of every training.
        groups: Covariates that are shown by now.
        unlabelled: Scans that pretraining learns from beside the cohort, of each division.
    """
    said = [_had_more(unlabelled, plan)] if unlabelled else []
    looks = looks_at(run, again=True)
    if len(looks) > 1:
        when = ", ".join(look.when for look in looks)
        said.append(
            f"the test part was measured {len(looks)} times ({when}): what was chosen after the first is not unseen"
        )
    alone = sorted({cell for look in looks for cell in look.measured_alone})
    if alone:
        said.append(f"{len(alone)} trainings were measured on the test part by themselves, {alone[0]} among them")
    exams = tested(parts)
    said += [
        f"{shared} of these {len(exams)} scans were measured by the benchmark {name} too, on {when}: whoever chooses "
        "between the two chooses on the test part"
        for name, when, shared in looked_at_elsewhere(run, exams)
    ]
    earlier = [name for name in _groups_shown(run, groups) if name not in groups]
    if earlier:
        said.append(f"groups were shown before by {', '.join(earlier)}, which are not shown now")
    said += _few_patients(parts)
    failed = [one for one in trained if not one.is_finished]
    if failed:
        said.append(f"{len(failed)} of {len(trained)} trainings failed; the table says which")
    if answers and plan.reference not in {one.model for one in answers}:
        said.append(f"{plan.reference} has no answers, so nothing is compared with it")
    return (*said, *_of_answers(answers))


def _had_more(unlabelled: Mapping[str, Unlabelled], plan: Plan) -> str:
    """Which models had scans that the others had not."""
    models = [name for name in plan.models if pretrains(plan.recipe(name)[1])]
    counts = sorted({len(one.exams) for one in unlabelled.values()})
    exams = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return (
        f"{', '.join(models)}: given {exams} exams of a second manifest to learn from without labels, none of a patient who "
        "is chosen by or tested; the other models had none of them"
    )


def _few_patients(parts: Mapping[str, Parts]) -> list[str]:
    """That intervals are of few patients, where one class has few: drawing them again and again shows less than there is."""
    first = next(iter(parts.values()))
    names = first.classes or first.pair or ("0", "1")
    tested = {(one.exam.patient_id, one.exam.label) for part in parts.values() for one in part.test}
    counted = {name: sum(label == number for _, label in tested) for number, name in enumerate(names)}
    few = ", ".join(f"{count} with an exam of class {name}" for name, count in counted.items() if count < FEW_PATIENTS)
    return [f"few patients are tested, {few}: intervals from drawing so few are narrower than the truth"] if few else []


def _of_answers(answers: Sequence[Answer]) -> list[str]:
    """What every answer must bear, once for all that bear it."""
    of_answers = [(one.model, one.cautions.split(" | ")) for one in answers if one.cautions]
    texts = dict.fromkeys(text for _, texts in of_answers for text in texts)
    said = []
    for text in texts:
        models = [model for model, own in of_answers if text in own]
        said.append(f"{', '.join(dict.fromkeys(models))}: {text} ({len(models)} answers)")
    return said


def _groups_shown(run: Path, groups: Sequence[str]) -> list[str]:
    """Every covariate that groups were shown by, now or before; whoever looks at many finds one that suits."""
    path = run / GROUPS
    told: Any = read_json(path)["shown"] if path.exists() else []
    shown = list(dict.fromkeys([*told, *groups]))
    if shown:
        write_json(path, {"shown": shown})
    return shown
