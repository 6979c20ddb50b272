"""DinoAtten3D the whole way on head-like volumes whose changed slices are known."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import torch

from encoders.backbones import original_layout, transformers_network
from octavo.cohorts import read_manifest
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.dataset import EpochOrder, evaluation_batches, training_batches
from octavo.cohorts.exam import Exam
from octavo.cohorts.prepared import Preparer
from octavo.cohorts.reference import UNTRAINED
from octavo.encoders.slices import SliceChoice
from octavo.errors import OctavoError
from octavo.files import read_json
from octavo.systems.dino_atten3d import DinoAtten3D, DinoAtten3DRecipe
from octavo.systems.dino_atten3d.inputs import SliceFeatureExams, backbone_of, feature_inputs
from octavo.systems.dino_atten3d.task import DinoAtten3DTask
from octavo.training.machine import Machine
from octavo.volume import SlowAxis
from octavo.workflows.models import load_models
from octavo.workflows.phantom import write_phantoms
from octavo.workflows.phantom_heads import write_heads
from octavo.workflows.predict import in_scan_order, predict, predict_prepared, write_predictions, write_slice_weights
from octavo.workflows.train import train

MACHINE = Machine(accelerator="cpu", precision="32-true", progress="lines", track="none")
RECIPE = DinoAtten3DRecipe(
    slice_axis="ascan",
    slices=0,
    anatomy="as-stored",
    epochs=60,
    patience=60,
    learning_rate=3e-3,
    split_fractions=(0.6, 0.2, 0.2),
)


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    folder = tmp_path_factory.mktemp("heads")
    return write_heads(folder / "cohort", heads=40, seed=3, shape=(24, 24, 20), strength=1.0).manifest


@pytest.fixture(scope="module")
def run(heads, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    train("dino-atten3d", RECIPE, CohortChoice(str(heads), positive="AD"), folder, seeds=(1,), machine=MACHINE)
    return folder


def test_a_batch_of_unequal_volumes_gives_each_what_it_gives_alone():
    torch.manual_seed(0)
    network = DinoAtten3D(6).eval()
    exams = [{"volume": torch.randn(n, 6), "label": 0, "exam_id": str(n)} for n in (5, 3, 1)]
    together = network(SliceFeatureExams.collate(exams)["volume"])
    for row, exam in enumerate(exams):
        alone = network(exam["volume"][None])
        torch.testing.assert_close(together.logits[row], alone.logits[0])
        count = len(exam["volume"])
        torch.testing.assert_close(together.slice_weights[row, :count], alone.slice_weights[0])
        assert together.slice_weights[row, count:].sum() == 0


def test_all_three_parts_of_the_head_learn():
    torch.manual_seed(0)
    task = DinoAtten3DTask(DinoAtten3D(6), 1e-3, 1)
    before = {name: value.clone() for name, value in task.network.named_parameters()}
    batch = {"volume": torch.randn(6, 4, 6), "label": torch.tensor([0, 1] * 3), "exam_id": list("abcdef")}
    optimiser = task.configure_optimizers()
    for _ in range(3):
        optimiser.zero_grad()
        task.losses(batch)["loss"].mean().backward()
        optimiser.step()
    still = {name for name, value in task.network.named_parameters() if torch.equal(value, before[name])}
    # the attention's last bias moves all energies alike, which a softmax does not see
    assert still <= {"attention.weigh.bias"}
    assert isinstance(optimiser, torch.optim.Adam)


def test_the_published_sizes_are_those_of_the_paper():
    counted = sum(parameter.numel() for parameter in DinoAtten3D(384).parameters())
    attention = 384 * 64 + 64 + 64 + 1
    embedding = 384 * 256 + 256 + 256 * 128 + 128
    assert counted == attention + embedding + 128 * 2 + 2


def test_the_run_says_what_was_read_and_how_evenly_slices_were_weighed(run):
    recipe = read_json(run / "recipe.json")
    assert recipe["system"] == "dino-atten3d"
    assert recipe["backbone_fingerprint"] == backbone_of(None).fingerprint
    with open(run / "seed-1/stage-1/metrics.csv", encoding="utf-8", newline="") as file:
        row = list(csv.DictReader(file))[-1]
    for part in ("train", "val"):
        assert 0 < float(row[f"{part}_attention_entropy"]) < 1
        assert 0 < float(row[f"{part}_attention_peak"]) < 1
    told = read_json(run / "seed-1/finished.json")
    assert 0 < told["attention_entropy"] < 1


def test_features_lie_beside_the_prepared_scans_and_are_made_once(run, heads):
    folder = run / "prepared/features"
    before = {file: file.stat().st_mtime_ns for file in folder.glob("*.safetensors")}
    # the test part is not touched by training
    assert len(before) == 32
    exams, _ = Preparer(run / "prepared", RECIPE.preparation).prepare_all(read_manifest(heads, positive="AD").exams)
    feature_inputs(RECIPE.resolved(), exams)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(list(folder.glob("*.safetensors"))) == 40


def test_it_finds_the_changed_heads_and_weighs_their_changed_slices(run, heads):
    (model,) = load_models(run)
    exams = read_manifest(heads, positive="AD").exams
    prepared, _ = Preparer(run / "prepared", RECIPE.preparation).prepare_all(exams)
    told = predict_prepared([model], prepared)
    probabilities = np.array([one.probability for one in told])
    labels = np.array([one.exam.label for one in told])
    # training heads are among them: this asks whether it learns at all, not how well it does on others
    assert probabilities[labels == 1].mean() > probabilities[labels == 0].mean() + 0.3
    shares, chance = [], []
    for one in told:
        assert one.slice_weights.axis == "ascan"
        assert [index for index, _ in one.slice_weights.weights] == list(range(20))
        assert sum(weight for _, weight in one.slice_weights.weights) == pytest.approx(1, abs=1e-5)
        if one.exam.label:
            with np.load(heads.parent / f"truth/{one.exam.exam_id}.mask.npz") as truth:
                is_changed = truth["changed"].any(axis=(0, 1))
            shares.append(sum(weight for index, weight in one.slice_weights.weights if is_changed[index]))
            chance.append(is_changed.mean())
    assert np.mean(shares) > 1.5 * np.mean(chance)


def test_every_answer_says_that_the_backbone_is_untrained(run, heads, tmp_path):
    exams = read_manifest(heads, positive="AD").exams[:2]
    predictions, failed = predict(run, exams, tmp_path / "prepared")
    assert not failed
    assert all(UNTRAINED in one.warnings for one in predictions)
    write_predictions(tmp_path / "answers.csv", predictions)
    drawn = write_slice_weights(tmp_path / "answers.csv", predictions)
    assert [path.suffix for path in drawn] == [".csv", ".png", ".png"]
    with open(drawn[0], encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 40
    assert {row["axis"] for row in rows} == {"ascan"}


def test_slices_are_named_as_the_scan_stores_them_whichever_way_the_eye_was_turned(tmp_path):
    """The slice that is brightest in the stored scan is the one whose weight stands under its number."""
    values = np.random.default_rng(0).integers(0, 90, (7, 8, 9), dtype=np.uint8)
    values[2] += 160
    np.save(tmp_path / "eye.npy", values)
    recipe = dataclasses.replace(RECIPE, slice_axis="bscan", slices=5, anatomy="eye")
    for slow_axis in (SlowAxis.INFERIOR_TO_SUPERIOR, SlowAxis.SUPERIOR_TO_INFERIOR):
        exam = Exam("e", "p", tmp_path / "eye.npy", slow_axis=slow_axis)
        ((prepared,), failed) = Preparer(tmp_path / "prepared", recipe.preparation).prepare_all([exam])
        assert not failed
        means = SliceChoice("bscan", 5).slices(prepared.values()).mean(axis=(1, 2))
        weights = dict(in_scan_order(means / means.sum(), recipe, prepared).weights)
        assert sorted(weights) == [1, 2, 3, 4, 5]
        assert max(weights, key=weights.get) == 2


def test_eyes_serve_too(tmp_path):
    write_phantoms(tmp_path / "eyes", patients=6, seed=1, shape=(16, 32, 24), two_eyes=0.0)
    recipe = DinoAtten3DRecipe(epochs=2, patience=2, split_fractions=(0.5, 0.5, 0.0))
    choice = CohortChoice(str(tmp_path / "eyes/manifest.csv"))
    summary = train("dino-atten3d", recipe, choice, tmp_path / "run", seeds=(1,), machine=MACHINE)
    assert summary["seeds"] == [1]


def test_other_weights_than_those_of_training_are_refused(heads, tmp_path):
    torch.save(original_layout(transformers_network()), tmp_path / "w.pth")
    recipe = dataclasses.replace(RECIPE, weights=str(tmp_path / "w.pth"), epochs=1).resolved()
    assert recipe.backbone_width == 64
    assert recipe.notes == ()
    exams, _ = Preparer(tmp_path / "prepared", recipe.preparation).prepare_all(
        read_manifest(heads, positive="AD").exams[:2]
    )
    feature_inputs(recipe, exams)
    torch.save(original_layout(transformers_network(seed=1)), tmp_path / "w.pth")
    backbone_of.cache_clear()
    with pytest.raises(OctavoError, match=r"w\.pth: is not the backbone that this model learnt with"):
        feature_inputs(recipe, exams)


def test_batches_do_not_depend_on_the_epoch_but_their_order_does(run, heads):
    exams, _ = Preparer(run / "prepared", RECIPE.preparation).prepare_all(read_manifest(heads, positive="AD").exams[:6])
    inputs = feature_inputs(RECIPE.resolved(), exams, 7)
    torch.testing.assert_close(inputs[(0, 2)]["volume"], inputs[(9, 2)]["volume"], rtol=0, atol=0)
    batches = list(training_batches(inputs, EpochOrder([0, 1] * 3, 4, "none", 1)))
    assert [len(batch["exam_id"]) for batch in batches] == [4, 4]
    kept = list(evaluation_batches(inputs, 4))
    assert [name for batch in kept for name in batch["exam_id"]] == [one.exam.exam_id for one in exams]


@pytest.mark.parametrize(
    "change",
    [
        {"slices": -1},
        {"temperature": 0.0},
        {"contrast_weight": -1.0},
        {"batch_size": 0},
        {"learning_rate": float("nan")},
    ],
)
def test_senseless_recipes_are_refused_in_one_line(change):
    with pytest.raises(OctavoError) as told:
        DinoAtten3DRecipe(**change)
    assert "\n" not in str(told.value)


def test_the_recipe_comes_back_from_json():
    from octavo.training.recipe import recipe_from_json, recipe_to_json

    recipe = RECIPE.resolved()
    assert recipe_from_json(DinoAtten3DRecipe, json.loads(json.dumps(recipe_to_json(recipe)))) == recipe
