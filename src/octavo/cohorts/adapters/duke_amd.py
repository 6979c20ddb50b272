"""Macular degeneration of Duke (Farsiu et al., Ophthalmology 2013): one MATLAB file for each person.

Known from programs that load it: the names of the files, the array `images` of 512 x 1000 x 100 (depth, A-scans,
B-scans), surfaces beside it and `Age`. People with degeneration and without are numbered separately. Eye, millimetres
and direction are not in the files.
"""

import re
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.found_exams import FoundExam, adopted, rest_of
from octavo.errors import OctavoError
from octavo.formats.errors import VolumeReadError, refusing

LABELS = {"AMD": "1", "Control": "0"}
KEY, AXES = "images", "depth,ascan,bscan"

_NAME = re.compile(r"Farsiu_Ophthalmology_2013_(AMD|Control)_Subject_(\d+)\.mat")


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    found, ageless = [], 0
    for path in files_below(root):
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            columns = {"key": KEY, "axes": AXES, "pattern": "raster", "diagnosis": match[1]}
            age = _age(path)
            ageless += not age
            person = f"{match[1]}-{match[2]}"
            relative = path.relative_to(root)
            found.append(FoundExam(relative, person, label=LABELS[match[1]], columns={**columns, "age": age}))
    if not found:
        example = next((path.name for path in files_below(root) if path.suffix == ".mat"), None)
        raise OctavoError(
            f"{root}: holds no file such as Farsiu_Ophthalmology_2013_AMD_Subject_1001.mat"
            + (f"; found {example}" if example else "")
            + "; wanted the folder of the unpacked files, under their own names"
        )
    notes = ["the files hold no eye, no millimetres and no direction of the B-scans: these columns are left empty"]
    if ageless:
        notes.append(f"no age could be read from {ageless} of {len(found)} files")
    notes += [
        f"no file of class {name!r}; the published set has both"
        for name, label in LABELS.items()
        if all(exam.label != label for exam in found)
    ]
    rest = rest_of(
        root, found, lambda path: LeftOut(path, "not called Farsiu_Ophthalmology_2013_CLASS_Subject_NUMBER.mat")
    )
    return adopted(root, found, options, left_out=rest, notes=notes)


def _age(path: Path) -> str:
    """The number `Age` of a file of MATLAB 5; empty where it has none or is of another kind."""
    from scipy.io import loadmat, whosmat

    try:
        with refusing(str(path), "a MATLAB file"):
            # names and sizes first, so that nothing large can stand under the name of a small thing
            sizes = {name: (shape, kind) for name, shape, kind in whosmat(path)}
            if sizes.get("Age") not in {((1, 1), kind) for kind in ("double", "single", "uint8", "int16")}:
                return ""
            return covariates.number(str(loadmat(path, variable_names=["Age"])["Age"].item()))
    except VolumeReadError:
        # reading the scan says what is wrong with the file
        return ""


DUKE_AMD = Adapter(
    name="duke-amd",
    layout="ROOT/**/Farsiu_Ophthalmology_2013_{AMD,Control}_Subject_NUMBER.mat",
    make_rows=_adopt,
    licence="for academic use",
)
