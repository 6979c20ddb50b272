"""Write a cohort of synthetic eyes: scans, their planted truth, and the manifest that ties them together."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from octavo.cohorts.manifest import write_manifest
from octavo.errors import OctavoError
from octavo.files import atomic_writer, read_json, sweep_half_written, write_bytes, write_json
from octavo.formats import write_volume
from octavo.phantom import VERSION, PhantomExam, PhantomEye, plan_cohort

if TYPE_CHECKING:
    from PIL import Image

RECIPE = "phantom.json"
"""What a folder of phantoms was made from."""

PREVIEWS = 6
"""How many eyes `--preview` shows, half of them diseased where there are enough."""

PROGRESS_SECONDS = 5.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WrittenPhantoms:
    """A cohort of phantoms on disk.

    Args:
        manifest: The manifest.
        exams: What the cohort holds.
        made: How many eyes were made now; the others were there from an earlier call.
        previews: Pictures that were drawn.
    """

    manifest: Path
    exams: tuple[PhantomExam, ...]
    made: int
    previews: tuple[Path, ...] = ()

    def describe(self) -> str:
        """The same for people."""
        patients = {exam.patient_id for exam in self.exams}
        positive = {exam.patient_id for exam in self.exams if exam.label}
        setting, shape = self.exams[0].difficulty.name, " x ".join(map(str, self.exams[0].shape))
        lines = [
            f"{self.manifest}: {len(self.exams)} exams of {len(patients)} patients, "
            f"{sum(exam.label for exam in self.exams)} exams of {len(positive)} patients with glaucoma",
            f"  {setting}, {shape} (bscan x depth x ascan); {self.made} made now, "
            f"{len(self.exams) - self.made} were there",
        ]
        if self.previews:
            lines.append(f"  pictures in {self.previews[0].parent}")
        return "\n".join(lines)


def write_phantoms(
    out: Path,
    *,
    patients: int,
    seed: int,
    difficulty: str = "standard",
    shape: tuple[int, int, int] = (32, 64, 48),
    prevalence: float = 0.5,
    two_eyes: float = 0.7,
    preview: bool = False,
) -> WrittenPhantoms:
    """Write a cohort: `scans/EXAM.npz`, `truth/EXAM.mask.npz` with the mask `thinned`, `manifest.csv`.

    A call that was interrupted is finished by the same call; called again, it finds everything there and makes nothing.
    The truth lies on the grid of the scan as it is stored.

    Args:
        out: A new or empty folder, or one that the same call began.
        patients: How many patients.
        seed: Names the cohort.
        difficulty: Name of a setting.
        shape: Samples along `bscan depth ascan`.
        prevalence: Share of patients with glaucoma.
        two_eyes: Share of patients of whom both eyes are scanned.
        preview: Whether to draw some of the eyes, with the planted truth outlined.

    Raises:
        OctavoError: If a number is out of range, or the folder holds something else.
    """
    exams = plan_cohort(patients, seed, difficulty=difficulty, shape=shape, prevalence=prevalence, two_eyes=two_eyes)
    recipe = {
        "octavo_phantom": VERSION,
        "patients": patients,
        "seed": seed,
        "difficulty": difficulty,
        "shape": list(shape),
        "prevalence": prevalence,
        "two_eyes": two_eyes,
    }
    try:
        claim_phantoms(out, recipe)
        made = _write_missing(out, exams)
        manifest = out / "manifest.csv"
        if not manifest.exists():
            write_manifest([_row(exam) for exam in exams], manifest)
        previews = tuple(_write_preview(out, exam) for exam in _chosen(exams)) if preview else ()
    except OSError as error:
        raise OctavoError(
            f"{out}: cannot be written ({error.strerror or type(error).__name__}); wanted a folder one may write to"
        ) from error
    return WrittenPhantoms(manifest, tuple(exams), made, previews)


def claim_phantoms(out: Path, recipe: dict[str, object], name: str = RECIPE) -> None:
    """Take a folder for phantoms of one making: a new or empty one, or one that was begun with the same recipe.

    Raises:
        OctavoError: If the folder holds something else, or phantoms made otherwise.
    """
    if out.exists() and not out.is_dir():
        raise OctavoError(f"{out}: is a file; wanted a folder; choose another name")
    begun = out / name
    if not begun.exists():
        if out.exists() and any(out.iterdir()):
            raise OctavoError(f"{out}: holds other files; wanted a new or an empty folder; choose another name")
        write_json(begun, recipe)
        return
    was = read_json(begun)
    if was != recipe:
        names = sorted(set(was) | set(recipe))
        told = ", ".join(
            f"{name} {was.get(name)} (now {recipe.get(name)})" for name in names if was.get(name) != recipe.get(name)
        )
        raise OctavoError(f"{out}: holds phantoms made with {told}; wanted the same again; choose another folder")
    sweep_half_written(out)


def _write_missing(out: Path, exams: Sequence[PhantomExam]) -> int:
    missing = [
        exam for exam in exams if not (out / _scan_path(exam)).exists() or not (out / _truth_path(exam)).exists()
    ]
    last = time.monotonic()
    for number, exam in enumerate(missing):
        eye = exam.make()
        with atomic_writer(out / _truth_path(exam)) as file:
            np.savez_compressed(file, thinned=eye.thinned)
        write_volume(eye.volume, out / _scan_path(exam), overwrite=True)
        if time.monotonic() - last >= PROGRESS_SECONDS:
            last = time.monotonic()
            _log.info("%d of %d eyes made", number + 1, len(missing))
    return len(missing)


def _scan_path(exam: PhantomExam) -> str:
    return f"scans/{exam.exam_id}.npz"


def _truth_path(exam: PhantomExam) -> str:
    return f"truth/{exam.exam_id}.mask.npz"


def _row(exam: PhantomExam) -> dict[str, str]:
    return {
        "exam_id": exam.exam_id,
        "patient_id": exam.patient_id,
        "path": _scan_path(exam),
        "laterality": exam.laterality.value,
        "label": str(exam.label),
        "severity": f"{exam.severity:.3f}",
        "mask": _truth_path(exam),
        "source": "phantom",
    }


def _chosen(exams: Sequence[PhantomExam]) -> list[PhantomExam]:
    diseased = [exam for exam in exams if exam.label][: PREVIEWS // 2]
    healthy = [exam for exam in exams if not exam.label][: PREVIEWS - len(diseased)]
    return sorted(diseased + healthy, key=lambda exam: exam.exam_id)


def _write_preview(out: Path, exam: PhantomExam) -> Path:
    path = out / "preview" / f"{exam.exam_id}.png"
    write_bytes(path, draw_preview(exam, exam.make()))
    return path


def draw_preview(exam: PhantomExam, eye: PhantomEye) -> bytes:
    """Draw an eye as a PNG: the B-scans through disc and damage (or fovea), and the whole from the front.

    The eye is shown in right-eye orientation, with a line around the tissue that was thinned.
    """
    from octavo.anatomy import flip, flips_to_right_eye, to_right_eye
    from octavo.figures.en_face import picture_en_face
    from octavo.figures.framing import PictureStyle
    from octavo.figures.overlay import picture_bscan, readable_depth_magnification

    volume, flips = to_right_eye(eye.volume), flips_to_right_eye(eye.volume)
    mask = flip(eye.thinned, flips) if eye.thinned.any() else None
    rows = [eye.disc_centre[0], eye.fovea[0]]
    if flips.bscan:
        rows = [volume.shape[0] - 1 - row for row in rows]
    if mask is not None:
        rows[1] = float(mask.sum(axis=(1, 2)).argmax())
    disease = f"severity {eye.severity:.2f}, {' and '.join(eye.bundles)}" if eye.glaucoma else "healthy"
    notes = [f"Phantom: {disease}, cup-to-disc ratio {eye.cup_ratio:.2f}."]
    magnification = readable_depth_magnification(volume.spacing_mm, volume.shape)
    style = PictureStyle(width_px=560, depth_magnification=magnification)
    chosen = sorted({round(row) for row in rows})
    pictures = [
        picture_bscan(volume, row, mask=mask, mask_name="thinned tissue", exam_id=exam.exam_id, style=style)
        for row in chosen
    ]
    pictures.append(
        picture_en_face(
            volume,
            mask=mask,
            mask_name="thinned tissue",
            exam_id=exam.exam_id,
            notes=notes,
            marked_bscans=chosen,
            style=PictureStyle(width_px=560),
        )
    )
    return _below_one_another(pictures)


def _below_one_another(pictures: Sequence["Image.Image"]) -> bytes:
    from PIL import Image

    from octavo.figures.framing import encode_png

    size = (max(each.width for each in pictures), sum(each.height for each in pictures))
    canvas = Image.new("RGB", size, pictures[0].getpixel((0, pictures[0].height - 1)))
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height
    return encode_png(canvas)
