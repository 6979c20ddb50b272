"""From files that name people to an explanation: nothing that is made or said on the way names anybody."""

import csv
import shutil
from pathlib import Path

import pytest

from privacy.canaries import find_below, find_in_text
from privacy.hearing import Hearing

LEFT_OUT = {"adopt folders": "files beside scans become no row, and are listed"}
"""Steps that are done and say, by exit code 1, that something was left out."""

WITHOUT_WHOLE_SAMPLES = {"vol", "e2e", "optovue"}
"""Formats of fractions, which DICOM has no place for."""

KINDS = {
    *("converted/*.npz", "converted/*.nii", "converted/*.nii.gz", "converted/*.tif", "converted/*.dcm"),
    *("beside/*/surface-*.csv", "beside/*/infrared.png", "preview/*.png", "dicom.csv", "study.csv", "folders.csv"),
    *("packed/zarr.json", "packed/packed.jsonl", "packed/cohort.json", "packed/exams/*/zarr.json", "packed/exams/*/c*"),
    *("run/seed-100/**/*.ckpt", "run/seed-100/**/events.out.*", "run/seed-100/model.safetensors", "run/report.html"),
    *("run/seed-100/provenance.json", "run/seed-100/reference.json", "run/predictions.csv", "run/evaluation.json"),
    *("predictions.csv", "answers.csv", "explained/index.html", "explained/explanations.csv", "explained/*/*.gif"),
    *("explained/*/*.png", "explained/*/*.nii.gz"),
}


def test_every_step_was_gone(way):
    refused = {f"convert {name} dcm" for name in WITHOUT_WHOLE_SAMPLES}
    failed = {name: code for name, code in way.codes.items() if code}

    assert {name for name, code in failed.items() if code == 2} == refused
    # millimetres and eyes are said for a copy alone, so that some differ from their scan
    assert {name for name, code in failed.items() if code == 1 and not name.startswith("compare ")} <= {*LEFT_OUT}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_artefact_was_made(way, kind):
    assert any(path.is_file() and path.stat().st_size for path in way.made.glob(kind))


def test_no_file_that_was_made_names_anybody(way):
    assert find_below(way.made) == []


def test_nothing_that_was_said_names_anybody(way):
    assert find_in_text("\n".join(way.heard.said.values()), "streams") == []
    assert all(any(word in told for told in way.heard.said.values()) for word in ("B-scans", "left out", "auroc"))


def test_no_log_record_and_no_warning_names_anybody(way):
    assert way.heard.logged
    assert find_in_text("\n".join(way.heard.logged), "logs") == []


def test_no_word_that_was_drawn_names_anybody(way):
    assert any("B-scan" in word for word in way.heard.drawn)
    assert find_in_text("\n".join(way.heard.drawn), "pictures") == []


def test_columns_that_were_not_asked_for_stay_behind(way):
    with (way.made / "study.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    assert len(rows) == len(way.sources) - 1
    assert not {"Name", "Born", "Remark"} & set(rows[0])
    assert rows[3]["patient_id"] == "P03"


@pytest.fixture(scope="module")
def damaged(sources, tmp_path_factory) -> dict[str, Path]:
    """A copy of every scan of which something is missing."""
    home = tmp_path_factory.mktemp("damaged")
    copies = {}
    for number, (name, path) in enumerate(sources.items()):
        place = home / f"d{number:02d}"
        inside = path.relative_to(path.parent.parent) if path.parent.name.startswith("eye") else Path(path.name)
        shutil.copytree(path.parents[len(inside.parts) - 1], place)
        copies[name] = place / inside
        file = sorted(copies[name].iterdir())[0] if path.is_dir() else copies[name]
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) * 3 // 5])
    return copies


def test_what_commands_say_of_damaged_files_names_nobody(way, damaged, tmp_path):
    made, said = tmp_path / "made", tmp_path / "said"
    made.mkdir()
    said.mkdir()
    heard, scans = Hearing(said), list(damaged.values())
    with (made / "study.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["exam_id", "patient_id", "path", "laterality", "label"])
        rows.writerows([f"e{k:02d}", f"p{k:02d}", path, "", k % 2] for k, path in enumerate(scans))
    codes = [
        heard.run("inspect", *scans),
        heard.run("inspect", *scans, "--json", "--preview", made / "preview"),
        heard.run("cohort", "check", made / "study.csv"),
        heard.run("cohort", "pack", made / "study.csv", made / "packed", "--size", 16, 24, 16, "--jobs", 1),
        heard.run("predict", way.made / "run", made / "study.csv", "--out", made / "answers.csv"),
        heard.run("explain", way.made / "run", *scans[:6], "--out", made / "explained", "--by", "care"),
        *[heard.run("convert", path, made / f"{name}.npz") for name, path in damaged.items()],
    ]
    for name, path in {**damaged, **{f"whole {name}": path for name, path in way.sources.items()}}.items():
        if path.is_file():
            codes.append(heard.run("report-problem", path, "--out", made / f"{name} report.json"))

    assert {*codes} <= {0, 1, 2}
    assert heard.text.count("; wanted ") > 20
    assert '"failed": {}' not in (made / "packed" / "cohort.json").read_text()
    assert find_below(made) == []
    assert find_in_text(heard.text, "said") == []
