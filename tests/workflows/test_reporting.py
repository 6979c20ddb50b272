import csv
import json

import pytest

from octavo.files import write_json
from octavo.workflows.evaluate import evaluate
from octavo.workflows.reporting.answers import ANSWERS
from octavo.workflows.reporting.checklists import FILLED, GUIDELINES, guideline, write_checklists
from octavo.workflows.reporting.run_facts import MUST_FILL, NOT_MEASURED

TRIPOD_LETTERS = {
    3: "abc",
    5: "ab",
    6: "abc",
    8: "abc",
    9: "abc",
    12: "abcdefg",
    18: "abcdef",
    20: "abc",
    23: "ab",
    27: "abc",
}
ALWAYS = {
    "tripod-ai": {"9a", "9c", "12a", "12b", "12g", "13", "15", "16", "21", "27a"},
    "claim": {"9", "19", "20", "22", "23", "24", "25", "26", "27"},
}
"""What a finished run says by itself, when octavo divided its cohort."""
ONCE_MEASURED = {"tripod-ai": {"12e", "12f", "24"}, "claim": {"28", "29", "32", "37", "38"}}
NEVER = {
    "tripod-ai": {"1", "2", "3a", "5b", "6b", "8a", "10", "14", "17", "18a", "18f", "19", "23a", "25", "26", "27c"},
    "claim": {"1", "2", "5", "8", "14", "16", "33", "34", "36", "40", "43", "44"},
}
"""What no run can know, or not all of it."""


def rows_of(run, name):
    return list(csv.DictReader((run / f"{name}.csv").open(encoding="utf-8")))


def filled(run, name):
    return {row["item"] for row in rows_of(run, name) if row["status"] == FILLED}


@pytest.fixture(scope="module")
def run(study, tmp_path_factory):
    run = study.copy(tmp_path_factory.mktemp("reported") / "run")
    evaluate(run)
    return run


def test_the_tables_have_every_item_of_the_guidelines_once_and_in_order():
    tripod = [f"{n}{letter}" for n in range(1, 28) for letter in TRIPOD_LETTERS.get(n, [""])]
    assert [item.item for item in guideline("tripod_ai")] == tripod
    assert len(tripod) == 52
    assert [item.item for item in guideline("claim")] == [str(n) for n in range(1, 45)]
    for table in GUIDELINES.values():
        about = [item.about for item in guideline(table)]
        assert all(about)
        assert len(set(about)) == len(about)
        assert all(item.section for item in guideline(table))


def test_every_answer_belongs_to_an_item_and_every_item_to_an_answer_or_to_the_author():
    named = {item.answer for table in GUIDELINES.values() for item in guideline(table) if item.answer}
    assert named == set(ANSWERS)


def test_evaluating_writes_the_checklists_with_every_item(run):
    for table in GUIDELINES.values():
        rows = rows_of(run, table.replace("_", "-"))
        assert [(row["item"], row["section"]) for row in rows] == [(i.item, i.section) for i in guideline(table)]
        for row in rows:
            assert row["status"] in {FILLED, MUST_FILL}
            assert row["answer"]
            assert row["about"]


def test_a_filled_row_rests_on_files_that_are_there(run):
    for name in ALWAYS:
        for row in rows_of(run, name):
            evidence = row["evidence"].split()
            assert all((run / file).is_file() for file in evidence), row["item"]
            if row["status"] == FILLED:
                assert evidence, row["item"]
                assert row["answer"] not in {MUST_FILL, NOT_MEASURED}


def test_what_follows_from_the_run_is_filled_and_nothing_else(run):
    for name in ALWAYS:
        assert filled(run, name) == ALWAYS[name] | ONCE_MEASURED[name]
        assert not filled(run, name) & NEVER[name]


def test_what_is_not_measured_yet_is_not_filled(study, tmp_path):
    run = study.copy(tmp_path / "run")
    write_checklists(run)
    for name in ALWAYS:
        assert filled(run, name) == ALWAYS[name]
        for row in rows_of(run, name):
            if row["item"] in ONCE_MEASURED[name]:
                assert (row["answer"], row["evidence"]) == (NOT_MEASURED, "")


def test_a_split_that_somebody_else_made_is_described_by_its_author(study, tmp_path):
    run = study.copy(tmp_path / "run")
    evaluate(run)
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    for told in ({**summary, "split_from": "file"}, {k: v for k, v in summary.items() if k != "split_from"}):
        write_json(run / "summary.json", told)
        write_checklists(run)
        assert "16" not in filled(run, "tripod-ai")
        assert not {"19", "32"} & filled(run, "claim")
        assert "20" in filled(run, "claim")


def test_a_file_that_is_gone_takes_the_rows_that_rest_on_it_along(study, tmp_path):
    run = study.copy(tmp_path / "run")
    (run / "splits.csv").unlink()
    for seed in ("seed-100", "seed-200"):
        (run / seed / "calibration.json").unlink()
        (run / seed / "reference.json").unlink()
    write_checklists(run)
    assert not filled(run, "tripod-ai") & {"12a", "12g", "13", "15", "21", "27a"}
    assert not filled(run, "claim") & {"19", "20"}
    assert "23" in filled(run, "claim")


def test_answers_hold_the_numbers_of_the_run(run):
    found = json.loads((run / "evaluation.json").read_text(encoding="utf-8"))
    claim = {row["item"]: row["answer"] for row in rows_of(run, "claim")}
    assert (
        f"auroc {found['auroc']:.3f} (95 % {found['auroc_ci_low']:.3f} to {found['auroc_ci_high']:.3f}" in claim["37"]
    )
    assert f"{found['exams']} exams of {found['patients']} patients" in claim["37"]
    assert f"false negatives {found['false_negatives']}" in claim["38"]
    assert "patients" in claim["20"]
    assert "16 x 24 x 16" in claim["9"]
    assert "2 models" in claim["27"]
    versions = json.loads((run / "seed-100" / "provenance.json").read_text(encoding="utf-8"))["versions"]
    assert f"torch {versions['torch']}" in claim["23"]


def test_the_page_for_people_has_every_item_and_says_what_is_open(run):
    page = (run / "reporting.md").read_text(encoding="utf-8")
    for table in GUIDELINES.values():
        for item in guideline(table):
            assert f"| {item.item} | {item.about} |" in page
    assert "not a medical device" in page.lower()
    for title, name in (("TRIPOD+AI (2024)", "tripod-ai"), ("CLAIM (2024 update)", "claim")):
        count = len(filled(run, name))
        assert f"## {title}\n\n{count} of {len(rows_of(run, name))} rows are filled." in page


def test_the_same_run_gives_the_same_lists(run):
    before = {path.name: path.read_bytes() for path in write_checklists(run)}
    assert {path.name: path.read_bytes() for path in write_checklists(run)} == before
    assert set(before) == {"tripod-ai.csv", "claim.csv", "reporting.md"}
