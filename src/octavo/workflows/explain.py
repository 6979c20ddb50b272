"""Explain: where a model looked, on the scan's own grid and in its millimetres."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float

from octavo.attribution import EXPLAINERS, class_margin, covering, find_explainer, require_explained_by, same_grid
from octavo.attribution.explainer import Attribution
from octavo.cohorts.exam import Exam, read_exam, read_mask
from octavo.cohorts.preparation import Prepared, white_of
from octavo.cohorts.reference import ScanFacts, is_caution
from octavo.errors import OctavoError, unknown_name
from octavo.figures.explanation import draw_map, map_section
from octavo.figures.report import Link, Report, Section, Table, write_report
from octavo.files import plain_name, write_bytes, write_json, write_text
from octavo.formats import write_volume
from octavo.metrics.exam_arrays import UndefinedMetricError
from octavo.metrics.localisation import HOTTEST_FRACTIONS, localise
from octavo.metrics.similarity import measure_agreement
from octavo.volume import Volume
from octavo.workflows.models import Model

TARGETS = ("predicted", "positive", "negative")
"""What may be explained: the predicted class, or one of the two whatever was predicted."""

Numbers = dict[str, float | int | str | None]


@dataclass(frozen=True)
class Explanation:
    """What one model's maps say about one exam."""

    exam: Exam
    volume: Volume
    probability: float
    explained_class: int
    """The class whose score was explained, by maps that read the score."""
    heats: Mapping[str, Float[np.ndarray, "bscan depth ascan"]] = field(repr=False)
    """By explainer, on the scan's grid, 0 to 1."""
    attributions: Mapping[str, Attribution] = field(repr=False)
    mask: Bool[np.ndarray, "bscan depth ascan"] | None = field(repr=False)
    numbers: Numbers
    """Agreement of CARE and Grad-CAM, and overlap of each map with the mask, flat."""
    warnings: tuple[str, ...]

    @property
    def cautions(self) -> tuple[str, ...]:
        """Of the warnings, those that every picture must bear."""
        return tuple(text for text in self.warnings if is_caution(text))


def explain_exam(
    model: Model, exam: Exam, by: Sequence[str] = ("care", "grad-cam"), target: str = "predicted"
) -> Explanation:
    """Explain what a model says about one exam; the model is unchanged on return.

    Args:
        model: The model.
        exam: The exam; where it has a mask, overlap with it is measured.
        by: Names of explainers.
        target: One of `TARGETS`.

    Raises:
        OctavoError: If the scan cannot be read or used, a name is unknown, or the network does not have what a map is read
            from.
    """
    if target not in TARGETS:
        raise OctavoError(unknown_name("a target", target, TARGETS))
    require_two_classes(model)
    explainers = [find_explainer(name) for name in by]
    require_explained_by(model.network, by)
    volume = read_exam(exam)
    prepared = model.preparation.apply(volume)
    white = model.recipe.grey_range / white_of(prepared.values)
    grey = torch.from_numpy(prepared.values.astype(np.float32) * np.float32(white))[None, None]
    grey = grey.to(next(model.network.parameters()).device)
    with torch.inference_mode():
        logits = model.network.eval()(grey).logits[0].double().cpu().numpy()
    probability = float(model.probabilities(np.array([logits[1] - logits[0]]))[0])
    # at the model's own threshold, as `octavo predict` answers, and not where its logits cross
    explained = int(probability >= model.threshold) if target == "predicted" else int(target == "positive")
    attributions = {one.name: one(model.network, grey, class_margin(explained)) for one in explainers}
    heats = {name: _unit(prepared, attribution.coarse) for name, attribution in attributions.items()}
    mask = read_mask(exam, volume.shape) if exam.mask is not None else None
    return Explanation(
        exam=exam,
        volume=volume,
        probability=probability,
        explained_class=explained,
        heats=heats,
        attributions=attributions,
        mask=mask,
        numbers={**_agreement(attributions), **_overlap(heats, mask)},
        warnings=(*model.warnings(ScanFacts.of(volume, prepared)), *volume.notes, *prepared.warnings),
    )


def require_two_classes(model: Model) -> None:
    """Refuse to explain a model of more classes than two.

    Raises:
        OctavoError: If it is one.
    """
    if model.classes:
        raise OctavoError(
            f"{model.name} tells {', '.join(model.classes)} apart; wanted a model of two classes, whose margin is "
            "explained; train one on a pair, with --positive and --negative"
        )


def write_explanations(out: Path, explanations: Iterable[Explanation], model: Model) -> list[dict[str, Any]]:
    """Write pictures, animations, NIfTI heat, numbers, and one page that shows them all.

    `OUT/index.html`, `OUT/explanations.csv`, and a folder per exam.

    Args:
        out: The folder.
        explanations: Taken one by one; of those that are written only the pictures are kept in memory.
        model: The model that is explained.

    Returns:
        The rows of the table; of no explanations nothing is written.
    """
    sections: list[Section] = []
    rows: list[dict[str, Any]] = []
    cautions: dict[str, None] = {}
    for number, explanation in enumerate(explanations, start=1):
        folder = f"{number:03d}-{plain_name(explanation.exam.exam_id)}"
        sections.append(_write_one(out, folder, explanation, model))
        rows.append(_row(explanation))
        cautions |= dict.fromkeys(explanation.cautions)
    if not rows:
        return rows
    write_text(out / "explanations.csv", _table(rows))
    write_report(
        out / "index.html",
        Report(
            title=f"Where {model.name} looked",
            summary=(
                "Heat is laid over the scan on the scan's own grid. Grad-CAM explains the answer.",
                *_about_care(model),
            ),
            warnings=tuple(cautions),
            sections=tuple(sections),
            provenance={"model": model.name, "exams": len(rows)},
        ),
    )
    return rows


def _row(explanation: Explanation) -> dict[str, Any]:
    numbers = {name: "" if value is None else value for name, value in explanation.numbers.items()}
    said = {
        "exam_id": explanation.exam.exam_id,
        "probability": f"{explanation.probability:.6f}",
        "explained_class": explanation.explained_class,
    }
    return {**said, **numbers, "warnings": " | ".join(explanation.warnings)}


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """All rows as CSV, with every number that any of them has."""
    first, last = ["exam_id", "probability", "explained_class"], ["warnings"]
    names = sorted({name for row in rows for name in row}.difference(first, last))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*first, *names, *last], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _write_one(out: Path, folder: str, explanation: Explanation, model: Model) -> Section:
    exam, parts = explanation.exam, []
    explained = "positive" if explanation.explained_class == 1 else "negative"
    divided = [
        axis
        for axis, is_halved in (("bscan", model.preparation.hemiretinas), ("ascan", model.preparation.both_ends))
        if is_halved
    ]
    for name, heat in explanation.heats.items():
        title = _title(model, name)
        reads_answer = explanation.attributions[name].reads_score
        drawn = draw_map(
            explanation.volume,
            heat,
            title,
            exam_id=exam.exam_id,
            mask=explanation.mask,
            divided=divided,
            notes=(
                *((f"Explains the {explained} class.",) if reads_answer else ()),
                *(f"{text[0].upper()}{text[1:]}." for text in explanation.cautions),
            ),
        )
        for index, png in drawn.bscans:
            write_bytes(out / folder / f"{name}-bscan-{index + 1:03d}.png", png)
        if drawn.en_face is not None:
            write_bytes(out / folder / f"{name}-en-face.png", drawn.en_face)
        write_bytes(out / folder / f"{name}.gif", drawn.animation)
        ending, kind = (
            (".nii.gz", "NIfTI") if explanation.volume.spacing_mm.is_known else (".npz", "NumPy: no millimetres")
        )
        heat_volume = explanation.volume.with_values(heat.astype(np.float32))
        write_volume(heat_volume, out / folder / f"{name}{ending}", overwrite=True)
        links = (Link("animation", f"{folder}/{name}.gif"), Link(f"heat as {kind}", f"{folder}/{name}{ending}"))
        parts.append(map_section(drawn, links=links))
    write_json(
        out / folder / "numbers.json",
        {
            "exam_id": exam.exam_id,
            "probability": explanation.probability,
            "explained_class": explanation.explained_class,
            **explanation.numbers,
            "warnings": list(explanation.warnings),
        },
    )
    rows = tuple((name, value) for name, value in explanation.numbers.items())
    tables = (Table("Numbers", ("Measure", "Value"), rows),) if rows else ()
    said = f"Probability of the positive class {explanation.probability:.3f}. Grad-CAM explains the {explained} class."
    return Section(exam.exam_id, paragraphs=(said,), warnings=explanation.warnings, tables=tables, parts=tuple(parts))


def _unit(prepared: Prepared, coarse: Float[np.ndarray, "b d a"]) -> Float[np.ndarray, "bscan depth ascan"]:
    window = covering(coarse.shape, prepared.values.shape)
    return np.clip(prepared.to_scan_grid(coarse.astype(np.float32), window), 0.0, 1.0)


def _title(model: Model, explainer: str) -> str:
    """What a map is called; the plain CNN and weighted channels have no attention to read CARE out of."""
    has_care = getattr(model.recipe, "has_care", True)
    return explainer if has_care or explainer != "care" else "channel mean (not attention)"


def _about_care(model: Model) -> tuple[str, ...]:
    if "care" not in getattr(model.network, "explained_by", EXPLAINERS):
        return ()
    if _title(model, "care") == "care":
        return ("CARE is read out of the attention and is the same whatever the answer.",)
    return (
        "This network has no attention to read CARE out of: in its place stands the mean of its channels, the same whatever "
        "the answer.",
    )


def _agreement(attributions: Mapping[str, Attribution]) -> Numbers:
    """How far the two maps agree, on the network's own grid."""
    zeros: Numbers = {f"{_key(name)}_is_zero": int(one.is_zero) for name, one in attributions.items()}
    if not {"care", "grad-cam"} <= attributions.keys():
        return zeros
    care, cam = (
        torch.from_numpy(attributions[name].coarse)[None].double().clamp(0, 1) for name in ("care", "grad-cam")
    )
    found = measure_agreement(same_grid(care, cam), cam)
    numbers: Numbers = {f"agreement_{name}": float(getattr(found, name)) for name in ("mse", "kl", "ssim")}
    for name in ("pearson", "pearson_smoothed"):
        undefined = bool(found.pearson_undefined)
        numbers[f"agreement_{name}"] = None if undefined else float(getattr(found, name))
    return {**numbers, **zeros}


def _overlap(heats: Mapping[str, np.ndarray], mask: np.ndarray | None) -> Numbers:
    numbers: Numbers = {}
    if mask is None:
        return numbers
    for name, heat in heats.items():
        key = _key(name)
        try:
            found = localise(heat, mask)
        except UndefinedMetricError as reason:
            numbers[f"{key}_overlap_undefined"] = str(reason)
            continue
        numbers |= {
            "mask_volume_share": found.volume_share,
            f"{key}_mass_inside": found.mass_inside,
            f"{key}_enrichment": found.enrichment,
            f"{key}_mean_heat_inside": found.mean_heat_inside,
            f"{key}_mean_heat_outside": found.mean_heat_outside,
            f"{key}_precision": found.at_mask_size.precision,
            f"{key}_recall": found.at_mask_size.recall,
            f"{key}_pointing_hit": found.pointing_hit,
        }
        for fraction, overlap in zip(HOTTEST_FRACTIONS, found.at_fractions, strict=True):
            numbers[f"{key}_recall_of_hottest_{fraction:g}"] = overlap.recall
            numbers[f"{key}_precision_of_hottest_{fraction:g}"] = overlap.precision
    return numbers


def _key(name: str) -> str:
    return name.replace("-", "_")
