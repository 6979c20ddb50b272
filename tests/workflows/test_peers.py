"""Peers go the same way as the papers: trained, evaluated, asked and explained by the same workflows."""

import json

import numpy as np
import pytest
import torch

from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.errors import OctavoError
from octavo.systems.catalogue import MODELS, catalogued
from octavo.training.machine import Machine
from octavo.workflows.evaluate import evaluate
from octavo.workflows.explain import explain_exam, write_explanations
from octavo.workflows.models import load_models
from octavo.workflows.predict import predict
from octavo.workflows.train import train

QUICK = Machine(accelerator="cpu", track="none")
QUICK_MODELS = ("timesformer", "bscan-cnn", "features-logistic", "trivial")
"""What trains in seconds; that the others do is seen in the contract of recipes."""


@pytest.fixture(scope="module")
def runs(study, tmp_path_factory):
    """A run of each quick model on the same parts."""
    home = tmp_path_factory.mktemp("peers")
    made = {}
    for name in QUICK_MODELS:
        system, recipe = catalogued(name, size=(16, 32, 16), epochs=2, learning_rate=2e-3, balance="none")
        made[name] = home / name
        train(system, recipe, CohortChoice(str(study.manifest)), made[name], machine=QUICK, prepared=home / "prepared")
    return made


def exams(study, label=None):
    found = CohortChoice(str(study.manifest)).read().exams
    return [exam for exam in found if label is None or exam.label == label]


@pytest.mark.parametrize("name", QUICK_MODELS)
def test_a_peer_is_trained_loaded_measured_and_asked(name, runs, study, tmp_path):
    (model,) = load_models(runs[name])
    assert model.recipe.architecture == MODELS[name].settings["architecture"]
    answers, failed = predict(runs[name], exams(study), tmp_path)
    assert not failed
    probabilities = np.array([answer.probability for answer in answers])
    assert ((probabilities > 0) & (probabilities < 1)).all()
    assert (np.ptp(probabilities) < 1e-9) == (name == "trivial")
    found = evaluate(runs[name], prepared=runs[name].parent / "prepared").evaluation
    assert (found["auroc"] == 0.5) == (name == "trivial")
    assert json.loads((runs[name] / "recipe.json").read_text(encoding="utf-8"))["system"] == "peers"


def test_all_were_trained_on_the_same_parts(runs):
    assert len({(run / "splits.csv").read_text(encoding="utf-8") for run in runs.values()}) == 1


def test_trivial_answers_how_common_the_disease_was_where_it_learnt(runs):
    (model,) = load_models(runs["trivial"])
    counted = json.loads((runs["trivial"] / "summary.json").read_text(encoding="utf-8"))["parts"]["train"]
    margin = model.network(torch.zeros(1, 1, 16, 32, 16)).logits.diff()
    assert torch.sigmoid(margin).item() == pytest.approx(counted["prevalence"], abs=1e-6)


def test_features_logistic_needs_one_epoch_and_keeps_what_it_standardised_by(runs):
    done = json.loads((runs["features-logistic"] / "seed-100" / "finished.json").read_text(encoding="utf-8"))
    assert done["stages"]["stage-1"]["epochs"] == 1
    (model,) = load_models(runs["features-logistic"])
    assert model.network.spread.min() > 0
    assert model.network.mean.abs().max() > 0
    assert model.recipe.augmentation.zoom == 1, "what is fitted at once is fitted to scans as they are"


def test_a_map_is_drawn_where_there_is_one_and_refused_in_one_line_where_not(runs, study, tmp_path, capsys):
    ill = exams(study, label=1)[0]
    (model,) = load_models(runs["bscan-cnn"])
    found = explain_exam(model, ill, by=("grad-cam",))
    assert found.heats["grad-cam"].shape == found.volume.shape
    write_explanations(tmp_path / "looked", [found], model)
    assert "CARE" not in (tmp_path / "looked" / "index.html").read_text(encoding="utf-8")
    with pytest.raises(
        OctavoError, match="care cannot be read from this model's network; wanted grad-cam; choose it with"
    ):
        explain_exam(model, ill)
    assert main(["explain", str(runs["trivial"]), str(study.manifest), "--out", str(tmp_path / "none")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("octavo: care cannot be read from this model's network; wanted a network that ends in ")
    assert not (tmp_path / "none").exists()


def test_the_command_trains_and_goes_on(study, tmp_path, capsys):
    words = ["train", "peer", "--cohort", str(study.manifest), "--run", str(tmp_path / "run"), "--architecture"]
    rest = ["--size", "16", "32", "16", "--balance", "none", "--track", "none"]
    assert main([*words, "trivial", *rest, "--seeds", "1", "2"]) == 0
    assert "trained seeds 1, 2; octavo evaluate" in capsys.readouterr().out
    assert main([*words, "bscan-cnn", *rest]) == 2
    assert "was begun with architecture 'trivial', now 'bscan-cnn'" in capsys.readouterr().err
    assert main([*words, "trivial", *rest, "--scale", "published"]) == 2
    assert "trivial has one size only" in capsys.readouterr().err
