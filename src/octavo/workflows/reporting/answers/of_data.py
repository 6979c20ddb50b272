"""What a run says of its data: where they come from, what was done to them, and how they were divided."""

from collections.abc import Callable

from octavo.training.run import COHORT, RECIPE
from octavo.workflows.reporting import run_in_words as words
from octavo.workflows.reporting.answers.answer import EVALUATION, SPLITS, SUMMARY, Answer
from octavo.workflows.reporting.run_facts import NOT_MEASURED, RunFacts


def _data_source(facts: RunFacts) -> Answer:
    known = f"one manifest, fingerprint {facts.cohort.get('content_hash')}, voxels {facts.cohort.get('voxels_hash')}"
    return Answer(f"{known}; {words.parts(facts)}{words.second_manifest(facts)}", (COHORT, SUMMARY, SPLITS))


def _preprocessing(facts: RunFacts) -> Answer:
    return Answer(
        f"every scan alike: {words.preparation(facts)}; {words.augmentation(facts)}", (RECIPE,), complete=True
    )


def _preparation_and_checks(facts: RunFacts) -> Answer:
    known = _preprocessing(facts).text
    return Answer(f"{known}; refused: {words.refusals(facts)}. Not known: what was checked before", (RECIPE,))


def _subsets(facts: RunFacts) -> Answer:
    left_out = words.left_out(facts)
    whole = words.preparation(facts).split("; ")[-1] if "slices" in facts.recipe else "whole scans"
    whole += f", of exams of the manifest; {left_out}" if left_out else ", of every exam of the manifest"
    cut = f"; {words.imbalance(facts)}" if facts.recipe.get("balance_before_split") else ""
    beside = words.second_manifest(facts)
    files = (RECIPE, *((COHORT,) if left_out or beside else ()))
    return Answer(f"{whole}{cut}{beside}. Not known: how exams came into the manifest", files)


def _deidentification(facts: RunFacts) -> Answer:
    return Answer("octavo reads no names from scans; what was removed from files before is not known", (RECIPE,))


def _missing_data(facts: RunFacts) -> Answer:
    known = "training refuses exams without a label or a readable scan; nothing is filled in"
    left_out = words.left_out(facts)
    known += f"; {left_out}" if left_out else ""
    known += words.second_manifest(facts)
    return Answer(f"{known}. Not known: what was left out of the manifest", (COHORT, SUMMARY))


def _acquisition(facts: RunFacts) -> Answer:
    reference = facts.reference
    told = words.scans(reference) if reference else {}
    known = "; ".join(f"{name}: {value}" for name, value in told.items())
    return Answer(known.replace("_", " "), facts.files("reference.json"))


def _outcome(facts: RunFacts) -> Answer:
    return Answer(f"looked for: {words.outcome(facts)} of the manifest", (COHORT,))


def _predictors(facts: RunFacts) -> Answer:
    only = "the scan alone, with no covariate of the manifest; nothing was tried and dropped by the run"
    if words.is_trivial(facts):
        common = "each class is" if facts.classes else "the disease is"
        balanced = facts.recipe.get("balance") != "none"
        only = f"none; the answer is how common {common} in the training part{' after its balance' if balanced else ''}"
    return Answer(only, (RECIPE,), complete=True)


def _predictor_definitions(facts: RunFacts) -> Answer:
    read = f"grey values of the scan: {words.preparation(facts)}"
    if facts.recipe.get("architecture") == "features-logistic":
        read = f"fixed numbers of brightness and thickness, computed from {read}"
    if words.is_trivial(facts):
        read = "there are none: nothing of the scan is read"
    return Answer(read, (RECIPE,))


def _predictor_judgement(facts: RunFacts) -> Answer:
    return Answer("nobody judges them: the program reads voxels from the file", (RECIPE,), complete=True)


def _sample_size(facts: RunFacts) -> Answer:
    return Answer(f"{words.parts(facts)}{words.second_manifest(facts)}", (SUMMARY, SPLITS))


def _partitions(facts: RunFacts) -> Answer:
    use = f"weights are learnt on training; chosen on validation: {words.chosen(facts)}; test only measures"
    who = "" if facts.drawn else f"; {words.WHENCE_UNKNOWN}"
    return Answer(
        f"{words.parts(facts)}; {use}; parts share no {words.level(facts)}{who}{words.second_manifest(facts)}",
        (SUMMARY, SPLITS),
        complete=facts.drawn and _is_counted(facts),
    )


def _is_counted(facts: RunFacts) -> bool:
    return all(counted["patients"] is not None for counted in facts.counts.values())


def _assignment(facts: RunFacts) -> Answer:
    who = words.division(facts) or "not known who divided the cohort"
    return Answer(who, (SUMMARY, SPLITS, RECIPE), complete=facts.drawn)


def _disjoint_level(facts: RunFacts) -> Answer:
    return Answer(words.level(facts), (SPLITS, COHORT), complete=True)


def _differences(facts: RunFacts) -> Answer:
    """Complete only where chance alone divided, and classes are as they are in both parts."""
    if not facts.counts["test"]["exams"]:
        return Answer(f"no exam is in the test part; {words.parts(facts)}", (SUMMARY, SPLITS))
    if not facts.drawn:
        return Answer(f"{words.parts(facts)}; {words.WHENCE_UNKNOWN}", (SUMMARY, SPLITS))
    known = f"parts of the same cohort, divided by chance; they share no {words.level(facts)}; {words.parts(facts)}"
    is_balanced = facts.recipe.get("balance") != "none"
    if is_balanced:
        known += f"; classes are balanced for training and not for the test: {words.imbalance(facts)}"
    return Answer(known, (SUMMARY, SPLITS, RECIPE), complete=not is_balanced and _is_counted(facts))


def _flow(facts: RunFacts) -> Answer:
    left_out = words.left_out(facts)
    before = f"; {left_out}" if left_out else ""
    before += words.second_manifest(facts)
    return Answer(
        f"{words.parts(facts)}{before}. Not known: who was left out before the manifest",
        (SUMMARY, SPLITS, *((COHORT,) if before else ())),
    )


def _characteristics(facts: RunFacts) -> Answer:
    return Answer(f"{words.parts(facts)}. Not known: age, sex and what else describes patients", (SUMMARY, SPLITS))


def _comparison(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    outside, exams = facts.evaluation.get("outside_reference"), facts.evaluation.get("exams")
    known = f"{outside} of {exams} test exams lie outside what the model learnt from, by size, pattern and grey values"
    return Answer(f"{known}; {words.parts(facts)}", (EVALUATION, *facts.files("reference.json")))


def _numbers(facts: RunFacts) -> Answer:
    use = f"training: weights; validation: {words.chosen(facts)}; test: measures"
    told = f"{words.parts(facts)} ({use}){words.second_manifest(facts)}"
    return Answer(told, (SUMMARY, SPLITS), complete=_is_counted(facts))


OF_DATA: dict[str, Callable[[RunFacts], Answer]] = {
    "data_source": _data_source,
    "preprocessing": _preprocessing,
    "preparation_and_checks": _preparation_and_checks,
    "subsets": _subsets,
    "deidentification": _deidentification,
    "missing_data": _missing_data,
    "acquisition": _acquisition,
    "outcome": _outcome,
    "predictors": _predictors,
    "predictor_definitions": _predictor_definitions,
    "predictor_judgement": _predictor_judgement,
    "sample_size": _sample_size,
    "partitions": _partitions,
    "assignment": _assignment,
    "disjoint_level": _disjoint_level,
    "differences": _differences,
    "flow": _flow,
    "characteristics": _characteristics,
    "comparison": _comparison,
    "numbers": _numbers,
}
