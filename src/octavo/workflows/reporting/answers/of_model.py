"""What a run says of its model: what it is, how it was trained, and what comes out."""

from collections.abc import Callable

from octavo.training.recipe import LEFT_OUT
from octavo.training.run import COHORT, RECIPE
from octavo.workflows.reporting import run_in_words as words
from octavo.workflows.reporting.answers.answer import Answer
from octavo.workflows.reporting.run_facts import NOT_A_DEVICE, RunFacts


def _ai_kind(facts: RunFacts) -> Answer:
    return Answer(f"{facts.recipe['system']}: {words.about(facts)}; looks for {words.outcome(facts)}", (RECIPE, COHORT))


def _intended_use(facts: RunFacts) -> Answer:
    return Answer(NOT_A_DEVICE, facts.files("provenance.json"))


def _model(facts: RunFacts) -> Answer:
    network = facts.network
    size = "" if network.parameters is None else f", {network.parameters:,} parameters"
    text = (
        f"{facts.recipe['system']} ({network.name}): {words.about(facts)}{size}; input: {words.preparation(facts)}; "
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
    text = words.initialisation(facts)
    known = LEFT_OUT not in text and words.UNKNOWN_TAKEN not in text
    taken = facts.files("finished.json") if any(seed.taken_over for seed in facts.seeds) else ()
    return Answer(text, (RECIPE, *facts.files("provenance.json"), *taken), complete=known)


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


def _explanations(facts: RunFacts) -> Answer:
    maps = facts.network.explained_by
    if facts.classes:
        said = "octavo explain draws no maps for a model of more than two classes"
    elif maps is None:
        said = "whether octavo explain draws maps for this model is not known here, as it cannot be built"
    elif maps:
        said = f"octavo explain draws maps for this model ({', '.join(maps)}); whether they were used is not known"
    else:
        said = "octavo explain draws no maps for this model"
    if "slices" in facts.recipe:
        said += "; octavo predict says how much each slice counted"
    return Answer(said, (RECIPE,))


def _calculation(facts: RunFacts) -> Answer:
    files = facts.files("calibration.json")
    text = (
        f"the network's logits divided by the temperature, and their softmax; {words.ensembling(facts)}; "
        "the program is octavo predict, of the version in provenance.json"
    )
    return Answer(text, (*files, *facts.files("provenance.json")), complete=bool(files))


def _imbalance(facts: RunFacts) -> Answer:
    rarer = "rarer classes count" if facts.classes else "the rarer class counts"
    why = "" if facts.recipe.get("balance") == "none" else f", so that {rarer} as much"
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


def _availability(facts: RunFacts) -> Answer:
    told = sorted({str(seed.provenance.get("versions", {}).get("octavo", "unknown")) for seed in facts.seeds})
    known = (
        f"made with octavo {', '.join(told)}, under the MIT licence; where it, the model and the data can be had is not"
    )
    return Answer(f"{known} known to the run", facts.files("provenance.json"))


def _specification(facts: RunFacts) -> Answer:
    files = (*facts.files("model.safetensors", "weights_sha256"), RECIPE, *facts.files("calibration.json"))
    whole = "these files are the whole model, and octavo predict reads it"
    fingerprint = facts.recipe.get("backbone_fingerprint")
    if "backbone_fingerprint" in facts.recipe:
        which = "the untrained stand-in that reads slices, which octavo makes again"
        which = which if facts.recipe["weights"] is None else "the backbone that reads slices"
        whole = f"these files are the model without {which}; its weights, fingerprint {fingerprint}, are not in the run"
    return Answer(f"{whole}. Not known: who may have it", files)


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


OF_MODEL: dict[str, Callable[[RunFacts], Answer]] = {
    "ai_kind": _ai_kind,
    "intended_use": _intended_use,
    "model": _model,
    "building": _building,
    "software": _software,
    "initialisation": _initialisation,
    "training": _training,
    "selection": _selection,
    "ensembling": _ensembling,
    "explanations": _explanations,
    "calculation": _calculation,
    "imbalance": _imbalance,
    "output": _output,
    "availability": _availability,
    "specification": _specification,
    "poor_input": _poor_input,
    "users": _users,
}
