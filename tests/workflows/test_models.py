import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from octavo.errors import OctavoError
from octavo.workflows.models import load_models


def edit(path, **changes):
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


def test_all_seeds_of_a_run_in_order_or_the_one_that_is_named(study):
    models = load_models(study.run)
    assert [model.name for model in models] == ["run/seed-100", "run/seed-200"]
    (second,) = load_models(study.run, seed=200)
    assert second.name == "run/seed-200"
    weights = load_file(study.run / "seed-200" / "model.safetensors")
    assert all(torch.equal(value, weights[name]) for name, value in second.network.state_dict().items())
    assert not any(module.training for model in models for module in model.network.modules())


def test_a_seeds_folder_is_a_model(study):
    (model,) = load_models(study.run / "seed-200")
    assert model.name == "run/seed-200"
    stored = json.loads((study.run / "seed-200" / "calibration.json").read_text(encoding="utf-8"))
    assert (model.temperature, model.threshold) == (stored["temperature"], stored["threshold"])
    assert model.reference is not None
    assert model.notes == ()
    assert model.preparation.size == (16, 24, 16)


def test_weights_and_recipe_alone_are_a_model_that_says_what_it_lacks(study, tmp_path):
    (model,) = load_models(study.shared_model(tmp_path / "glaucoma-v1"))
    assert (model.name, model.temperature, model.threshold, model.reference) == ("glaucoma-v1", 1.0, 0.5, None)
    assert [note.split(":")[0].split(",")[0] for note in model.notes] == [
        "not calibrated",
        "what this model learnt from is not known",
    ]


def test_probabilities_are_the_logistic_of_margins_over_the_temperature(study):
    model = load_models(study.run)[0]
    margins = np.array([-3.0, 0.0, 0.5])
    np.testing.assert_allclose(model.probabilities(margins), 1 / (1 + np.exp(-margins / model.temperature)))


def test_a_model_is_named_after_its_folder_wherever_one_stands(study, tmp_path, monkeypatch):
    monkeypatch.chdir(study.run)
    assert [model.name for model in load_models(type(study.run)("."))] == ["run/seed-100", "run/seed-200"]
    monkeypatch.chdir(study.shared_model(tmp_path / "glaucoma-v1"))
    assert load_models(type(tmp_path)("."))[0].name == "glaucoma-v1"


def test_a_copy_kept_beside_the_seeds_is_no_further_seed(study, tmp_path):
    run = study.copy(tmp_path / "run")
    shutil.copytree(run / "seed-100", run / "seed-100-old")
    shutil.copytree(run / "seed-100", run / "seed-x")
    assert [model.name for model in load_models(run)] == ["run/seed-100", "run/seed-200"]


def test_seeds_are_ordered_as_numbers_and_unfinished_ones_left_out(study, tmp_path):
    run = study.copy(tmp_path / "run")
    (run / "seed-200").rename(run / "seed-1000")
    shutil.copytree(run / "seed-100", run / "seed-300")
    (run / "seed-300" / "model.safetensors").unlink()
    assert [model.name for model in load_models(run)] == ["run/seed-100", "run/seed-1000"]


def test_where_there_is_no_model_it_is_said_what_makes_one(study, tmp_path):
    for folder, says in (
        (tmp_path / "none", "there is no such folder; wanted a finished run"),
        (tmp_path, r"holds no model \(model.safetensors\); wanted a finished run; octavo train makes one"),
        (study.manifest, "there is no such folder"),
    ):
        with pytest.raises(OctavoError, match=says):
            load_models(folder)
    with pytest.raises(OctavoError, match="holds no finished seed 7"):
        load_models(study.run, seed=7)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chanels": 8}, r"recipe\.json: 'chanels' is not a field; .*did you mean 'channels'\?"),
        ({"attention": "hemiretina"}, "attention: 'hemiretina' is not a choice; .*did you mean 'hemiretinal'"),
        ({"channels": "8"}, "channels is '8'; wanted int"),
        ({"size": [16, 24]}, r"size is \[16, 24\]; wanted a list of 3 values"),
        ({"augmentation": {"zom": 1}}, "'zom' is not a field; .*did you mean 'zoom'"),
        ({"system": "ai-cnet"}, "'ai-cnet' is not a system; wanted one of: ai-cnet3d, .*; did you mean 'ai-cnet3d'"),
        ({"system": None}, "'None' is not a system"),
        ({"channels": 16}, r"weight '.*' is .*, wanted .*; recipe\.json belongs to other weights"),
        ({"attention": "neuron-axon", "heads": 2}, r"weight '.*temperature' is .*; recipe\.json belongs to other"),
        ({"attention": "none"}, r"weight 'attentions.*' is .*, wanted no such weight"),
        ({"consistency_weight": 2.0}, "consistency weight is 2.0; wanted 0 to 1"),
    ],
    ids=str,
)
def test_a_recipe_that_is_not_of_these_weights_is_refused(study, tmp_path, change, says):
    folder = study.shared_model(tmp_path / "model")
    edit(folder / "recipe.json", **change)
    with pytest.raises(OctavoError, match=says) as refusal:
        load_models(folder)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x80\x04K\x01.", (2**40).to_bytes(8, "little") + b"{}"])
def test_damaged_weights_are_refused(study, tmp_path, content):
    folder = study.shared_model(tmp_path / "model")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(OctavoError, match="not readable as safetensors"):
        load_models(folder)


def test_weights_that_lack_one_are_refused(study, tmp_path):
    folder = study.shared_model(tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    save_file({name: value for name, value in weights.items() if name != "dense.bias"}, folder / "model.safetensors")
    with pytest.raises(OctavoError, match=r"weight 'dense\.bias' is missing, wanted \(2,\)"):
        load_models(folder)


def test_a_model_without_a_recipe_is_refused(study, tmp_path):
    folder = study.shared_model(tmp_path / "model")
    (folder / "recipe.json").unlink()
    with pytest.raises(OctavoError, match=r"recipe\.json: there is no such file"):
        load_models(folder)


@pytest.mark.parametrize(
    "change",
    [{"temperature": "hot"}, {"temperature": None}, {"threshold": True}, {"threshold": -1}, {"threshold": [1]}],
)
def test_damaged_calibration_is_refused(study, tmp_path, change):
    folder = tmp_path / "model"
    shutil.copytree(study.run / "seed-100", folder)
    edit(folder / "calibration.json", **change)
    with pytest.raises(OctavoError, match=r"calibration\.json: .* is .*; wanted a number"):
        load_models(folder)


def test_a_damaged_reference_is_refused(study, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(study.run / "seed-100", folder)
    edit(folder / "reference.json", colour="blue")
    with pytest.raises(OctavoError, match=r"reference\.json: .*colour"):
        load_models(folder)
