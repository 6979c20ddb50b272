"""The names of a pair are those of its model, wherever it goes."""

import csv
import dataclasses
import json
import shutil

import pytest

from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.splits import read_split, write_split
from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.systems.peers import PeerRecipe
from octavo.training.machine import Machine
from octavo.workflows.cohort_pack import pack_cohort
from octavo.workflows.label_names import names_of
from octavo.workflows.phantom_heads import write_heads
from octavo.workflows.train import train

QUICK = Machine(accelerator="cpu", track="none", precision="32-true", progress="lines")
NAMES = ("NL", "MCI", "AD")
RECIPE = PeerRecipe("trivial", size=(16, 16, 16), balance="none", split_fractions=(0.5, 0.25, 0.25))


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    home = tmp_path_factory.mktemp("heads")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda descriptor: None)
        return write_heads(
            home / "cohort", heads=30, seed=3, shape=(24, 24, 20), strength=1.0, prevalence=0.6, stages=True
        ).manifest


@pytest.fixture(scope="module")
def few(heads):
    """The first heads of each class."""
    lines = heads.read_text(encoding="utf-8").splitlines()
    kept = [next(line for line in lines if f",{name}," in line) for name in NAMES]
    path = heads.with_name("few.csv")
    path.write_text("\n".join([lines[0], *kept]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pair(heads, tmp_path_factory):
    run = tmp_path_factory.mktemp("pair") / "run"
    train("peers", RECIPE, CohortChoice(str(heads), positive="AD", negative="NL"), run, machine=QUICK)
    return run


def shared(pair, place, what):
    """The run as it is, one of its seeds, or its model alone, from now or from before it knew its pair."""
    if what == "run":
        return pair
    if what == "seed":
        return pair / "seed-100"
    if what == "older run":
        older = shutil.copytree(pair, place / "older")
        calibration = read_json(older / "seed-100/calibration.json")
        kept = {name: value for name, value in calibration.items() if name not in {"positive", "negative"}}
        (older / "seed-100/calibration.json").write_text(json.dumps(kept), encoding="utf-8")
        return older / "seed-100"
    (place / "model").mkdir()
    for name in ("model.safetensors", "recipe.json", "calibration.json"):
        shutil.copy(pair / "seed-100" / name, place / "model" / name)
    return place / "model"


@pytest.mark.parametrize("what", ["run", "seed", "model", "older run"])
@pytest.mark.parametrize("said", [[], ["--positive", "AD"], ["--negative", "NL", "--positive", "AD"]])
def test_a_pair_is_known_to_its_model(pair, few, tmp_path, what, said):
    out = tmp_path / "answers.csv"
    assert main(["predict", str(shared(pair, tmp_path, what)), str(few), *said, "--out", str(out)]) == 0
    names = {row["exam_id"]: row["label"] for row in rows_of(few)}
    assert {names[row["exam_id"]]: row["label"] for row in rows_of(out)} == {"NL": "0", "MCI": "", "AD": "1"}


@pytest.mark.parametrize("what", ["run", "seed", "model", "older run"])
@pytest.mark.parametrize(
    ("said", "got"),
    [
        (["--positive", "NL", "--negative", "AD"], "--positive is 'NL'"),
        (["--positive", "MCI", "--negative", "NL"], "--positive is 'MCI'"),
        (["--positive", "AD", "--negative", "MCI"], "--negative is 'MCI'"),
        (["--positive", "Ad"], "--positive is 'Ad'"),
    ],
)
def test_another_pair_than_the_model_was_trained_on_is_refused(pair, few, tmp_path, capsys, what, said, got):
    model = shared(pair, tmp_path, what)
    for command in ("predict", "explain"):
        assert main([command, str(model), str(few), *said, "--out", str(tmp_path / "out")]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith(
            f"octavo: {got}, and {model} was trained with --positive AD --negative NL; wanted the same"
        )
    assert not (tmp_path / "out").exists()


def test_a_manifest_of_other_names_or_of_numbers_is_answered_too(pair, few, tmp_path, capsys):
    text = few.read_text(encoding="utf-8")
    numbers, others, misspelt = (few.with_name(f"{name}.csv") for name in ("numbers", "others", "misspelt"))
    numbers.write_text(text.replace(",NL,", ",0,").replace(",AD,", ",1,").replace(",MCI,", ",,"), encoding="utf-8")
    others.write_text(text.replace(",NL,", ",FTD,").replace(",AD,", ",LBD,"), encoding="utf-8")
    misspelt.write_text(text.replace(",NL,", ",nl,"), encoding="utf-8")
    labels = {}
    for manifest in (numbers, others):
        out = tmp_path / manifest.name
        assert main(["predict", str(pair), str(manifest), "--out", str(out)]) == 0
        labels[manifest.stem] = [row["label"] for row in rows_of(out)]
    assert labels == {"numbers": ["0", "", "1"], "others": ["", "", ""]}
    capsys.readouterr()
    assert main(["predict", str(pair), str(misspelt), "--out", str(tmp_path / "m.csv")]) == 2
    assert "line 2, column 'label': is 'nl', another spelling of 'NL'" in capsys.readouterr().err


def test_a_run_of_a_packed_pair_knows_its_names_and_what_was_left_out(heads, few, tmp_path):
    choice = CohortChoice(str(heads), positive="AD", negative="NL")
    pack_cohort(choice, tmp_path / "packed", Preparation(size=(16, 16, 16), hemiretinas=False))
    train("peers", RECIPE, CohortChoice(str(tmp_path / "packed")), tmp_path / "run", machine=QUICK)
    told = read_json(tmp_path / "run/cohort.json")
    assert (told["positive"], told["left_out"]) == (None, {"MCI": 9})
    calibration = read_json(tmp_path / "run/seed-100/calibration.json")
    assert (calibration["negative"], calibration["positive"]) == ("NL", "AD")
    assert main(["predict", str(tmp_path / "run"), str(few), "--out", str(tmp_path / "answers.csv")]) == 0
    assert [row["label"] for row in rows_of(tmp_path / "answers.csv")] == ["0", "", "1"]


def test_a_training_part_of_one_of_two_classes_is_refused(heads, pair, tmp_path):
    split = read_split(pair / "splits.csv")
    labels = {row["exam_id"]: row["label"] for row in rows_of(heads)}
    rows = tuple(
        row._replace(split="test") if row.split == "train" and labels[row.exam_id] == "AD" else row
        for row in split.placements
    )
    write_split(dataclasses.replace(split, placements=rows), tmp_path / "split.csv")
    choice = CohortChoice(str(heads), split=tmp_path / "split.csv", positive="AD", negative="NL")
    with pytest.raises(OctavoError, match=r"the train part has no exam with label 1 \(AD\); wanted some of both"):
        train("peers", RECIPE, choice, tmp_path / "run", machine=QUICK)
    assert not list((tmp_path / "run").glob("seed-*"))


def test_a_run_of_numbers_names_nothing_and_takes_what_is_said(heads, few, tmp_path):
    text = heads.read_text(encoding="utf-8")
    numbers = heads.with_name("zeros-and-ones.csv")
    lines = [line for line in text.replace(",NL,", ",0,").replace(",AD,", ",1,").splitlines() if ",MCI," not in line]
    numbers.write_text("\n".join(lines), encoding="utf-8")
    train("peers", RECIPE, CohortChoice(str(numbers)), tmp_path / "run", machine=QUICK)
    assert "left_out" not in read_json(tmp_path / "run/cohort.json")
    assert "positive" not in read_json(tmp_path / "run/seed-100/calibration.json")
    assert names_of(tmp_path / "run").said == ""
    words = ["predict", str(tmp_path / "run"), str(few), "--positive", "MCI", "--negative", "NL"]
    assert main([*words, "--out", str(tmp_path / "answers.csv")]) == 0
    assert [row["label"] for row in rows_of(tmp_path / "answers.csv")] == ["0", "1", ""]


def test_an_older_run_of_two_names_knows_the_positive_one(tmp_path):
    (tmp_path / "cohort.json").write_text(json.dumps({"positive": "POAG"}), encoding="utf-8")
    known = names_of(tmp_path)
    assert (known.positive, known.negative, known.of_model) == ("POAG", None, True)
    assert names_of(tmp_path, negative="normal").said == "--positive POAG --negative normal"
    assert not names_of(tmp_path, negative="normal").of_model
    with pytest.raises(OctavoError, match="was trained with --positive POAG; wanted the same"):
        names_of(tmp_path, "normal", "POAG")
