"""Reporting answers: what a run says to an item of a reporting guideline, and in which of its files.

An answer is complete only where the run says all that the item asks. Where an author may have done more elsewhere, or where
a reason is asked for that no file holds, what is known is said and the item stays the author's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from octavo.training.recipe import LEFT_OUT
from octavo.training.run import COHORT, RECIPE
from octavo.workflows import run_in_words as words
from octavo.workflows.run_facts import NOT_A_DEVICE, NOT_MEASURED, RunFacts

EVALUATION = "evaluation.json"
PREDICTIONS = "predictions.csv"
SPLITS = "splits.csv"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Answer:
    """What a run says to an item."""

    text: str
    evidence: tuple[str, ...]
    complete: bool = False
    """Whether that is all the item asks."""


def _ai_kind(facts: RunFacts) -> Answer:
    return Answer(
        f"{facts.recipe['system']}: {facts.network.about}; looks for {words.outcome(facts)}", (RECIPE, COHORT)
    )


def _objectives(facts: RunFacts) -> Answer:
    return Answer("this run develops a model and measures it on a test part of the same cohort", (RECIPE, SPLITS))


def _intended_use(facts: RunFacts) -> Answer:
    return Answer(NOT_A_DEVICE, facts.files("provenance.json"))


def _data_source(facts: RunFacts) -> Answer:
    known = f"one manifest, fingerprint {facts.cohort.get('content_hash')}, voxels {facts.cohort.get('voxels_hash')}"
    return Answer(f"{known}; {words.parts(facts)}", (COHORT, SUMMARY, SPLITS))


def _preprocessing(facts: RunFacts) -> Answer:
    return Answer(
        f"every scan alike: {words.preparation(facts)}; {words.augmentation(facts)}", (RECIPE,), complete=True
    )


def _preparation_and_checks(facts: RunFacts) -> Answer:
    known = _preprocessing(facts).text
    return Answer(f"{known}; refused: {words.refusals(facts)}. Not known: what was checked before", (RECIPE,))


def _subsets(facts: RunFacts) -> Answer:
    whole = "whole scans of every exam of the manifest"
    if "slices" in facts.recipe:
        whole = f"of every exam of the manifest {words.preparation(facts).split('; ')[-1]}"
    cut = f"; {words.imbalance(facts)}" if facts.recipe.get("balance_before_split") else ""
    return Answer(f"{whole}{cut}. Not known: how exams came into the manifest", (RECIPE,))


def _deidentification(facts: RunFacts) -> Answer:
    return Answer("octavo reads no names from scans; what was removed from files before is not known", (RECIPE,))


def _missing_data(facts: RunFacts) -> Answer:
    known = "training refuses exams without a label or a readable scan; nothing is filled in"
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
    if facts.recipe.get("architecture") == "trivial":
        only = "none; the answer is how common the disease is in the training part"
    return Answer(only, (RECIPE,), complete=True)


def _predictor_definitions(facts: RunFacts) -> Answer:
    return Answer(f"grey values of the scan: {words.preparation(facts)}", (RECIPE,))


def _predictor_judgement(facts: RunFacts) -> Answer:
    return Answer("nobody judges them: the program reads voxels from the file", (RECIPE,), complete=True)


def _sample_size(facts: RunFacts) -> Answer:
    return Answer(words.parts(facts), (SUMMARY, SPLITS))


def _partitions(facts: RunFacts) -> Answer:
    use = (
        "weights are learnt on training; epochs, temperature and threshold are chosen on validation; test only measures"
    )
    return Answer(f"{words.parts(facts)}; {use}; parts share no {words.level(facts)}", (SUMMARY, SPLITS), complete=True)


def _assignment(facts: RunFacts) -> Answer:
    who = words.division(facts) or "not known who divided the cohort"
    drawn = facts.summary.get("split_from") == "octavo"
    return Answer(who, (SUMMARY, SPLITS, RECIPE), complete=drawn)


def _disjoint_level(facts: RunFacts) -> Answer:
    return Answer(words.level(facts), (SPLITS, COHORT), complete=True)


def _model(facts: RunFacts) -> Answer:
    network = facts.network
    size = "" if network.parameters is None else f", {network.parameters:,} parameters"
    text = (
        f"{facts.recipe['system']} ({network.name}): {network.about}{size}; input: {words.preparation(facts)}; "
        f"output: {words.output(facts)}; every setting stands in {RECIPE}, every layer in the program of that version"
    )
    return Answer(text, (RECIPE, *facts.files("model.safetensors", "weights_sha256")), network.parameters is not None)


def _building(facts: RunFacts) -> Answer:
    known = f"{_model(facts).text}; {_training(facts).text}. Not known: why this kind of model, and what else was tried"
    return Answer(known, (RECIPE, *facts.files("finished.json")))


def _software(facts: RunFacts) -> Answer:
    told = [seed.provenance["versions"] for seed in facts.seeds if "versions" in seed.provenance]
    each = sorted({", ".join(f"{name} {version}" for name, version in one.items()) for one in told})
    return Answer(" / ".join(each), facts.files("provenance.json"), complete=bool(each))


def _initialisation(facts: RunFacts) -> Answer:
    known = LEFT_OUT not in words.initialisation(facts)
    return Answer(words.initialisation(facts), (RECIPE, *facts.files("provenance.json")), complete=known)


def _training(facts: RunFacts) -> Answer:
    took = "; ".join(f"{where}: {how}" for where, how in words.epochs(facts).items())
    text = f"{words.steps(facts)}; {words.imbalance(facts)}; {words.augmentation(facts)}; models trained: {took}"
    return Answer(text, (RECIPE, *facts.files("finished.json")), complete=bool(took and facts.network.stages))


def _selection(facts: RunFacts) -> Answer:
    rule = words.selection(facts)
    return Answer(rule or "", (RECIPE, *facts.files("finished.json")), complete=rule is not None)


def _ensembling(facts: RunFacts) -> Answer:
    files = facts.files("model.safetensors", "weights_sha256")
    return Answer(words.ensembling(facts), files, complete=bool(files))


def _measures(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    which = ", ".join(words.headline(facts)).replace("_", " ")
    text = (
        f"{which}: how well classes are told apart, and whether probabilities can be taken at their word; octavo evaluate "
        "draws the curves that belong to them; no other model is compared in this run"
    )
    return Answer(text, (EVALUATION,), complete=True)


def _uncertainty(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    draws = facts.evaluation.get("bootstrap_resamples")
    text = (
        f"95 % intervals from {draws} draws of patients, each with all exams; of two classes for AUROC also DeLong's, "
        "clustered by patient; spread over seeds where there are several; no test of significance in this run"
    )
    return Answer(text, (EVALUATION,), complete=True)


def _robustness(facts: RunFacts) -> Answer:
    name = words.headline(facts)[0]
    spread = facts.evaluation.get(f"{name}_sd")
    known = "one seed, so nothing is known of how results vary" if len(facts.seeds) < 2 else NOT_MEASURED
    if spread is not None:
        known = f"standard deviation of {name} over {facts.evaluation['seeds']} seeds: {spread:.3f}"
    return Answer(known, (EVALUATION,) if facts.evaluation else (RECIPE,))


def _explanations(facts: RunFacts) -> Answer:
    return Answer("octavo explain draws maps for this model; whether they were used is not known", (RECIPE,))


def _internal_test(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    drawn = facts.summary.get("split_from") == "octavo"
    own = "the test part was drawn from the same cohort" if drawn else "the test part is of the same manifest"
    return Answer(f"{own}; {words.measures(facts, words.headline(facts))}", (EVALUATION, SPLITS), complete=drawn)


def _clusters(facts: RunFacts) -> Answer:
    return Answer("this run does not know the places its scans come from, and did not look at them", (COHORT,))


def _updating(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    none = "none in this run: measuring changes no weight, no temperature and no threshold"
    return Answer(none, (EVALUATION, *facts.files("calibration.json")), complete=bool(facts.files("calibration.json")))


def _calculation(facts: RunFacts) -> Answer:
    files = facts.files("calibration.json")
    text = (
        f"the network's logits divided by the temperature, and their softmax; {words.ensembling(facts)}; "
        "the program is octavo predict, of the version in provenance.json"
    )
    return Answer(text, (*files, *facts.files("provenance.json")), complete=bool(files))


def _imbalance(facts: RunFacts) -> Answer:
    why = "" if facts.recipe.get("balance") == "none" else ", so that the rarer class counts as much"
    after = "one temperature fitted on the validation part, whose prevalence was left as it is"
    if facts.recipe.get("balance_before_split"):
        after = "one temperature fitted on the validation part, which was balanced too"
    files = facts.files("calibration.json")
    return Answer(f"{words.imbalance(facts)}{why}; afterwards {after}", (RECIPE, *files), complete=bool(files))


def _output(facts: RunFacts) -> Answer:
    files = facts.files("calibration.json")
    if facts.classes:
        return Answer(words.output(facts), files, complete=bool(files))
    chosen = ", ".join(
        f"{s.name}: {s.calibration['threshold']:.4g}" for s in facts.seeds if "threshold" in s.calibration
    )
    several = "; models together take the mean of their thresholds" if len(facts.seeds) > 1 else ""
    youden = "Youden's index weighs both kinds of error alike; " if "Youden on" in words.output(facts) else ""
    return Answer(
        f"{words.output(facts)} ({chosen}){several}; {youden}test exams have no part in it",
        files,
        complete=bool(chosen),
    )


def _differences(facts: RunFacts) -> Answer:
    drawn = facts.summary.get("split_from") == "octavo"
    known = (
        "by design none: all parts were drawn from the same patients, scans and labels" if drawn else words.parts(facts)
    )
    return Answer(known, (SUMMARY, SPLITS), complete=drawn)


def _availability(facts: RunFacts) -> Answer:
    told = sorted({str(seed.provenance.get("versions", {}).get("octavo", "unknown")) for seed in facts.seeds})
    known = (
        f"made with octavo {', '.join(told)}, under the MIT licence; where it, the model and the data can be had is not"
    )
    return Answer(f"{known} known to the run", facts.files("provenance.json"))


def _flow(facts: RunFacts) -> Answer:
    return Answer(f"{words.parts(facts)}. Not known: who was left out before the manifest", (SUMMARY, SPLITS))


def _characteristics(facts: RunFacts) -> Answer:
    return Answer(f"{words.parts(facts)}. Not known: age, sex and what else describes patients", (SUMMARY, SPLITS))


def _comparison(facts: RunFacts) -> Answer:
    if not facts.evaluation:
        return Answer(NOT_MEASURED, ())
    outside, exams = facts.evaluation.get("outside_reference"), facts.evaluation.get("exams")
    known = f"{outside} of {exams} test exams lie outside what the model learnt from, by size, pattern and grey values"
    return Answer(f"{known}; {words.parts(facts)}", (EVALUATION, *facts.files("reference.json")))


def _numbers(facts: RunFacts) -> Answer:
    use = "training: weights; validation: epochs, temperature, threshold; test: measures"
    return Answer(f"{words.parts(facts)} ({use})", (SUMMARY, SPLITS), complete=True)


def _specification(facts: RunFacts) -> Answer:
    files = (*facts.files("model.safetensors", "weights_sha256"), RECIPE, *facts.files("calibration.json"))
    return Answer("these files are the whole model, and octavo predict reads it. Not known: who may have it", files)


def _performance(facts: RunFacts) -> Answer:
    files = (EVALUATION,) if facts.evaluation else ()
    return Answer(words.measures(facts, words.headline(facts)), files, complete=bool(files))


def _performance_and_groups(facts: RunFacts) -> Answer:
    known = _performance(facts)
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
    known = "; ".join((*facts.cautions, "measured on the cohort it learnt from alone"))
    return Answer(known, (RECIPE, *facts.files("reference.json")))


def _poor_input(facts: RunFacts) -> Answer:
    files = facts.files("reference.json")
    eye = "; an eye that is unknown is taken as a right one and marked"
    text = (
        f"no answer, and the reason, for {words.refusals(facts)}; a scan unlike those the model learnt from in size, "
        "millimetres, pattern, region or grey values is answered and marked, and such an answer is not to be believed"
    )
    text += eye if facts.network.preparation.anatomy == "eye" else ""
    return Answer(text, (*files, RECIPE), complete=bool(files))


def _users(facts: RunFacts) -> Answer:
    return Answer(
        "one command on a folder of scans, without a hand on them; what users must know is not said", (RECIPE,)
    )


ANSWERS: dict[str, Callable[[RunFacts], Answer]] = {
    "ai_kind": _ai_kind,
    "objectives": _objectives,
    "intended_use": _intended_use,
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
    "model": _model,
    "building": _building,
    "software": _software,
    "initialisation": _initialisation,
    "training": _training,
    "selection": _selection,
    "ensembling": _ensembling,
    "measures": _measures,
    "uncertainty": _uncertainty,
    "robustness": _robustness,
    "explanations": _explanations,
    "internal_test": _internal_test,
    "clusters": _clusters,
    "updating": _updating,
    "calculation": _calculation,
    "imbalance": _imbalance,
    "output": _output,
    "differences": _differences,
    "availability": _availability,
    "flow": _flow,
    "characteristics": _characteristics,
    "comparison": _comparison,
    "numbers": _numbers,
    "specification": _specification,
    "performance": _performance,
    "performance_and_groups": _performance_and_groups,
    "accuracy": _accuracy,
    "failures": _failures,
    "limits": _limits,
    "poor_input": _poor_input,
    "users": _users,
}
"""By the name that the tables of `guidelines` give an item."""
