import csv
import dataclasses
import json

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from octavo.attribution import EXPLAINERS
from octavo.cli import main
from octavo.cohorts.choice import CohortChoice
from octavo.cohorts.exam import Exam, read_exam
from octavo.cohorts.reference import OUTSIDE, PHANTOMS
from octavo.errors import OctavoError
from octavo.formats import read_volume, write_volume
from octavo.volume import Laterality, SlowAxis, Spacing
from octavo.workflows.explain import explain_exam, write_explanations
from octavo.workflows.models import load_models
from octavo.workflows.predict import predict

OVERLAP = (
    *("mass_inside", "enrichment", "mean_heat_inside", "mean_heat_outside", "precision", "recall", "pointing_hit"),
    "recall_of_hottest_0.1",
    "precision_of_hottest_0.1",
)
AGREEMENT = ("agreement_mse", "agreement_kl", "agreement_ssim", "agreement_pearson")


@pytest.fixture(scope="module")
def model(study):
    return load_models(study.run, seed=100)[0]


@pytest.fixture(scope="module")
def ill(study):
    """A left eye with planted truth, so that a mirrored map cannot pass."""
    return next(
        exam
        for exam in CohortChoice(str(study.manifest)).read().exams
        if exam.label == 1 and exam.laterality is Laterality.OS
    )


@pytest.fixture(scope="module")
def explanation(model, ill):
    return explain_exam(model, ill)


def test_heat_lies_on_the_scans_own_grid_for_every_map(explanation, ill):
    assert set(explanation.heats) == {"care", "grad-cam"}
    for heat in explanation.heats.values():
        assert heat.shape == read_exam(ill).shape == (16, 32, 16)
        assert heat.min() >= 0
        assert heat.max() <= 1


def test_the_probability_is_the_predicted_one(explanation, study, ill, tmp_path):
    (one,), _ = predict(study.run, [ill], tmp_path, seed=100)
    assert explanation.probability == pytest.approx(one.probability, abs=1e-6)
    assert explanation.warnings == one.warnings
    assert explanation.cautions == (PHANTOMS,)


def test_agreement_and_overlap_with_the_planted_truth_are_told(explanation):
    numbers = explanation.numbers
    assert set(AGREEMENT) <= set(numbers)
    for key in ("care", "grad_cam"):
        assert numbers[f"{key}_is_zero"] in {0, 1}
        assert {f"{key}_{name}" for name in OVERLAP} <= set(numbers)


def test_the_overlap_is_that_of_heat_and_mask(explanation):
    mask = explanation.mask
    assert mask.any()
    for name, key in (("care", "care"), ("grad-cam", "grad_cam")):
        heat, numbers = explanation.heats[name].astype(np.float64), explanation.numbers
        assert numbers[f"{key}_mean_heat_inside"] == pytest.approx(heat[mask].mean(), rel=1e-5)
        assert numbers[f"{key}_mean_heat_outside"] == pytest.approx(heat[~mask].mean(), rel=1e-5)
        assert numbers[f"{key}_mass_inside"] == pytest.approx(heat[mask].sum() / heat.sum(), rel=1e-5)


def test_agreement_is_that_of_the_two_maps_on_the_networks_grid(explanation):
    care, cam = (explanation.attributions[name].coarse.astype(np.float64) for name in ("care", "grad-cam"))
    assert care.shape == cam.shape
    assert explanation.numbers["agreement_mse"] == pytest.approx(np.mean((care - cam) ** 2), rel=1e-4)
    pearson = np.corrcoef(care.ravel(), cam.ravel())[0, 1]
    assert explanation.numbers["agreement_pearson"] == pytest.approx(pearson, abs=1e-4)


def test_heat_is_the_networks_map_turned_back_to_the_eye_as_stored(explanation):
    """A left eye that starts superior: what the network saw first along A-scans lies last in the file."""
    assert explanation.volume.slow_axis is SlowAxis.SUPERIOR_TO_INFERIOR
    for name, heat in explanation.heats.items():
        coarse = torch.from_numpy(explanation.attributions[name].coarse)[None, None]
        fine = torch.nn.functional.interpolate(coarse, size=heat.shape, mode="trilinear")[0, 0].numpy()
        np.testing.assert_allclose(heat, fine[:, :, ::-1], atol=1e-5)
        assert not np.allclose(heat, fine[::-1, :, ::-1], atol=0.05)


def test_heat_turns_with_the_scan(model, ill, study, tmp_path):
    volume = read_exam(ill)
    other = dataclasses.replace(volume, values=volume.values[:, :, ::-1].copy(), laterality=Laterality.OD)
    turned = {"superior-to-inferior": "inferior-to-superior", "inferior-to-superior": "superior-to-inferior"}
    other = dataclasses.replace(
        other, values=other.values[::-1].copy(), slow_axis=type(volume.slow_axis)(turned[volume.slow_axis])
    )
    write_volume(other, tmp_path / "other.npz")
    plain = explain_exam(model, ill)
    mirrored = explain_exam(model, Exam("other", "", tmp_path / "other.npz"))
    for name in ("care", "grad-cam"):
        np.testing.assert_allclose(mirrored.heats[name], plain.heats[name][::-1, :, ::-1], atol=1e-3)
    assert mirrored.mask is None
    assert not any("overlap" in name or "mass" in name for name in mirrored.numbers)


def test_the_model_is_unchanged(model, ill):
    network = model.network
    before = {name: value.clone() for name, value in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    explain_exam(model, ill)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.grad is None for parameter in network.parameters())


def test_the_target_is_what_maps_of_the_score_explain(model, ill):
    maps = {target: explain_exam(model, ill, target=target) for target in ("predicted", "positive", "negative")}
    positive, negative = maps["positive"].heats, maps["negative"].heats
    np.testing.assert_array_equal(positive["care"], negative["care"])
    assert not np.allclose(positive["grad-cam"], negative["grad-cam"], atol=1e-3)
    assert [maps[target].explained_class for target in ("positive", "negative")] == [1, 0]


@pytest.mark.parametrize(("shift", "target"), [(-0.05, "positive"), (0.05, "negative")])
def test_what_is_explained_is_what_is_predicted_at_the_models_threshold(model, ill, tmp_path, shift, target):
    probability = explain_exam(model, ill, by=("care",)).probability
    strict = dataclasses.replace(model, threshold=probability + shift)
    found, wanted = explain_exam(strict, ill), explain_exam(model, ill, target=target)
    assert found.explained_class == wanted.explained_class == int(target == "positive")
    np.testing.assert_array_equal(found.heats["grad-cam"], wanted.heats["grad-cam"])
    (row,) = write_explanations(tmp_path / "out", [found], strict)
    assert row["explained_class"] == found.explained_class
    told = json.loads(next((tmp_path / "out").glob("*/numbers.json")).read_text(encoding="utf-8"))
    assert told["explained_class"] == found.explained_class
    assert PHANTOMS in told["warnings"]
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert f"explains the {target} class" in page


@pytest.mark.parametrize("attention", ["none", "squeeze-excitation", "cbam"])
def test_without_attention_no_map_is_called_care(model, ill, tmp_path, attention):
    recipe = dataclasses.replace(model.recipe, attention=attention)
    plain = dataclasses.replace(model, recipe=recipe, network=recipe.build_network().eval())
    for one, called in ((plain, True), (model, False)):
        write_explanations(tmp_path / str(called), [explain_exam(one, ill, by=("care",))], one)
        page = (tmp_path / str(called) / "index.html").read_text(encoding="utf-8")
        assert ("channel mean (not attention)" in page) == called
        assert ("CARE is read out of the attention" in page) != called


@pytest.mark.parametrize("name", EXPLAINERS)
def test_one_map_alone(model, ill, name):
    alone = explain_exam(model, ill, by=(name,))
    assert list(alone.heats) == [name]
    assert not any(key.startswith("agreement") for key in alone.numbers)
    assert f"{name.replace('-', '_')}_recall" in alone.numbers


def test_a_healthy_eye_has_an_empty_mask_and_no_overlap_that_says_why(model, study):
    healthy = next(exam for exam in CohortChoice(str(study.manifest)).read().exams if exam.label == 0)
    numbers = explain_exam(model, healthy).numbers
    assert numbers["care_overlap_undefined"]
    assert "care_recall" not in numbers


def test_unknown_names_are_refused(model, ill):
    with pytest.raises(OctavoError, match="'gradcam' is not an explainer; wanted one of: care, grad-cam; did you mean"):
        explain_exam(model, ill, by=("gradcam",))
    with pytest.raises(OctavoError, match=r"'positve' is not a target; .*did you mean 'positive'"):
        explain_exam(model, ill, target="positve")


def test_a_mask_on_another_grid_is_refused(model, ill, tmp_path):
    np.save(tmp_path / "mask.npy", np.ones((3, 4, 5), np.uint8))
    with pytest.raises(OctavoError, match=r"mask has shape \(3, 4, 5\) and the scan \(16, 32, 16\)"):
        explain_exam(model, dataclasses.replace(ill, mask=tmp_path / "mask.npy"))


def test_everything_is_written_and_the_heat_reads_back_on_the_scans_grid(model, ill, explanation, tmp_path):
    write_explanations(tmp_path / "out", [explanation], model)
    folder = tmp_path / "out" / f"001-{ill.exam_id}"
    volume = read_exam(ill)
    for name in ("care", "grad-cam"):
        heat = read_volume(folder / f"{name}.nii.gz", allow_constant=True)
        assert heat.shape == volume.shape
        assert heat.spacing_mm.values_mm == pytest.approx(volume.spacing_mm.values_mm, rel=1e-6)
        assert (heat.laterality, heat.slow_axis) == (volume.laterality, volume.slow_axis)
        np.testing.assert_allclose(heat.values, explanation.heats[name], atol=1e-6)
        zooms = nibabel.load(folder / f"{name}.nii.gz").header.get_zooms()
        assert sorted(map(float, zooms)) == pytest.approx(sorted(volume.spacing_mm.values_mm), rel=1e-6)
        assert list(folder.glob(f"{name}-bscan-*.png"))
        with Image.open(folder / f"{name}-en-face.png") as picture:
            picture.load()
        with Image.open(folder / f"{name}.gif") as animation:
            assert animation.n_frames == volume.shape[0]
    stored = json.loads((folder / "numbers.json").read_text(encoding="utf-8"))
    assert stored == {
        "exam_id": ill.exam_id,
        "probability": explanation.probability,
        "explained_class": explanation.explained_class,
        **explanation.numbers,
        "warnings": list(explanation.warnings),
    }
    (row,) = csv.DictReader((tmp_path / "out" / "explanations.csv").open(encoding="utf-8"))
    assert row["exam_id"] == ill.exam_id
    assert float(row["care_recall"]) == pytest.approx(explanation.numbers["care_recall"])
    assert row["warnings"] == PHANTOMS
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert PHANTOMS in page
    assert ill.exam_id in page
    assert not list((tmp_path / "out").rglob("*.tmp-*"))


def test_a_scan_of_unknown_millimetres_is_explained_and_marked(model, ill, tmp_path):
    volume = read_exam(ill)
    write_volume(volume.with_values(volume.values, Spacing()), tmp_path / "bare.npz")
    bare = explain_exam(model, Exam("bare/1", "", tmp_path / "bare.npz"))
    assert any(text.startswith(OUTSIDE) for text in bare.cautions)
    write_explanations(tmp_path / "out", [bare], model)
    heat = read_volume(tmp_path / "out" / "001-bare_1" / "care.npz", allow_constant=True)
    assert not heat.spacing_mm.is_known
    np.testing.assert_allclose(heat.values, bare.heats["care"], atol=1e-6)


def test_the_command_explains_what_it_can_and_lists_the_rest(study, ill, tmp_path, capsys):
    (tmp_path / "bad.npy").write_bytes(b"no array")
    words = ["explain", str(study.run), str(ill.path), str(tmp_path / "bad.npy"), "--out", str(tmp_path / "out")]
    assert main([*words, "--by", "care"]) == 1
    told = capsys.readouterr()
    assert "1 exams explained by run/seed-100" in told.out
    assert "not a medical device" in told.out
    assert [line.split(": ")[:2] for line in told.err.splitlines()] == [["octavo", "bad"]]
    assert (tmp_path / "out" / f"001-{ill.exam_id}" / "care.nii.gz").exists()
    assert not (tmp_path / "out" / f"001-{ill.exam_id}" / "grad-cam.nii.gz").exists()
    assert main(words) == 2
    assert "is there already and not empty" in capsys.readouterr().err


@pytest.mark.parametrize("by", [["gradcam"], ["care", "cares"]])
def test_an_unknown_map_is_refused_once_and_before_any_scan_is_read(study, ill, tmp_path, capsys, by):
    words = ["explain", str(study.run), str(ill.path), str(ill.path), "--out", str(tmp_path / "out"), "--by", *by]
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"octavo: '{by[-1]}' is not an explainer")
    assert not (tmp_path / "out").exists()


def test_where_no_scan_can_be_used_nothing_is_written(study, tmp_path, capsys):
    words = ["explain", str(study.run), str(tmp_path / "gone.npy"), "--out", str(tmp_path / "out")]
    assert main(words) == 2
    assert "gone: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
