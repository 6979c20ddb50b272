from pathlib import Path

import numpy as np
import pytest

from octavo.cli import main
from octavo.cohorts.exam import PARTS
from octavo.cohorts.splits import read_split
from octavo.errors import OctavoError
from octavo.workflows.cohort_split import split_cohort


@pytest.fixture
def manifest(tmp_path) -> Path:
    """Twenty patients with two eyes, ten of them with glaucoma in the left one."""
    lines = ["exam_id,patient_id,path,laterality,label"]
    for k in range(20):
        for eye in ("OD", "OS"):
            np.save(tmp_path / f"{k}{eye}.npy", np.random.default_rng([k, eye == "OS"]).integers(0, 255, (2, 3, 4)))
            lines.append(f"e{k}{eye},p{k},{k}{eye}.npy,{eye},{int(k < 10 and eye == 'OS')}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "cohort.csv"


def edit(manifest: Path, old: str, new: str) -> None:
    manifest.write_text(manifest.read_text().replace(old, new))


def test_the_command_writes_a_split_and_says_who_is_where(manifest, tmp_path, capsys):
    out = tmp_path / "splits.csv"
    assert main(["cohort", "split", str(manifest), "--out", str(out), "--seed", "100"]) == 0
    text = capsys.readouterr().out
    split = read_split(out)
    assert [len(split.patients(part)) for part in PARTS] == [13, 3, 4]
    assert split.content_hash[:12] in text
    for part, patients, exams, positive in (("train", 13, 26, 6), ("validation", 3, 6, 2), ("test", 4, 8, 2)):
        line = next(line for line in text.splitlines() if line.strip().startswith(part))
        assert (
            line.split()
            == f"{part} {patients} patients ({positive} positive) {exams} exams ({positive} positive)".split()
        )


def test_the_default_seed_is_the_first_of_the_published_ones(manifest, tmp_path):
    assert main(["cohort", "split", str(manifest), "--out", str(tmp_path / "a.csv")]) == 0
    assert main(["cohort", "split", str(manifest), "--out", str(tmp_path / "b.csv"), "--seed", "100"]) == 0
    assert main(["cohort", "split", str(manifest), "--out", str(tmp_path / "c.csv"), "--seed", "200"]) == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() != (tmp_path / "c.csv").read_bytes()


def test_nothing_is_overwritten_unasked(manifest, tmp_path, capsys):
    out = tmp_path / "splits.csv"
    out.write_text("mine")
    words = ["cohort", "split", str(manifest), "--out", str(out)]
    assert main(words) == 2
    assert out.read_text() == "mine"
    assert main([*words, "--overwrite"]) == 0
    assert len(read_split(out).placements) == 40


def test_copies_under_two_patients_are_kept_together_when_scans_are_compared(manifest, tmp_path):
    # enough copies, one for each seed, that chance alone would part some
    for k in range(0, 8, 2):
        np.save(tmp_path / f"{k + 1}OD.npy", np.load(tmp_path / f"{k}OD.npy").astype(np.float32))
    parted = 0
    for seed in range(6):
        blind = split_cohort(manifest, tmp_path / f"blind{seed}.csv", seed=seed)
        assert blind.identical is None
        assert "--compare-scans" in blind.describe()
        part_of = {row.patient_id: row.split for row in blind.split.placements}
        parted += sum(part_of[f"p{k}"] != part_of[f"p{k + 1}"] for k in range(0, 8, 2))
        written = split_cohort(manifest, tmp_path / f"{seed}.csv", seed=seed, compare_scans=True)
        assert written.identical == tuple((f"e{k}OD", f"e{k + 1}OD") for k in range(0, 8, 2))
        part_of = {row.patient_id: row.split for row in written.split.placements}
        assert all(part_of[f"p{k}"] == part_of[f"p{k + 1}"] for k in range(0, 8, 2))
    assert parted > 0


def test_scans_that_could_not_be_compared_are_named(manifest, tmp_path, capsys):
    (tmp_path / "3OS.npy").unlink()
    words = ["cohort", "split", str(manifest), "--out", str(tmp_path / "splits.csv")]
    assert main([*words, "--compare-scans"]) == 1
    assert "not compared, because they could not be read: e3OS" in capsys.readouterr().out
    assert len(read_split(tmp_path / "splits.csv").placements) == 40


def test_a_manifest_that_is_divided_already_is_refused(manifest, tmp_path):
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([f"{lines[0]},split", *(f"{line},train" for line in lines[1:])]) + "\n")
    with pytest.raises(OctavoError, match="divided already by its column 'split'"):
        split_cohort(manifest, tmp_path / "splits.csv", seed=1)
    assert not (tmp_path / "splits.csv").exists()


def test_fractions_and_names_of_labels_are_options(manifest, tmp_path):
    edit(manifest, ",1\n", ",ill\n")
    edit(manifest, ",0\n", ",well\n")
    out = tmp_path / "splits.csv"
    words = ["cohort", "split", str(manifest), "--out", str(out), "--positive", "ill"]
    assert main([*words, "--fractions", "0.5", "0", "0.5"]) == 0
    assert [len(read_split(out).patients(part)) for part in PARTS] == [10, 0, 10]
    assert main([*words, "--overwrite", "--fractions", "0.5", "0.5", "0.5"]) == 2


def test_too_few_patients_leave_nothing_behind(manifest, tmp_path, capsys):
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join([lines[0], *lines[17:31]]) + "\n")
    assert main(["cohort", "split", str(manifest), "--out", str(tmp_path / "splits.csv")]) == 2
    assert "2 patients with label 1" in capsys.readouterr().err
    assert not (tmp_path / "splits.csv").exists()
