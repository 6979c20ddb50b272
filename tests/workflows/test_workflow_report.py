import csv
import dataclasses
import re

import pytest

from octavo.cohorts.reference import OUTSIDE, PHANTOMS
from octavo.cohorts.splits import read_split
from octavo.formats import read_volume, write_volume
from octavo.volume import Laterality, Spacing
from octavo.workflows.evaluate import evaluate
from octavo.workflows.report import report


@pytest.fixture(scope="module")
def evaluated(study, tmp_path_factory):
    return evaluate(study.copy(tmp_path_factory.mktemp("reported") / "run"))


@pytest.fixture(scope="module")
def page(evaluated):
    path = report(evaluated)
    assert path == evaluated.run / "report.html"
    return path.read_text(encoding="utf-8")


def test_it_says_what_is_wrong_with_believing_it(page):
    assert PHANTOMS in page
    assert "not a medical device" in page.lower()


def test_every_exam_stands_in_it_with_its_answer_and_a_picture(page, evaluated):
    for one in evaluated.predictions:
        assert one.exam.exam_id in page
        assert f"{one.probability:.3f}"[:4] in page
        assert f"exam {one.exam.exam_id}" in page  # what the picture shows, for those who cannot see it
    assert page.count("data:image/png;base64,") >= len(evaluated.predictions)


def test_measures_classes_training_and_provenance_stand_in_it(page, evaluated):
    auroc = evaluated.evaluation["auroc"]
    assert f"{auroc:.3f}" in page
    for word in ("Evaluation of run", "mean of 2 seeds", "seed-100", "seed-200", "balanced by: none", "cohort_hash"):
        assert word in page, word
    assert evaluated.parts.split.content_hash in page


def test_it_needs_no_network_and_runs_nothing(page):
    assert not re.search(r"<script|<link|<iframe|https?://(?!www\.w3\.org)|@import|\bon\w+=", page)


def test_the_same_evaluation_gives_the_same_page(page, evaluated):
    assert report(evaluated).read_text(encoding="utf-8") == page


def test_exams_outside_are_counted_and_eyes_that_are_not_known_too(study, tmp_path):
    """A test part of another scanner: its eyes unknown, its millimetres others."""
    test = read_split(study.run / "splits.csv").exams("test")
    part_of = {row.exam_id: row.split for row in read_split(study.run / "splits.csv").placements}
    rows = list(csv.DictReader(study.manifest.open(encoding="utf-8")))
    for number, row in enumerate(rows):
        row["path"], row["split"] = str(study.manifest.parent / row["path"]), part_of[row["exam_id"]]
        del row["mask"]
        if row["exam_id"] in test:
            volume = dataclasses.replace(read_volume(row["path"]), laterality=Laterality.UNKNOWN)
            row["path"] = str(tmp_path / f"{number}.npz")
            row["laterality"] = ""
            write_volume(volume.with_values(volume.values, Spacing(0.1, 0.04, 0.1)), row["path"])
    with (tmp_path / "m.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    study.train(tmp_path / "run", manifest=tmp_path / "m.csv", epochs=1, consistency="off")
    evaluated = evaluate(tmp_path / "run")
    assert evaluated.evaluation["outside_reference"] == len(test)
    page = report(evaluated).read_text(encoding="utf-8")
    assert f"{len(test)} of {len(test)} exams are {OUTSIDE}" in page
    assert f"in {len(test)} of {len(test)} exams the eye is unknown and was taken as a right one" in page
