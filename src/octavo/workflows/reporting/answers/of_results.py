"""What a run says of what it is worth: how it was measured, what came out, and what limits that."""

import re
from collections.abc import Callable

from octavo.training.run import COHORT, RECIPE
from octavo.workflows.reporting import run_in_words as words
from octavo.workflows.reporting.answers.answer import EVALUATION, GROUPS, PREDICTIONS, SPLITS, Answer
from octavo.workflows.reporting.run_facts import NOT_MEASURED, RunFacts


def _objectives(facts: RunFacts) -> Answer:
    measured = "; what it is worth is not measured yet"
    if facts.evaluation:
        measured = f" and measures it on {words.measured_on(facts)}"
    return Answer(f"this run develops a model{measured}", (RECIPE, SPLITS))


def _measures(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    which = ", ".join(words.headline(facts)).replace("_", " ")
    drawn = "; octavo evaluate draws the curves that belong to them"
    if facts.classes:
        drawn = "; octavo evaluate counts which class was called what, and draws no curves"
    elif facts.evaluation.get("auroc") is None:
        drawn = ""
    text = (
        f"{which}: how well classes are told apart, and whether probabilities can be taken at their word{drawn}; "
        "no other model is compared in this run"
    )
    return Answer(text, (EVALUATION,), complete=True)


def _uncertainty(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    draws = facts.evaluation.get("bootstrap_resamples")
    delong = "" if facts.classes else "; for AUROC also DeLong's, clustered by patient"
    text = (
        f"95 % intervals from {draws} draws of patients, each with all exams{delong}; spread over seeds where there are "
        "several; no test of significance in this run"
    )
    return Answer(text, (EVALUATION,), complete=True)


def _robustness(facts: RunFacts) -> Answer:
    name = words.headline(facts)[0]
    spread = facts.evaluation.get(f"{name}_sd")
    known = "one seed, so nothing is known of how results vary" if len(facts.seeds) < 2 else NOT_MEASURED
    if spread is not None:
        known = f"standard deviation of {name} over {facts.evaluation['seeds']} seeds: {spread:.3f}"
    return Answer(known, (EVALUATION,) if facts.evaluation else (RECIPE,))


def _internal_test(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    own = "the test part was drawn from the same cohort" if facts.drawn else words.measured_on(facts)
    return Answer(f"{own}; {words.measures(facts, words.headline(facts))}", (EVALUATION, SPLITS), complete=facts.drawn)


def _clusters(facts: RunFacts) -> Answer:
    known = "this run does not know which places its scans come from"
    looked = f"; it looked at groups by {', '.join(facts.groups)}" if facts.groups else ", and did not look at them"
    return Answer(f"{known}{looked}", (COHORT, *([GROUPS] if facts.groups else [])))


def _updating(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    threshold = "no weight and no temperature" if facts.classes else "no weight, no temperature and no threshold"
    none = f"none in this run: measuring changes {threshold}"
    return Answer(none, (EVALUATION, *facts.files("calibration.json")), complete=bool(facts.files("calibration.json")))


def _performance(facts: RunFacts) -> Answer:
    files = (EVALUATION,) if facts.evaluation else ()
    return Answer(words.measures(facts, words.headline(facts)), files, complete=bool(files))


def _performance_and_groups(facts: RunFacts) -> Answer:
    known = _performance(facts)
    if facts.groups:
        told = f"{known.text}; AUROC in groups by {', '.join(facts.groups)}, in {GROUPS}"
        return Answer(f"{told}. Whether these are the groups that matter is not known", (*known.evidence, GROUPS))
    return Answer(f"{known.text}. Groups were not looked at in this run", known.evidence)


def _accuracy(facts: RunFacts) -> Answer:
    found = facts.evaluation
    if not found:
        return Answer(NOT_MEASURED, ())
    names = words.OF_CLASSES if facts.classes else words.TELLING_APART
    counts = {
        key: n for key, n in found.items() if re.fullmatch(r"(true|false)_(posi|nega)tives|confusion_\d+_as_\d+", key)
    }
    counted = ", ".join(f"{key.replace('_', ' ')} {number}" for key, number in counts.items())
    text = f"{words.measures(facts, names)}; {counted}; intervals by drawing patients"
    return Answer(text, (EVALUATION,), complete=bool(counted))


def _failures(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    return Answer(f"every wrong answer stands in {PREDICTIONS}; why they are wrong is not known", (PREDICTIONS,))


def _limits(facts: RunFacts) -> Answer:
    measured = f"measured on {words.measured_on(facts)}" if facts.evaluation else NOT_MEASURED
    return Answer("; ".join((*facts.cautions, measured)), (RECIPE, *facts.files("reference.json")))


OF_RESULTS: dict[str, Callable[[RunFacts], Answer]] = {
    "objectives": _objectives,
    "measures": _measures,
    "uncertainty": _uncertainty,
    "robustness": _robustness,
    "internal_test": _internal_test,
    "clusters": _clusters,
    "updating": _updating,
    "performance": _performance,
    "performance_and_groups": _performance_and_groups,
    "accuracy": _accuracy,
    "failures": _failures,
    "limits": _limits,
}
