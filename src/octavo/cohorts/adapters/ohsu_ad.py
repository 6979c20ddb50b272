"""Retina in Alzheimer's disease (OHSU, Bissig 2020; Dryad): pairs of ANALYZE files, everything else in their names.

Known from the notes of somebody who used it: names such as `AD647_LIGHT_MARKED.hdr`, which are a group, a number and
a state of light. What the other groups are called is not known, so the letters in front of the number are the class.
ANALYZE states no orientation, and the direction of the B-scans and the eye are not known.
"""

import re
from pathlib import Path

from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.errors import OctavoError

_NAME = re.compile(r"([A-Za-z]+)[-_]?(\d+)(?:[-_](.*))?")


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    found, left_out = [], []
    for path in files_below(root):
        match = _NAME.fullmatch(path.stem)
        if path.suffix.lower() != ".hdr" or match is None or not path.is_file():
            continue
        relative, image = path.relative_to(root), path.with_suffix(".img")
        if not image.is_file():
            left_out.append(LeftOut(relative, f"has no {image.name} beside it"))
            continue
        columns = {"protocol": match[3] or ""}
        found.append(
            FoundExam(relative, match[1] + match[2], label=match[1], columns=columns, files=(image.relative_to(root),))
        )
    if not found:
        raise OctavoError(
            f"{root}: holds no pair such as AD647_LIGHT_MARKED.hdr and .img"
            + (f"; {left_out[0].path} {left_out[0].reason}" if left_out else "")
            + "; wanted the folder of the unpacked archive"
        )
    left_out += rest_of(
        root, found, lambda path: LeftOut(path, "no half of a pair called GROUPNUMBER_STATE.hdr, .img"), left_out
    )
    notes = [
        "the class is the letters in front of the number; what they stand for is not known here",
        "ANALYZE files state no orientation: axes, eye and direction are left empty, and the first stored axis is taken "
        "for the B-scans; look at one scan before you believe it",
        "a person has several scans: the column protocol holds the rest of the name, such as the state of light",
    ]
    return adopted(root, found, options, left_out=left_out, notes=notes)


OHSU_AD = Adapter(
    name="ohsu-ad",
    layout="ROOT/**/GROUPNUMBER_STATE.hdr and .img, such as AD647_LIGHT_MARKED.hdr",
    make_rows=_adopt,
    takes=LABELLING,
    licence="CC0 1.0",
)
