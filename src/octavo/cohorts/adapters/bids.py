"""Any tree of the Brain Imaging Data Structure: `sub-*/[ses-*/]anat/*_T1w.nii.gz` and `participants.tsv`.

The structure is a public standard. Which column of `participants.tsv` is the label is not part of it: `--columns
label=NAME` says so, and otherwise a single column called diagnosis, dx or group is taken.
"""

import re
from pathlib import Path

from octavo.cohorts.adapters import covariates
from octavo.cohorts.adapters.adoption import Adapter, Adoption, AdoptionOptions, LeftOut, files_below
from octavo.cohorts.adapters.found_exams import LABELLING, FoundExam, adopted, rest_of
from octavo.cohorts.adapters.missing_parts import folders_in, listed, nearest, require_file
from octavo.cohorts.adapters.spreadsheets import Spreadsheet, read_spreadsheet
from octavo.errors import OctavoError, unknown_name

LABEL_COLUMNS = ("diagnosis", "dx", "group")

_T1W = re.compile(r"(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?(?:_.*)?_T1w\.nii(?:\.gz)?")


def _adopt(root: Path, options: AdoptionOptions) -> Adoption:
    for name in options.columns:
        if name != "label":
            raise OctavoError(
                f"--columns {name}=... : {unknown_name('a column that can be named for bids', name, ['label'])}"
            )
    images = [(path.relative_to(root), match) for path in files_below(root) if (match := _T1W.fullmatch(path.name))]
    images = [
        (path, match) for path, match in images if (root / path).is_file() and "derivatives" not in path.parts[:-1]
    ]
    if not images:
        names = folders_in(root)
        raise OctavoError(
            f"{root}: holds no sub-NAME/[ses-NAME/]anat/*_T1w.nii.gz; found folders {listed(names, 'none')}"
            f"{nearest('sub-01', names)}; wanted the root of a BIDS tree"
        )
    wants_table = not options.unlabelled or options.table is not None or (root / "participants.tsv").is_file()
    cure = "add it, pass it with --table, or pass --unlabelled for scans to be predicted"
    table = require_file([root], "participants.tsv", given=options.table, cure=cure) if wants_table else None
    sheet = None if table is None else read_spreadsheet(table)
    label_column = None if sheet is None else _label_column(sheet, options)
    people = {} if sheet is None else sheet.by(sheet.require("participant_id"))
    found = []
    for path, match in images:
        if match[1] != next((part for part in path.parts if part.startswith("sub-")), match[1]):
            raise OctavoError(
                f"{root / path}: lies in the folder of another subject than its name says; wanted one subject"
            )
        row = people.get(match[1], people.get(match[1].removeprefix("sub-")))
        label = covariates.known(row[label_column]) if row is not None and label_column else ""
        columns = covariates.from_row(sheet, row) if sheet is not None and row is not None else {}
        columns = {**({"visit": match[2]} if match[2] else {}), **columns}
        found.append(
            FoundExam(
                path, match[1], label=label, why_unlabelled="participants.tsv says no class of it", columns=columns
            )
        )
    rest = rest_of(root, found, lambda path: LeftOut(path, "no T1-weighted image of a subject", ".nii" in path.name))
    return adopted(
        root, found, options, left_out=rest, wants_labels="--columns label=NAME, a column of participants.tsv"
    )


def _label_column(sheet: Spreadsheet, options: AdoptionOptions) -> str | None:
    if "label" in options.columns:
        return sheet.require(options.columns["label"])
    there = [column for name in LABEL_COLUMNS if (column := sheet.find(name)) is not None]
    if len(there) == 1 or options.unlabelled:
        return there[0] if len(there) == 1 else None
    raise OctavoError(
        f"{sheet.path}: has {len(there)} columns of {', '.join(LABEL_COLUMNS)}; found {listed(sheet.columns)}; "
        "wanted to know "
        "which is the label; pass --columns label=NAME, or --unlabelled"
    )


BIDS = Adapter(
    name="bids",
    layout="ROOT/sub-*/[ses-*/]anat/*_T1w.nii[.gz] with participants.tsv; --columns label=NAME names its column",
    make_rows=_adopt,
    takes=LABELLING | {"columns", "table"},
)
