"""`octavo explain`."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from octavo.cli.inspect import ScanOptions
from octavo.errors import OctavoError

if TYPE_CHECKING:
    from octavo.workflows.explain import Explanation


@dataclass(frozen=True)
class Explain(ScanOptions):
    """Show where a model looked, on the scan's own grid and in its millimetres.

    OUT gets index.html, explanations.csv, and a folder per exam with B-scan overlays, an en-face map, an animation and the
    heat as NIfTI (as .npz where millimetres are unknown). Where a manifest names a mask, overlap with it is measured.
    """

    folder: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="RUN")]
    """A finished run, or a folder with model.safetensors and recipe.json."""
    scans: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="SCAN...")]
    """Files, folders, or a manifest (.csv), which needs neither labels nor patients."""
    out: Path
    """A new or empty folder."""
    positive: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The label that counts as positive, where a manifest's labels are names and the model does not know them."""
    negative: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """The label that counts as negative beside --positive; exams of any other keep no label."""
    by: tuple[str, ...] = ("care", "grad-cam")
    """Which maps."""
    target: Literal["predicted", "positive", "negative"] = "predicted"
    """Which class is explained, by maps that read the answer."""
    seed: int | None = None
    """The model of that seed; by default the run's first."""

    def run(self) -> int:
        """Explain, write, and list what could not be used."""
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise OctavoError(f"{self.out}: is there already and not empty; choose a new or empty folder")
        from octavo.cohorts.scans import exams_of
        from octavo.workflows.label_names import names_of

        names = names_of(self.folder, self.positive, self.negative)
        exams, failed = exams_of(
            self.scans,
            self.said(),
            names.positive,
            negative=names.negative,
            classes=names.classes,
            of_model=names.of_model,
        )
        from octavo.attribution import find_explainer, require_explained_by
        from octavo.cohorts.reference import OUTSIDE, is_caution
        from octavo.workflows.explain import explain_exam, require_two_classes, write_explanations
        from octavo.workflows.models import load_models

        for name in self.by:
            find_explainer(name)
        model = load_models(self.folder, self.seed)[0]
        require_two_classes(model)
        require_explained_by(model.network, self.by)

        def explained() -> "Iterator[Explanation]":
            for exam in exams:
                try:
                    yield explain_exam(model, exam, self.by, self.target)
                except OctavoError as refusal:
                    failed.append((exam, str(refusal)))

        written = write_explanations(self.out, explained(), model)
        if written:
            print(f"{self.out / 'index.html'}: {len(written)} exams explained by {model.name}")
            cautions = {text for row in written for text in row["warnings"].split(" | ") if is_caution(text)}
            for caution in sorted(text for text in cautions if not text.startswith(OUTSIDE)):
                print(f"  {caution}")
            doubtful = sum(OUTSIDE in row["warnings"] for row in written)
            if doubtful:
                print(f"  {doubtful} of them {OUTSIDE}: see the column warnings")
            print("research software, not a medical device")
        for exam, reason in failed:
            print(f"octavo: {exam.exam_id}: {reason}", file=sys.stderr)
        if not failed:
            return 0
        return 1 if written else 2
