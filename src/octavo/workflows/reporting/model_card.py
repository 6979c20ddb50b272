"""Model card: what a run made, from what and how well, on one page, every number with the file it stands in.

The card names no patient and no exam and holds no path. What a run cannot know is left to its author, in so many words.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from octavo.files import write_json, write_text
from octavo.training.run import COHORT, RECIPE
from octavo.workflows.reporting import run_in_words as words
from octavo.workflows.reporting.run_facts import (
    MUST_FILL,
    NOT_A_DEVICE,
    NOT_MEASURED,
    RunFacts,
    plain_command,
    read_run,
)

CARD = "model-card"
MORE_MEASURES = ("log_loss", "sensitivity_at_95_specificity")
"""Beside those that matter most."""
EVALUATION = "evaluation.json"
SPLITS = "splits.csv"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Entry:
    """One line of the card."""

    value: Any
    """Never empty: what is not known is `MUST_FILL`."""
    sources: tuple[str, ...] = ()
    """Files of the run it stands in; none where nothing was read."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """What belongs to it: an interval, numbers of exams, fingerprints."""


Section: TypeAlias = dict[str, Entry]


def write_model_card(run: Path) -> Path:
    """Write `model-card.md` and `model-card.json` into a run, from what lies there.

    Args:
        run: A run's folder, or a model that was shared.

    Returns:
        Where the page for people is.

    Raises:
        OctavoError: If the folder is no run, or a file of it is damaged.
    """
    card = model_card(read_run(run))
    plain = {title: {name: _plain(entry) for name, entry in section.items()} for title, section in card.items()}
    write_json(run / f"{CARD}.json", {"form": "octavo model card 1", **plain})
    page = run / f"{CARD}.md"
    write_text(page, _page(card))
    return page


def model_card(facts: RunFacts) -> dict[str, Section]:
    """The card's sections, each entry filled or marked as left to the author."""
    sections = {
        "what_it_is": _what_it_is(facts),
        "intended_use": _intended_use(facts),
        "training_data": _training_data(facts),
        "training": _training(facts),
        "performance": _performance(facts),
        "calibration": _calibration(facts),
        "limits": _limits(facts),
        "provenance": _provenance(facts),
    }
    return {title: {name: _filled(entry) for name, entry in section.items()} for title, section in sections.items()}


def _filled(entry: Entry) -> Entry:
    empty = entry.value is None or entry.value in ("", {}, [], ())
    return Entry(MUST_FILL) if empty else entry


def _what_it_is(facts: RunFacts) -> Section:
    network, recipe = facts.network, (RECIPE,)
    weights = {seed.name: seed.weights_sha256 for seed in facts.seeds}
    return {
        "system": Entry(facts.recipe.get("system"), recipe),
        "model": Entry(network.name, recipe),
        "architecture": Entry(words.about(facts), recipe),
        "parameters": Entry(network.parameters, recipe),
        "input": Entry(words.preparation(facts), recipe),
        "output": Entry(words.output(facts), facts.files("calibration.json") or recipe),
        "models": Entry(words.ensembling(facts), facts.files("model.safetensors", "weights_sha256")),
        "weights_sha256": Entry(weights, facts.files("model.safetensors", "weights_sha256")),
        "version": Entry(None),
        "licence_of_the_model": Entry(None),
        "contact": Entry(None),
    }


def _intended_use(facts: RunFacts) -> Section:
    notes = sorted({str(seed.provenance["note"]) for seed in facts.seeds if seed.provenance.get("note")})
    return {
        "statement": Entry(" / ".join(notes) or NOT_A_DEVICE, facts.files("provenance.json") if notes else ()),
        "not_meant_for": Entry("diagnosis or treatment; nothing here was validated for clinical use"),
        "intended_use_beyond_research": Entry(None),
        "intended_users": Entry(None),
    }


def _training_data(facts: RunFacts) -> Section:
    cohort, beside = (COHORT,) if facts.cohort else (), words.second_manifest(facts)
    section = {
        "looked_for": Entry(words.outcome(facts), cohort),
        "what_the_label_means": Entry(None),
        "cohort_hash": Entry(facts.cohort.get("content_hash"), cohort),
        "voxels_hash": Entry(facts.cohort.get("voxels_hash"), cohort),
        "split_hash": Entry(facts.split_hash, (SPLITS,)),
        "divided_by": Entry(words.division(facts), (SUMMARY, RECIPE)),
        "left_out": Entry(words.left_out(facts), cohort),
        **({"scans_without_labels": Entry(beside.strip("; "), cohort)} if beside else {}),
        "parts_share_no": Entry(words.level(facts) if facts.split else None, (SPLITS, *cohort)),
    }
    for part, counted in facts.counts.items():
        for what, number in counted.items():
            source = facts.patients[part][1] if what == "patients" else SUMMARY
            section[f"{part}_{what.replace(' ', '_')}"] = Entry(number, (source,))
    reference, files = facts.reference, facts.files("reference.json")
    scans = words.scans(reference) if reference else dict.fromkeys(words.SCANS)
    section |= {name: Entry(told, files) for name, told in scans.items()}
    section |= {name: Entry(None) for name in ("devices", "places_and_dates", "patients_age_sex_and_origin")}
    return section


def _training(facts: RunFacts) -> Section:
    recipe, finished = (RECIPE,), facts.files("finished.json")
    seeds = [seed.provenance.get("seed") for seed in facts.seeds if seed.provenance]
    return {
        "seeds": Entry(seeds, facts.files("provenance.json")),
        "steps": Entry(words.steps(facts), recipe),
        "epochs_trained": Entry(words.epochs(facts), finished),
        "selection": Entry(words.selection(facts), recipe),
        "initial_weights": Entry(words.initialisation(facts), recipe),
        "unequal_classes": Entry(words.imbalance(facts), recipe),
        "variation": Entry(words.augmentation(facts), recipe),
        "refused": Entry(words.refusals(facts), recipe),
        "recipe": Entry(facts.recipe_without_paths, recipe),
        "why_these_settings": Entry(None),
    }


def _performance(facts: RunFacts) -> Section:
    summary = facts.summary
    spread = summary.get("validation_auroc_sd")
    averaged = "; the mean of the classes, each against all others" if facts.classes else ""
    note = f"of the part by which was chosen: {words.chosen(facts)}; no measure of what the model is worth{averaged}"
    names = dict.fromkeys((*words.headline(facts), *([] if facts.classes else MORE_MEASURES)))
    section = {name: _measured(facts, name) for name in names}
    section |= {name: _measured(facts, name) for name in facts.evaluation if re.fullmatch(r"auroc_of_\d+", name)}
    section["models_measured"] = Entry(_covers(facts), (EVALUATION,)) if facts.evaluation else Entry(NOT_MEASURED)
    section["validation_auroc"] = Entry(
        summary.get("validation_auroc_mean"),
        (SUMMARY,),
        {"note": note, **({} if spread is None else {"sd_over_seeds": spread})},
    )
    by_group = f"AUROC in groups by {', '.join(facts.groups)}" if facts.groups else None
    section["by_group"] = Entry(by_group, ("groups.json",))
    section["on_data_from_elsewhere"] = Entry(None)
    return section


def _measured(facts: RunFacts, name: str) -> Entry:
    """A measure with interval, numbers, and the fingerprints of what it was measured on."""
    found = facts.evaluation
    if name not in found:
        return Entry(None if found else NOT_MEASURED)
    more = {
        "ci_low": found.get(f"{name}_ci_low"),
        "ci_high": found.get(f"{name}_ci_high"),
        **{key: found[f"{name}_{key}"] for key in ("ci_undefined", "ci_note") if found.get(f"{name}_{key}")},
        "mean_over_seeds": found.get(f"{name}_mean"),
        "sd_over_seeds": found.get(f"{name}_sd"),
        **{key: found.get(key) for key in ("exams", "patients", "positives")},
        "part": "test",
        "models": facts.measured,
        "split_hash": facts.split_hash,
        "cohort_hash": facts.cohort.get("content_hash"),
        "voxels_hash": facts.cohort.get("voxels_hash"),
    }
    if name == "auroc":
        more |= {f"delong_{key}": found.get(f"auroc_delong_{key}") for key in ("ci_low", "ci_high", "method")}
    value = found[name]
    if value is None:
        value = f"not defined: {found.get(f'{name}_undefined', 'no reason given')}"
    return Entry(value, (EVALUATION,), {key: known for key, known in more.items() if known is not None})


def _covers(facts: RunFacts) -> str:
    """Which of the run's models the evaluation is about: seeds may have been added since, or one was asked for alone."""
    told, there = facts.evaluation.get("seeds"), len(facts.seeds)
    which = facts.measured or "which of them is not known"
    return f"{told} of the run's {there}: {which}" + ("" if told == there else "; octavo evaluate RUN measures all")


def _calibration(facts: RunFacts) -> Section:
    files = facts.files("calibration.json")
    told = {seed.name: seed.calibration for seed in facts.seeds if seed.calibration}
    notes = [f"{name}: {one['temperature_note']}" for name, one in told.items() if one.get("temperature_note")]
    section = {
        **{
            name: Entry({seed: one[key] for seed, one in told.items() if key in one}, files)
            for name, key in (
                ("temperature", "temperature"),
                *([("prediction", "prediction")] if facts.classes else [("threshold", "threshold")]),
                *([] if facts.classes else [("threshold_rule", "threshold_rule")]),
                ("validation_exams", "exams"),
            )
        },
        "notes": Entry("; ".join(notes) or ("none" if told else None), files),
        "brier_before_temperature": _measured(facts, "brier_before_temperature"),
    }
    if facts.classes:
        return section
    section["calibration_error_before_temperature"] = _measured(facts, "calibration_error_before_temperature")
    undefined = facts.evaluation.get("calibration_slope_undefined")
    for name in ("calibration_slope", "calibration_intercept", "calibration_in_the_large"):
        line = f"not defined: {undefined}"
        section[name] = Entry(line, (EVALUATION,)) if undefined else _measured(facts, name)
    return section


def _limits(facts: RunFacts) -> Section:
    found, sources = facts.evaluation, (*facts.files("reference.json"), RECIPE)
    exams = found.get("exams")
    outside = f"{found.get('outside_reference')} of {exams} exams of the test part" if found else NOT_MEASURED
    unknown = NOT_MEASURED if facts.eyes_unknown is None else f"{facts.eyes_unknown} of {exams} exams of the test part"
    noted = sorted({name.removesuffix("_ci_note") for name in found if name.endswith("_ci_note")})
    few = f"interval without width, as exams are too few: {', '.join(noted)}" if noted else "none"
    return {
        "cautions": Entry("; ".join(facts.cautions) or "none", sources),
        "outside_what_it_learnt_from": Entry(outside, (EVALUATION,) if found else ()),
        "eye_unknown_taken_as_right": Entry(unknown, () if facts.eyes_unknown is None else ("predictions.csv",)),
        "intervals_not_to_be_trusted": Entry(few if found else NOT_MEASURED, (EVALUATION,) if found else ()),
        "measured_on": Entry(words.measured_on(facts), (EVALUATION, SUMMARY) if found else ()),
        "further_limits": Entry(None),
    }


def _provenance(facts: RunFacts) -> Section:
    files = facts.files("provenance.json")
    section = {}
    for name in ("versions", "machine"):
        told = {seed.name: seed.provenance[name] for seed in facts.seeds if name in seed.provenance}
        values = list(told.values())
        # seeds may be years apart; where they are not, once is enough
        section[name] = Entry(values[0] if values and all(one == values[0] for one in values) else told, files)
    commands = {
        seed.name: plain_command(seed.provenance["command"], facts.recipe)
        for seed in facts.seeds
        if "command" in seed.provenance
    }
    section["command"] = Entry(commands, files)
    return section


def _plain(entry: Entry) -> dict[str, Any]:
    return {"value": entry.value, **entry.more, "sources": list(entry.sources)}


def _page(card: Mapping[str, Section]) -> str:
    """The card as Markdown: a table for each section."""
    lines = [
        f"# Model card: {_shown(card['what_it_is']['model'].value)} ({_shown(card['what_it_is']['system'].value)})",
        "",
        f"{NOT_A_DEVICE[0].upper()}{NOT_A_DEVICE[1:]}. `{MUST_FILL}` stands where the run cannot know; the last column "
        "names the file of the run that a line rests on. Names of files are left out of commands and settings.",
    ]
    for title, section in card.items():
        lines += ["", f"## {_title(title)}", "", "| what | value | from |", "| --- | --- | --- |"]
        for name, entry in section.items():
            value = "; ".join([_shown(entry.value), *_beside(entry.more)])
            lines.append(f"| {_title(name)} | {_cell(value)} | {_cell(', '.join(entry.sources) or '-')} |")
    return "\n".join(lines) + "\n"


def _beside(more: Mapping[str, Any]) -> list[str]:
    """What a reader wants beside a value: interval, numbers, notes. Fingerprints stand in their own lines."""
    said = []
    if more.get("ci_low") is not None and more.get("ci_high") is not None:
        said.append(f"95 % {_shown(more['ci_low'])} to {_shown(more['ci_high'])}")
    if more.get("delong_ci_low") is not None:
        said.append(
            f"DeLong {_shown(more['delong_ci_low'])} to {_shown(more['delong_ci_high'])} ({more['delong_method']})"
        )
    if more.get("exams") is not None:
        positives = f", {more['positives']} positive" if "positives" in more else ""
        said.append(f"{more['exams']} exams of {more['patients']} patients{positives}")
    if more.get("sd_over_seeds") is not None:
        said.append(f"standard deviation over seeds {_shown(more['sd_over_seeds'])}")
    said += [str(more[name]) for name in ("ci_undefined", "ci_note", "note") if more.get(name)]
    return said


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_shown(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_shown(inner) for inner in value)
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _title(name: str) -> str:
    shown = name.upper() if name in {"auroc", "auprc"} else name.replace("_", " ")
    return f"{shown[0].upper()}{shown[1:]}"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
