"""Run in words: how a run's scans were prepared and its models trained, as sentences for cards and checklists."""

from collections.abc import Mapping
from typing import Any

from octavo.cohorts.reference import Reference
from octavo.volume import AXES
from octavo.workflows.reporting.run_facts import NOT_MEASURED, RunFacts

BALANCES = {
    "none": "nothing was done about unequal classes",
    "undersample": "the {larger} of the training part {are} cut to the size of the {smallest}, by chance, once a seed",
    "weighted-sampling": "exams of the training part are drawn so that {all} classes come equally often",
    "weighted-loss": "exams of the training part weigh in the loss so that {all} classes count the same",
}
BEFORE_SPLIT = "; before the split the {larger} of the whole cohort {were} cut to the size of the {smallest}"
OF_TWO = {"larger": "larger class", "smallest": "smaller", "are": "is", "were": "was", "all": "both"}
OF_MORE = {"larger": "larger classes", "smallest": "smallest", "are": "are", "were": "were", "all": "all"}
"""How the sentences about balance go on, for two classes and for more."""
SPLITS = {
    "manifest": "the manifest said which part each patient is in",
    "file": "a split that was given says which part each patient is in",
}
"""What stands in `summary.json` as `split_from`, but for `octavo`."""
WHENCE_UNKNOWN = "octavo did not divide it, so whether the test part is from elsewhere is not known to the run"
UNKNOWN_TAKEN = "whether stages were taken over from another run is not known"
TELLING_APART = ("auroc", "auprc", "accuracy", "sensitivity", "specificity", "f1")
OF_CLASSES = ("macro_auroc", "accuracy", "balanced_accuracy", "macro_f1", "brier", "log_loss")
"""Measures of more than two classes."""
SCANS = ("scan_patterns", "scan_directions", "scan_regions", "scan_samples", "scan_millimetres", "synthetic_scans")
"""What is known of the training scans."""


def about(facts: RunFacts) -> str | None:
    """What kind of model it is; None where the catalogue has none like it."""
    if is_trivial(facts):
        of_what = "each class" if facts.classes else "the disease"
        return f"how common {of_what} is, whatever the scan"
    if "backbone_fingerprint" in facts.recipe and facts.recipe["weights"] is None:
        return "attention over slices; an untrained stand-in for DINOv2 (not counted) reads each of them once"
    return facts.network.about


def is_trivial(facts: RunFacts) -> bool:
    """Whether the model reads nothing."""
    return facts.recipe.get("architecture") == "trivial"


def preparation(facts: RunFacts) -> str:
    """What is done to a scan before the network reads it."""
    how = facts.network.preparation
    steps = []
    if how.anatomy == "eye":
        steps.append("turned to right-eye orientation, superior first")
    if how.size is not None:
        steps.append(f"resampled to {' x '.join(map(str, how.size))} (B-scans x depth x A-scans)")
    if how.intensity == "percentile":
        steps.append(f"grey values from the 0.5th to the 99.5th percentile of each scan spread over {how.bits} bits")
    else:
        steps.append(
            f"grey values in {how.bits} bits: 8-bit scans as stored, others from their least to their greatest"
        )
    if "slices" in facts.recipe:
        count = facts.recipe["slices"]
        which = f"the central {count} slices" if count else "all slices"
        steps.append(f"{which} along {facts.recipe['slice_axis']} read by the backbone")
    if facts.recipe.get("grey_range", 1.0) != 1.0:
        steps.append(f"the brightest value becomes {facts.recipe['grey_range']:g}")
    return "; ".join(steps)


def refusals(facts: RunFacts) -> str:
    """Which scans never reach the network."""
    how = facts.network.preparation
    refused = ["scans that cannot be read, that are no raster, or whose voxels are all alike"]
    refused += ["scans without a superior and an inferior half"] if how.hemiretinas else []
    refused += ["scans not known to hold both macula and disc"] if how.both_ends else []
    return "; ".join(refused)


def augmentation(facts: RunFacts) -> str:
    """How training scans vary."""
    told: dict[str, Any] = facts.recipe.get("augmentation", {})
    varied = [f"{name} up to {told[name]:g}" for name in ("brightness", "contrast", "gamma") if told.get(name)]
    varied += [f"zoom up to {told['zoom']:g}"] if told.get("zoom", 1) > 1 else []
    varied += [f"chance {name.replace('_', ' of ')}" for name in ("flip_bscans", "flip_ascans") if told.get(name)]
    return f"training scans vary by chance: {', '.join(varied)}" if varied else "training scans are not varied"


def imbalance(facts: RunFacts) -> str:
    """What was done about unequal classes."""
    balance, how = str(facts.recipe.get("balance")), OF_MORE if facts.classes else OF_TWO
    words = BALANCES.get(balance, balance)
    if pretrains(facts) and balance != "none":
        words += f"; {pretraining(facts.cohort)}"
    if facts.recipe.get("balance_before_split"):
        words += BEFORE_SPLIT
    return words.format(**how)


def pretraining(cohort: Mapping[str, Any]) -> str:
    """Whose scans a stage without labels reads, from what stands in `cohort.json`."""
    return f"pretraining, which comes before and uses no labels, reads {_pretrained_on(cohort)}"


def _pretrained_on(cohort: Mapping[str, Any]) -> str:
    exams, patients = cohort.get("unlabelled_exams"), cohort.get("unlabelled_patients")
    beside = "" if exams is None else f" and {exams} exams of {patients} patients from a second manifest"
    return f"all exams of the training part{beside}"


def pretrains(facts: RunFacts) -> bool:
    """Whether a stage without labels comes first."""
    return bool(facts.recipe.get("pretrain", "none") != "none")


def learnt_at_once(facts: RunFacts) -> str:
    """What the weights of a model without epochs are computed from."""
    kept = "the training exams that balancing keeps" if facts.recipe.get("balance") == "undersample" else None
    return kept or "all training exams"


def initialisation(facts: RunFacts) -> str:
    """What the weights were before training."""
    seeds = ", ".join(str(seed.provenance.get("seed", seed.name)) for seed in facts.seeds)
    if not facts.network.learns_by_steps:
        return f"no weights to begin with: they are computed from {learnt_at_once(facts)}"
    drawn = f"drawn by chance from each seed ({seeds}); {other_weights(facts)}"
    if pretrains(facts):
        drawn += f"; pretrained without labels on {_pretrained_on(facts.cohort)} ({facts.recipe['pretrain']})"
    if "backbone_fingerprint" not in facts.recipe:
        return drawn
    kind = "untrained stand-in" if facts.recipe["weights"] is None else "DINOv2, from a file of weights"
    return f"backbone: {kind}, fingerprint {facts.recipe['backbone_fingerprint']}, never changed; head: {drawn}"


def other_weights(facts: RunFacts) -> str:
    """Whether stages of another run were copied; their recipe, exams, split and seed are then the same."""
    if any(seed.taken_over is None for seed in facts.seeds):
        return UNKNOWN_TAKEN
    taken = [f"{seed.name} {stage}" for seed in facts.seeds for stage in seed.taken_over or ()]
    if not taken:
        return "no weights of another training"
    return (
        f"{', '.join(taken)} taken over from another run, trained there with the same settings, exams, split and seed"
    )


def steps(facts: RunFacts) -> str:
    """Optimizer, rate, batches, and how long at most."""
    if not facts.network.learns_by_steps:
        return f"the best weights are computed from {learnt_at_once(facts)}; there are no epochs and no learning rate"
    how = (
        f"learning rate {facts.recipe['learning_rate']:g}, {facts.recipe['batch_size']} exams in a batch of one process"
    )
    each = [f"{one.name}: {one.optimizer}, at most {one.most_epochs} epochs" for one in facts.network.stages]
    return "; ".join([*each, how])


def selection(facts: RunFacts) -> str | None:
    """Which epoch's weights are kept; None where the recipe alone does not say."""
    if not facts.network.learns_by_steps:
        return "nothing to choose: one computation gives the weights"
    rules = [
        f"{one.name}: the epoch with the smallest {one.monitor} on the validation part, "
        f"stopped after {one.patience} epochs without a better one"
        for one in facts.network.stages
    ]
    return "; ".join(rules) or None


def epochs(facts: RunFacts) -> dict[str, str]:
    """How long each stage of each seed really took."""
    told = {}
    for seed in facts.seeds:
        for stage, how in seed.finished.get("stages", {}).items():
            took = f"{how['epochs']} epochs, best {how['best_epoch']} counted from 0"
            took = took if facts.network.learns_by_steps else "computed, not learnt in epochs"
            taken = ", taken over from another run" if stage in (seed.taken_over or ()) else ""
            told[f"{seed.name} {stage}"] = f"{took}, validation value {how['best_value']:.4g}{taken}"
    return told


def chosen(facts: RunFacts) -> str:
    """What is chosen on the validation part."""
    return ", ".join(
        [
            *(["epochs"] if facts.network.learns_by_steps else []),
            "temperature",
            *([] if facts.classes else ["threshold"]),
        ]
    )


def ensembling(facts: RunFacts) -> str:
    """How several seeds answer together."""
    if len(facts.seeds) < 2:
        return "one model answers alone"
    return f"the calibrated probabilities of {len(facts.seeds)} models, which differ in their seed alone, are averaged"


def output(facts: RunFacts) -> str:
    """What comes out, and where the threshold comes from."""
    if facts.classes:
        return (
            f"a probability of each of {', '.join(facts.classes)}, calibrated by one temperature, and the most probable"
        )
    rules = sorted({str(one.calibration.get("threshold_rule", "unknown")) for one in facts.seeds if one.calibration})
    return (
        "a probability of the positive class, calibrated by one temperature, and 1 where it reaches the threshold, else 0; "
        f"threshold: {' / '.join(rules) or '0.5, as nothing was calibrated'}"
    )


def parts(facts: RunFacts) -> str:
    """Exams, patients and positives of each part."""
    told = []
    for part, counted in facts.counts.items():
        exams, patients, *labels = counted.items()
        if exams[1] is None:
            continue
        of_patients = "" if patients[1] is None else f" of {patients[1]} patients"
        each = ", ".join(f"{number} {name.replace('positives', 'positive')}" for name, number in labels)
        told.append(f"{part}: {exams[1]} exams{of_patients}, {each}")
    return "; ".join(told)


def level(facts: RunFacts) -> str:
    """What the parts never share."""
    if facts.cohort.get("each_row_its_own_patient"):
        return "exams: it was declared that no two show the same patient; no two parts hold the same voxels"
    return "patients: all exams of one patient are in one part, and no two parts hold the same voxels"


def division(facts: RunFacts) -> str | None:
    """Who divided the cohort; None where an older run does not say."""
    if not facts.drawn:
        return SPLITS.get(str(facts.summary.get("split_from")))
    each = "positive ones and others separately"
    if facts.classes:
        each = "those of each class separately, where a patient counts as the last of their classes"
    words = f"octavo divided the patients by chance, {each}"
    shares = " : ".join(f"{share:g}" for share in facts.recipe["split_fractions"])
    return f"{words}, {shares} for training, validation and test, with seed {facts.recipe['split_seed']}"


def scans(reference: Reference) -> dict[str, str]:
    """What the training scans were like."""
    spans = [f"{axis} {_span(low, high)}" for axis, (low, high) in zip(AXES, reference.shape, strict=True)]
    lengths = [
        f"{axis} {'unknown' if span is None else _span(*span)}"
        for axis, span in zip(AXES, reference.size_mm, strict=True)
    ]
    told = (", ".join(names) for names in (reference.patterns, reference.slow_axes, reference.regions))
    synthetic = f"{reference.phantoms} of {reference.scans}"
    return dict(zip(SCANS, (*told, "; ".join(spans), "; ".join(lengths), synthetic), strict=True))


def outcome(facts: RunFacts) -> str | None:
    """Which label the models look for; None where the run does not say."""
    if not facts.cohort:
        return None
    if facts.classes:
        return f"classes {', '.join(map(repr, facts.classes))}"
    positive, negative = facts.cohort.get("positive"), facts.cohort.get("negative")
    against = f" against {negative!r}" if negative else ""
    return (f"label {positive!r}" if positive else "label 1") + against


def measure(facts: RunFacts, name: str) -> str:
    """One measure with its interval, or why it has none."""
    found = facts.evaluation
    if not found:
        return NOT_MEASURED
    if found.get(name) is None:
        return f"{name} not defined: {found.get(f'{name}_undefined', 'no reason given')}"
    low, high = found.get(f"{name}_ci_low"), found.get(f"{name}_ci_high")
    interval = "no interval" if low is None or high is None else f"95 % {low:.3f} to {high:.3f}"
    if name == "auroc" and found.get("auroc_delong_ci_low") is not None:
        interval += f", DeLong {found['auroc_delong_ci_low']:.3f} to {found['auroc_delong_ci_high']:.3f}"
    if found.get(f"{name}_ci_note"):
        interval += ", too few exams for an interval of any width"
    return f"{name} {found[name]:.3f} ({interval})"


def headline(facts: RunFacts) -> tuple[str, ...]:
    """The measures that matter most."""
    return OF_CLASSES if facts.classes else (*TELLING_APART, "brier", "calibration_error")


def measured_on(facts: RunFacts) -> str:
    """Where the exams of the test part come from, as far as the run knows."""
    if not facts.evaluation:
        return NOT_MEASURED
    if facts.drawn:
        elsewhere = second_manifest(facts) or "; no data from elsewhere are in this run"
        return f"the test part that octavo drew from the cohort it learnt from{elsewhere}"
    return f"a test part of the same manifest; {WHENCE_UNKNOWN}"


def left_out(facts: RunFacts) -> str | None:
    """How many exams a pair of labels leaves out of the manifest; None where it is no pair."""
    told = facts.cohort.get("left_out")
    if told is None:
        unknown = "exams of labels beside the pair were left out, and how many is not known"
        return unknown if facts.cohort.get("negative") else None
    of_each = ", ".join(f"{number} {label!r}" for label, number in told.items())
    counted = f"{sum(told.values())} ({of_each})" if told else "none"
    return f"exams of labels beside the pair were left out: {counted}"


def second_manifest(facts: RunFacts) -> str:
    """What scans without labels the run learnt from, as the end of a sentence about exams; empty where there are none."""
    told = facts.cohort
    if "unlabelled_exams" not in told:
        return ""
    left_out = ", ".join(f"{number} {reason}" for reason, number in told.get("unlabelled_left_out", {}).items())
    return (
        f"; besides, pretraining alone read {told['unlabelled_exams']} exams of {told['unlabelled_patients']} patients of a "
        f"second manifest without labels, of which were left out: {left_out or 'none'}"
    )


def measures(facts: RunFacts, names: tuple[str, ...]) -> str:
    """Some measures, and of how many exams."""
    found = facts.evaluation
    if not found:
        return NOT_MEASURED
    counted = [f"{found.get('exams')} exams of {found.get('patients')} patients"]
    counted += [f"{found['positives']} positive"] if "positives" in found else []
    counted += [f"answered by {facts.measured}"] if facts.measured else []
    n = f"test part, {', '.join(counted)}"
    return f"{n}: {'; '.join(measure(facts, name) for name in names)}"


def _span(low: float, high: float) -> str:
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
