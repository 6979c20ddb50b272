"""The folders of AI-CNet3D: one for each class, scans of any format anywhere below them."""

from pathlib import Path

from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions
from octavo.cohorts.adapters.class_folders import adopt_folders
from octavo.cohorts.adapters.missing_parts import listed
from octavo.errors import OctavoError

LABELS = {"glaucoma": "1", "Non-Glaucomas": "0"}
"""The folder of each class, as published."""


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    missing = [name for name in LABELS if not (root / name).is_dir()]
    if missing:
        found = sorted(path.name for path in root.iterdir() if path.is_dir())
        raise OctavoError(
            f"{root}: has no folder {' and none '.join(map(repr, missing))}; found {listed(found, 'no folders')}; "
            "wanted both "
            f"{' and '.join(LABELS)}, spelled so; rename the folder, or pass the one that holds them"
        )
    return adopt_folders(root, LABELS, options)


AI_CNET3D_FOLDERS = Adapter(
    name="ai-cnet3d-folders",
    layout="ROOT/glaucoma/** and ROOT/Non-Glaucomas/**, scans of any readable format",
    make_rows=_adopt,
    takes=frozenset({"patient_pattern"}),
)
