"""Draw the picture of the README from a finished demo: `make demo`, then `.venv/bin/python docs/make_pictures.py demo`.

The eye is synthetic, the model is the demo's own, and the line around the tissue that was thinned comes from the phantom.
Nothing is chosen by its looks: it is the diseased test eye that the model is surest of.
"""

import csv
import sys
from pathlib import Path

from PIL import Image

from octavo.cohorts import Exam, read_manifest
from octavo.figures.en_face import picture_en_face
from octavo.figures.framing import PictureStyle, encode_png
from octavo.figures.overlay import most_salient_bscans, picture_bscan, readable_depth_magnification
from octavo.files import write_bytes
from octavo.workflows.explain import explain_exam
from octavo.workflows.models import load_models

PICTURES = Path(__file__).parent / "pictures"


def draw(demo: Path, out: Path = PICTURES) -> Path:
    """Draw a phantom's most salient B-scan, and the eye from the front, under the Grad-CAM of a demo's model.

    Args:
        demo: The folder of a finished demo.
        out: Where `explained-phantom.png` goes.

    Returns:
        The picture.
    """
    explanation = explain_exam(load_models(demo / "run")[0], surest_diseased_exam(demo), by=("grad-cam",))
    volume, heat, exam = explanation.volume, explanation.heats["grad-cam"], explanation.exam
    chosen = (most_salient_bscans(heat, 1) or (volume.shape[0] // 2,))[0]
    magnification = readable_depth_magnification(volume.spacing_mm, volume.shape)
    said = {"mask": explanation.mask, "mask_name": "tissue that was thinned", "map_name": "Grad-CAM"}
    bscan = picture_bscan(
        volume, chosen, heat, exam_id=exam.exam_id, style=PictureStyle(depth_magnification=magnification), **said
    )
    notes = explanation.cautions
    front = picture_en_face(
        volume, heat, reductions=("mean",), marked_bscans=(chosen,), divided=("bscan",), notes=notes, **said
    )
    path = out / "explained-phantom.png"
    write_bytes(path, encode_png(stacked(bscan, front)))
    return path


def surest_diseased_exam(demo: Path) -> Exam:
    """The diseased exam of the test part with the highest probability."""
    with open(demo / "run" / "predictions.csv", encoding="utf-8") as file:
        diseased = [row for row in csv.DictReader(file) if row["label"] == "1"]
    surest = max(diseased, key=lambda row: float(row["probability"]))["exam_id"]
    exams = read_manifest(demo / "cohort" / "manifest.csv").exams
    return next(exam for exam in exams if exam.exam_id == surest)


def stacked(*pictures: Image.Image) -> Image.Image:
    """Pictures below one another."""
    width, height = max(each.width for each in pictures), sum(each.height for each in pictures)
    canvas = Image.new("RGB", (width, height), pictures[0].getpixel((0, pictures[0].height - 1)))
    top = 0
    for picture in pictures:
        canvas.paste(picture, (0, top))
        top += picture.height
    # an undithered palette would lay steps over the heat, and all colours make a file twice as large
    return canvas.quantize(
        palette=canvas.quantize(256, method=Image.Quantize.FASTOCTREE), dither=Image.Dither.FLOYDSTEINBERG
    )


if __name__ == "__main__":
    print(draw(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
