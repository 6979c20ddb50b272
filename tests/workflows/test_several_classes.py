"""Two of three classes, and all three, the whole way: heads that are changed, half changed, and not changed."""

import csv
import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
import torch

from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.splits import read_split, write_split
from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.metrics.multiclass import evaluate_classes
from octavo.systems.ai_cnet3d.recipe import AICNet3DRecipe
from octavo.systems.dino_atten3d import DinoAtten3D, DinoAtten3DRecipe
from octavo.systems.dino_atten3d.task import DinoAtten3DTask
from octavo.systems.peers import ARCHITECTURES, PeerRecipe
from octavo.training.machine import Machine
from octavo.training.recipe import recipe_from_json, recipe_to_json
from octavo.workflows.cohort_pack import pack_cohort
from octavo.workflows.evaluate import evaluate
from octavo.workflows.explain import explain_exam
from octavo.workflows.models import load_models
from octavo.workflows.phantom_heads import write_heads
from octavo.workflows.predict import predict, predict_prepared
from octavo.workflows.report import report
from octavo.workflows.several_classes import calibrate_classes
from octavo.workflows.train import train

QUICK = Machine(accelerator="cpu", track="none", precision="32-true", progress="lines")
NAMES = ("NL", "MCI", "AD")
DINO = DinoAtten3DRecipe(
    slice_axis="ascan", slices=0, anatomy="as-stored", epochs=3, split_fractions=(0.5, 0.25, 0.25), batch_size=8
)


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
    """The first heads of each class, so that few pictures are drawn."""
    lines = heads.read_text(encoding="utf-8").splitlines()
    kept = [next(line for line in lines if f",{name}," in line) for name in NAMES]
    path = heads.with_name("few.csv")
    path.write_text("\n".join([lines[0], *kept]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pair(heads, tmp_path_factory):
    run = tmp_path_factory.mktemp("pair") / "run"
    train("dino-atten3d", DINO, CohortChoice(str(heads), positive="AD", negative="NL"), run, machine=QUICK)
    return run


@pytest.fixture(scope="module")
def three(heads, tmp_path_factory):
    run = tmp_path_factory.mktemp("three") / "run"
    train("dino-atten3d", DINO, CohortChoice(str(heads), classes=NAMES), run, seeds=(1, 2), machine=QUICK)
    return run


@pytest.fixture(scope="module")
def evaluated(three):
    return evaluate(three)


def test_half_changed_heads_are_changed_half_as_much(heads):
    counted = [row["label"] for row in rows_of(heads)]
    assert {name: counted.count(name) for name in NAMES} == {"NL": 12, "MCI": 9, "AD": 9}
    cohort = CohortChoice(str(heads), classes=NAMES).read()
    for exam in cohort.exams:
        with np.load(exam.mask) as truth:
            assert truth["changed"].any() == (exam.label > 0)


def test_a_pair_is_a_run_of_two_classes_that_evaluation_reads_again(pair, heads):
    told = read_json(pair / "cohort.json")
    assert (told["positive"], told["negative"]) == ("AD", "NL")
    assert told["left_out"] == {"MCI": 9}
    assert "classes" not in told
    found = evaluate(pair)
    names = {row["exam_id"]: row["label"] for row in rows_of(heads)}
    assert {names[one.exam.exam_id] for one in found.predictions} == {"AD", "NL"}
    placed = [names[exam_id] for part in ("train", "validation", "test") for exam_id in found.parts.split.exams(part)]
    assert sorted(placed) == sorted(name for name in names.values() if name != "MCI")
    rows = rows_of(pair / "predictions.csv")
    assert list(rows[0])[4:8] == ["label", "probability", "predicted", "threshold"]
    assert {(names[row["exam_id"]], row["label"]) for row in rows} == {("AD", "1"), ("NL", "0")}
    assert found.evaluation["exams"] == len(rows)
    assert report(found).exists()


def test_a_pair_is_the_run_of_a_manifest_that_holds_no_other(pair, heads, tmp_path):
    alone = heads.with_name("alone.csv")
    kept = [line for line in heads.read_text(encoding="utf-8").splitlines() if ",MCI," not in line]
    alone.write_text("\n".join(kept), encoding="utf-8")
    train("dino-atten3d", DINO, CohortChoice(str(alone), positive="AD"), tmp_path / "run", machine=QUICK)
    for name in ("splits.csv", "seed-100/model.safetensors", "seed-100/calibration.json"):
        assert (tmp_path / "run" / name).read_bytes() == (pair / name).read_bytes()


def test_a_run_of_three_classes_says_which_they_are(three):
    assert read_json(three / "cohort.json")["classes"] == list(NAMES)
    assert read_json(three / "seed-1/recipe.json")["class_names"] == list(NAMES)
    calibration = read_json(three / "seed-1/calibration.json")
    assert calibration["temperature"] > 0
    assert calibration["prediction"] == "the most probable class"
    assert "threshold" not in calibration
    counted = read_json(three / "summary.json")["parts"]
    assert counted["train"]["exams"] == sum(counted["train"][f"exams_of_{number}"] for number in range(3))
    assert min(counted[part][f"exams_of_{number}"] for part in counted for number in range(3)) >= 1
    choice = CohortChoice(str(read_json(three / "cohort.json")["manifest"]), classes=NAMES)
    with pytest.raises(OctavoError, match="this run is finished"):
        train("dino-atten3d", DINO, choice, three, seeds=(1, 2), machine=QUICK)


def test_predictions_have_a_probability_of_each_class_by_its_name(three, evaluated):
    rows = rows_of(three / "predictions.csv")
    columns = ["label", "probability_NL", "probability_MCI", "probability_AD", "predicted", "model", "warnings"]
    assert list(rows[0])[4:] == columns
    names = {row["exam_id"]: row["label"] for row in rows_of(read_json(three / "cohort.json")["manifest"])}
    for row in rows:
        probabilities = [float(row[f"probability_{name}"]) for name in NAMES]
        assert sum(probabilities) == pytest.approx(1, abs=2e-6)
        assert row["predicted"] == NAMES[int(np.argmax(probabilities))]
        assert row["label"] == names[row["exam_id"]]
    one = evaluated.predictions[0]
    assert one.probability is None
    np.testing.assert_allclose(one.probabilities, np.mean(one.of_classes, axis=0))


def test_the_evaluation_is_that_of_the_metrics(three, evaluated):
    found = evaluated.evaluation
    labels = np.array([one.exam.label for one in evaluated.predictions])
    probabilities = np.array([one.probabilities for one in evaluated.predictions])
    alone = evaluate_classes(labels, probabilities, [one.exam.patient_id for one in evaluated.predictions])
    assert {name: found[name] for name in alone} == pytest.approx(alone)
    assert [found[f"name_of_{number}"] for number in range(3)] == list(NAMES)
    assert found["test_exams_of_2"] == found["exams_of_2"]
    assert found["seeds"] == 2
    assert found["macro_auroc_mean"] == pytest.approx(
        np.mean([one["macro_auroc"] for one in evaluated.by_seed.values()])
    )
    written = json.loads((three / "evaluation.json").read_text(encoding="utf-8"))
    assert written == found
    page = report(evaluated).read_text(encoding="utf-8")
    for text in ("AUROC of MCI against all others", "called AD", "Macro AUROC", "Spread over seeds"):
        assert text in page


def test_probabilities_are_those_of_the_logits_at_the_temperature(three, evaluated):
    (model,) = load_models(three, seed=2)
    inputs = model.inputs([evaluated.exams[0]])
    with torch.inference_mode():
        logits = model.network(inputs[0]["volume"][None]).logits[0].double()
    wanted = torch.softmax(logits / model.temperature, dim=0).tolist()
    assert predict_prepared([model], evaluated.exams[:1])[0].probabilities == pytest.approx(wanted, abs=1e-6)


def test_a_shared_model_knows_its_classes(three, few, tmp_path, capsys):
    for name in ("model.safetensors", "recipe.json"):
        (tmp_path / "model").mkdir(exist_ok=True)
        shutil.copy(three / "seed-1" / name, tmp_path / "model" / name)
    out = tmp_path / "answers.csv"
    assert main(["predict", str(tmp_path / "model"), str(few), "no-such-scan.npy", "--out", str(out)]) == 1
    rows = rows_of(out)
    assert len(rows) == 4
    assert (rows[-1]["probability_NL"], rows[-1]["predicted"]) == ("", "")
    assert {row["label"] for row in rows} == {*NAMES, ""}
    assert "not calibrated: the network's own confidence" in rows[0]["warnings"]
    answers, _ = predict(tmp_path / "model", CohortChoice(str(few), classes=NAMES).read().exams[:1], tmp_path / "p")
    assert f"{answers[0].probabilities[1]:.6f}" == rows[0]["probability_MCI"]
    capsys.readouterr()
    words = ["predict", str(tmp_path / "model"), str(few), "--positive", "AD", "--out", str(tmp_path / "other.csv")]
    assert main(words) == 2
    assert "tells NL, MCI, AD apart; wanted neither; drop it" in capsys.readouterr().err


def test_what_a_pair_left_out_is_told_and_not_compared(pair, heads, tmp_path):
    moved = shutil.copytree(pair, tmp_path / "run")
    told = read_json(moved / "cohort.json")
    for before in ({"MCI": 1}, None):
        (moved / "seed-100/finished.json").unlink()
        (moved / "cohort.json").write_text(json.dumps({**told, "left_out": before}), encoding="utf-8")
        train("dino-atten3d", DINO, CohortChoice(str(heads), positive="AD", negative="NL"), moved, machine=QUICK)
        assert read_json(moved / "cohort.json") == told
    with pytest.raises(OctavoError, match="this run was begun with"):
        train("dino-atten3d", DINO, CohortChoice(str(heads), positive="AD", negative="MCI"), moved, machine=QUICK)


def test_a_pair_predicts_the_exams_of_its_names(pair, few, tmp_path):
    out = tmp_path / "answers.csv"
    words = ["predict", str(pair), str(few), "--positive", "AD", "--negative", "NL", "--out", str(out)]
    assert main(words) == 0
    assert [row["label"] for row in rows_of(out)] == ["0", "", "1"]


def test_explanations_of_several_classes_are_refused(three, heads, tmp_path, capsys):
    exam = CohortChoice(str(heads), classes=NAMES).read().exams[0]
    with pytest.raises(OctavoError, match="tells NL, MCI, AD apart; wanted a model of two classes"):
        explain_exam(load_models(three)[0], exam)
    assert main(["explain", str(three), str(exam.path), "--out", str(tmp_path / "maps")]) == 2
    assert capsys.readouterr().err.count("tells NL, MCI, AD apart") == 1


def test_evaluate_prints_every_class(three, evaluated, capsys):
    assert main(["evaluate", str(three)]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^\d+ exams of \d+ patients, \d+ NL, \d+ MCI, \d+ AD$", said, re.M)
    assert re.search(r"^  macro_auroc +\d\.\d{3} \(", said, re.M)
    assert re.search(r"^  of MCI, called: \d+ NL, \d+ MCI, \d+ AD$", said, re.M)


def test_evaluation_refuses_a_manifest_whose_labels_changed(heads, three, tmp_path):
    moved = shutil.copytree(three, tmp_path / "run")
    told = read_json(moved / "cohort.json")
    told["classes"] = list(reversed(NAMES))
    (moved / "cohort.json").write_text(json.dumps(told), encoding="utf-8")
    with pytest.raises(OctavoError, match="says something else than when"):
        evaluate(moved)


def test_a_part_without_a_class_is_refused_before_anything_is_learnt(heads, three, tmp_path, capsys):
    split = read_split(three / "splits.csv")
    labels = {row["exam_id"]: row["label"] for row in rows_of(heads)}
    rows = tuple(
        row._replace(split="train") if row.split == "validation" and labels[row.exam_id] == "MCI" else row
        for row in split.placements
    )
    write_split(dataclasses.replace(split, placements=rows), tmp_path / "split.csv")
    words = ["train", "dino-atten3d", "--cohort", str(heads), "--classes", *NAMES, "--run", str(tmp_path / "run")]
    assert (
        main([*words, "--split", str(tmp_path / "split.csv"), "--anatomy", "as-stored", "--slice-axis", "ascan"]) == 2
    )
    assert "the validation part has no exam of class 'MCI'; wanted some of each" in capsys.readouterr().err
    assert not list((tmp_path / "run").glob("seed-*"))


def test_a_packed_cohort_keeps_its_classes(heads, tmp_path):
    choice = CohortChoice(str(heads), classes=NAMES)
    pack_cohort(choice, tmp_path / "packed", Preparation(size=(16, 16, 16), hemiretinas=False))
    packed = CohortChoice(str(tmp_path / "packed")).read()
    assert (packed.classes, packed.content_hash) == (NAMES, choice.read().content_hash)
    for said in ({"classes": NAMES}, {"positive": "AD", "negative": "NL"}):
        with pytest.raises(OctavoError, match=f"is packed, and --{next(iter(said))} was given"):
            CohortChoice(str(tmp_path / "packed"), **said).read()
    recipe = PeerRecipe("trivial", size=(16, 16, 16), balance="none", split_fractions=(0.5, 0.25, 0.25))
    train("peers", recipe, CohortChoice(str(tmp_path / "packed")), tmp_path / "run", machine=QUICK)
    found = evaluate(tmp_path / "run").evaluation
    counted = read_json(tmp_path / "run/summary.json")["parts"]["train"]
    (model,) = load_models(tmp_path / "run")
    shares = torch.softmax(model.network(torch.zeros(1, 1, 2, 2, 2)).logits[0], dim=0).tolist()
    assert shares == pytest.approx([counted[f"exams_of_{number}"] / counted["exams"] for number in range(3)])
    assert [found[f"auroc_of_{number}"] for number in range(3)] == [0.5] * 3


@pytest.mark.parametrize("balance", ["none", "undersample", "weighted-sampling", "weighted-loss"])
def test_three_textures_are_told_apart(balance, tmp_path):
    """Stripes of three widths, which even an untrained backbone sees, in unequal numbers."""
    lines = ["exam_id,patient_id,path,laterality,label"]
    for number in range(36):
        kind = (0, 0, 0, 1, 1, 2)[number % 6]
        noise = np.random.default_rng(number).normal(0, 0.1, (6, 24, 24))
        stripes = np.sin(np.arange(24) * np.pi / (1, 3, 8)[kind] + number)[None, None, :]
        np.save(tmp_path / f"{number}.npy", (stripes + noise).astype(np.float32))
        lines.append(f"e{number},p{number},{number}.npy,OD,{NAMES[kind]}")
    (tmp_path / "cohort.csv").write_text("\n".join(lines), encoding="utf-8")
    recipe = DinoAtten3DRecipe(
        slices=0, anatomy="as-stored", epochs=40, learning_rate=3e-3, split_fractions=(0.4, 0.3, 0.3), balance=balance
    )
    train(
        "dino-atten3d",
        recipe,
        CohortChoice(str(tmp_path / "cohort.csv"), classes=NAMES),
        tmp_path / "run",
        machine=QUICK,
    )
    found = evaluate(tmp_path / "run").evaluation
    assert found["accuracy"] == 1.0
    assert found["macro_auroc"] == 1.0
    assert read_json(tmp_path / "run/summary.json")["validation_auroc_mean"] == 1.0


def test_the_loss_of_three_classes_can_be_learnt_by_heart():
    torch.manual_seed(0)
    task = DinoAtten3DTask(DinoAtten3D(6, classes=3), 1e-2, 1)
    labels = torch.tensor([0, 1, 2] * 3)
    batch = {"volume": torch.randn(9, 4, 6), "label": labels, "exam_id": list("abcdefghi")}
    optimiser = task.configure_optimizers()
    for _ in range(150):
        optimiser.zero_grad()
        task.losses(batch)["loss"].mean().backward()
        optimiser.step()
    assert (task.network(batch["volume"]).logits.argmax(dim=1) == labels).all()


@pytest.mark.parametrize("architecture", [name for name, kind in ARCHITECTURES.items() if kind.most_classes > 2])
def test_every_peer_but_one_has_a_logit_for_each_class(architecture):
    recipe = PeerRecipe(architecture, size=(32, 32, 32), class_names=NAMES)
    assert recipe_from_json(PeerRecipe, json.loads(json.dumps(recipe_to_json(recipe)))) == recipe
    assert recipe.build_network().eval()(torch.zeros(2, 1, 32, 32, 32)).logits.shape == (2, 3)


def test_a_recipe_from_before_there_were_classes_is_read_as_one_of_two():
    for kind in (PeerRecipe, DinoAtten3DRecipe):
        content = recipe_to_json(kind())
        del content["class_names"]
        assert recipe_from_json(kind, content).classes == 2


def test_what_tells_two_apart_refuses_three(heads, tmp_path):
    choice = CohortChoice(str(heads), classes=NAMES)
    with pytest.raises(
        OctavoError, match=r"features-logistic tells two classes apart, and there are 3 \(NL, MCI, AD\)"
    ):
        train("peers", PeerRecipe("features-logistic"), choice, tmp_path / "run")
    with pytest.raises(OctavoError, match=r"ai-cnet3d tells two classes apart, and the cohort has 3 \(NL, MCI, AD\)"):
        train("ai-cnet3d", AICNet3DRecipe(), choice, tmp_path / "run")
    with pytest.raises(OctavoError, match="class names are a, b, c in the recipe and NL, MCI, AD in the cohort"):
        train("peers", PeerRecipe("trivial", class_names=("a", "b", "c")), choice, tmp_path / "run")
    with pytest.raises(OctavoError, match="class names are a b; wanted three or more different ones"):
        PeerRecipe(class_names=("a", "b"))
    assert not (tmp_path / "run").exists()


def test_a_temperature_that_cannot_be_fitted_is_one_with_a_note():
    found = calibrate_classes(np.array([1, 1]), np.eye(3)[:2])
    assert found["temperature"] == 1.0
    assert "1 stands" in found["temperature_note"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--classes", "NL", "AD"], "--classes is NL AD; wanted 3 or more names"),
        (["--classes", "NL", "MCI", "FTD"], "'AD' is not a class; wanted one of: NL, MCI, FTD"),
        (["--classes", *NAMES, "--positive", "AD"], "--positive and --classes were both given"),
        (["--negative", "NL"], "--negative is 'NL' and there is no --positive"),
        (["--positive", "AD", "--negative", "CN"], "'CN' is not a label of any exam"),
    ],
)
@pytest.mark.parametrize("command", ["train dino-atten3d", "train peer", "cohort check", "cohort split", "cohort pack"])
def test_names_that_do_not_fit_are_one_line(command, words, says, heads, tmp_path, capsys):
    where = {
        "cohort check": [str(heads)],
        "cohort split": [str(heads), "--out", str(tmp_path / "out")],
        "cohort pack": [str(heads), str(tmp_path / "out")],
    }.get(command, ["--cohort", str(heads), "--run", str(tmp_path / "out")])
    assert main([*command.split(), *where, *words]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()
