"""A thousand random manifests: after dividing, nobody, no eye and no scan stands in two parts.

Patients have one eye or both and one or several days; some scans stand under two exams, as the same file, a link, a copy, or
the same voxels in another format; names of patients are odd and look alike.
"""

import csv
import os
import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.cohorts.check import check_scan
from octavo.cohorts.exam import Exam
from octavo.cohorts.manifest import read_manifest
from octavo.cohorts.parts import divide
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import PreparedExam, Preparer
from octavo.cohorts.splits import read_split
from octavo.errors import OctavoError
from octavo.volume import Laterality
from octavo.workflows.cohort_split import split_cohort

CONTENTS = 48
FORMS = ("{}.npy", "copy-{}.npy", "other-{}.npz", "link-{}.npy", "./sub/../{}.npy")
ODD = [
    "P1",
    "p1",
    "P 1",
    "001",
    "1",
    "1.0",
    "a,b",
    'a"b',
    "a;b",
    "a'b",
    "=1+1",
    "-",
    "#",
    "NA",
    "nan",
    "0x1",
    "P1#2",
    "..",
    "\u96ea",
]
# one letter, or a letter and an accent: the same on every screen
ALIKE = [("Zo\u00eb", "Zoe\u0308"), ("\u00c5", "A\u030a"), ("n\u0303", "\u00f1")]
NAMES = st.one_of(
    st.sampled_from([*ODD, *(name for pair in ALIKE for name in pair)]),
    st.from_regex(r"[A-Z]{0,2}[-_ ]?[0-9]{1,4}", fullmatch=True),
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=5),
).filter(lambda name: name.strip() and name.isprintable())


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Path:
    """Every content in several files."""
    folder = tmp_path_factory.mktemp("pool")
    (folder / "sub").mkdir()
    for k in range(CONTENTS):
        values = np.random.default_rng(k).integers(0, 255, (2, 2, 3), dtype=np.uint8)
        np.save(folder / f"{k}.npy", values)
        np.save(folder / f"copy-{k}.npy", values)
        np.savez(folder / f"other-{k}.npz", values.astype(np.float32))
        (folder / f"link-{k}.npy").symlink_to(f"{k}.npy")
    return folder


def person(name: str) -> str:
    """Who is meant by what stands in a cell."""
    return unicodedata.normalize("NFC", name.strip())


@st.composite
def manifests(draw) -> list[tuple[str, str, str, int, int]]:
    """Patient as written, eye, day, label and content of every row; the form of the file is drawn with the content."""
    names = [
        *draw(st.lists(NAMES, min_size=1, max_size=6)),
        *(f"sick{k}" for k in range(7)),
        *(f"well{k}" for k in range(7)),
    ]
    names += [other for pair in ALIKE for one, other in (pair, pair[::-1]) if one in names]
    rows, content = [], 0
    for name in names:
        eyes = draw(st.sampled_from([("OD",), ("OS",), ("OD", "OS"), ("OD", "OD", "OS")]))
        label = 1 if name.startswith("sick") else 0 if name.startswith("well") else draw(st.integers(0, 1))
        for eye in eyes:
            is_copy = content > 0 and draw(st.sampled_from([*[False] * 9, True]))
            shown = draw(st.integers(0, content - 1)) if is_copy else content
            content += not is_copy
            form = draw(st.sampled_from(FORMS))
            padded = draw(st.sampled_from(["{}", " {}", "{} "])).format(name)
            rows.append((padded, eye, form.format(shown % CONTENTS), label, shown % CONTENTS))
    return draw(st.permutations(rows))


def write(path: Path, pool: Path, rows: list[tuple[str, str, str, int, int]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["exam_id", "patient_id", "path", "laterality", "label"])
        writer.writerows(
            [f"e{k}", who, f"{pool}/{name}", eye, label] for k, (who, eye, name, label, _) in enumerate(rows)
        )


def require_no_leak(rows: list[tuple[str, str, str, int, int]], part_of: dict[str, str]) -> None:
    assert set(part_of) == {f"e{k}" for k in range(len(rows))}
    parts: dict[object, set[str]] = {}
    for k, (who, eye, _, _, content) in enumerate(rows):
        for key in (("patient", person(who)), ("eye", person(who), eye), ("scan", content)):
            parts.setdefault(key, set()).add(part_of[f"e{k}"])
    leaks = {key: found for key, found in parts.items() if len(found) > 1}
    assert not leaks


class KnownContents:
    """Gives every exam the fingerprint that its content has, without preparing anything."""

    def __init__(self, template: PreparedExam, contents: dict[str, int]) -> None:
        self.template = template
        self.contents = contents

    def prepare_all(self, exams, progress=lambda done: None):
        return [replace(self.template, exam=exam, content=str(self.contents[exam.exam_id])) for exam in exams], []


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> PreparedExam:
    """One prepared exam, to make others from."""
    folder = tmp_path_factory.mktemp("template")
    np.save(folder / "a.npy", np.random.default_rng(0).integers(0, 255, (8, 16, 12), dtype=np.uint8))
    exam = Exam("a", "p", folder / "a.npy", laterality=Laterality.OD)
    (prepared,), failed = Preparer(folder / "store", Preparation(size=(8, 16, 8))).prepare_all([exam])
    assert not failed
    return prepared


@pytest.fixture(scope="module")
def reads_once(pool) -> Iterator[None]:
    """Every file of the pool is really read, but only once for all manifests."""
    files = {str(pool / form.format(k)) for form in FORMS for k in range(CONTENTS)}
    checked = {path: check_scan(Exam("x", "p", Path(path), laterality=Laterality.OD)) for path in files}
    checked = {os.path.normpath(path): scan for path, scan in checked.items()}
    assert len({scan.voxels for scan in checked.values()}) == CONTENTS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "octavo.workflows.cohort_split.read_scans",
            lambda exams, *_: [replace(checked[os.path.normpath(exam.path)], exam_id=exam.exam_id) for exam in exams],
        )
        yield


divided = refused = 0


@pytest.mark.slow
@settings(max_examples=1000, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(manifests(), st.integers(0, 2**31))
def test_nobody_no_eye_and_no_scan_stands_in_two_parts(pool, template, reads_once, rows, seed):
    global divided, refused
    manifest, out = pool / "cohort.csv", pool / "split.csv"
    write(manifest, pool, rows)
    try:
        split_cohort(manifest, out, seed=seed, compare_scans=True, overwrite=True)
    except OctavoError as refusal:
        # too few people of one class, once those who share a scan are counted as one
        assert "wanted at least 3, one for each of" in str(refusal)  # noqa: PT017
        refused += 1
        return
    divided += 1
    require_no_leak(rows, {row.exam_id: row.split for row in read_split(out).placements})

    contents = {f"e{k}": row[-1] for k, row in enumerate(rows)}
    parts = divide(
        read_manifest(manifest), KnownContents(template, contents), split=None, fractions=(0.65, 0.15, 0.2), seed=seed
    )
    require_no_leak(rows, {row.exam_id: row.split for row in parts.split.placements})
    assert sum(len(part) for part in (parts.train, parts.validation, parts.test)) == len(rows)


@pytest.mark.slow
def test_most_of_the_manifests_could_be_divided():
    assert divided > 20 * refused
