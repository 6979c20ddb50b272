import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from octavo.cohorts.exam import Exam
from octavo.cohorts.preparation import Preparation
from octavo.cohorts.prepared import Preparer
from octavo.encoders.dinov2 import Backbone
from octavo.encoders.features import FeatureStore, encode
from octavo.encoders.slices import SliceChoice
from octavo.errors import OctavoError


class Mean(torch.nn.Module):
    """Stands for a backbone: the mean of a picture, three times; counts its pictures."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.seen = 0

    def forward(self, pixel_values):
        self.seen += len(pixel_values)
        mean = pixel_values.mean(dim=(1, 2, 3))
        hidden = torch.stack([mean, mean, mean], dim=-1)[:, None]
        return type("Hidden", (), {"last_hidden_state": hidden})


def backbone(fingerprint="a"):
    return Backbone(Mean(), 3, fingerprint, is_trained=False, name="mean")


@pytest.fixture
def exams(tmp_path):
    """Three scans, prepared."""
    made = []
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 255, (6 + number, 12, 10), dtype=np.uint8)
        np.save(tmp_path / f"e{number}.npy", values)
        made.append(Exam(f"e{number}", f"p{number}", Path(tmp_path / f"e{number}.npy"), label=number % 2))
    preparer = Preparer(tmp_path / "store", Preparation(size=None, hemiretinas=False))
    ready, failed = preparer.prepare_all(made)
    assert not failed
    return ready


def test_every_slice_goes_through_the_backbone_once(exams, tmp_path):
    store = FeatureStore(tmp_path / "features", backbone(), SliceChoice("bscan", 5))
    assert store.compute_missing(exams) == 3
    seen = store.backbone.network.seen
    assert seen == 15
    assert store.compute_missing(exams) == 0
    for exam in exams:
        store.read(exam)
    assert store.backbone.network.seen == seen


def test_what_is_read_is_what_the_backbone_says(exams, tmp_path):
    store = FeatureStore(tmp_path / "features", backbone(), SliceChoice("depth", 0))
    for exam in exams:
        fresh = encode(exam.voxels.read(), store.backbone, store.choice)
        np.testing.assert_array_equal(store.read(exam).values, fresh.values)
        assert store.read(exam).values.shape == (12, 3)


def test_backbone_slices_and_voxels_each_make_another_key(exams, tmp_path):
    stores = [
        FeatureStore(tmp_path, backbone("a"), SliceChoice("bscan", 5)),
        FeatureStore(tmp_path, backbone("b"), SliceChoice("bscan", 5)),
        FeatureStore(tmp_path, backbone("a"), SliceChoice("bscan", 4)),
        FeatureStore(tmp_path, backbone("a"), SliceChoice("ascan", 5)),
    ]
    changed = dataclasses.replace(exams[0], content="another")
    keys = {store.key(exam) for store in stores for exam in [*exams, changed]}
    assert len(keys) == len(stores) * 4


def test_without_a_folder_nothing_is_written(exams, tmp_path):
    store = FeatureStore(None, backbone(), SliceChoice("bscan", 2))
    before = sorted(tmp_path.rglob("*"))
    assert store.read(exams[0]).values.shape == (2, 3)
    assert sorted(tmp_path.rglob("*")) == before


def test_damaged_features_are_refused_by_exam(exams, tmp_path):
    store = FeatureStore(tmp_path / "features", backbone(), SliceChoice("bscan", 2))
    store.compute_missing(exams)
    (tmp_path / "features" / f"{store.key(exams[1])}.safetensors").write_bytes(b"cut")
    with pytest.raises(OctavoError, match="features of exam 'e1' are not readable"):
        store.read(exams[1])


def test_constant_slices_are_counted(exams, tmp_path):
    values = exams[0].voxels.read().copy()
    values[2] = 7
    assert encode(values, backbone(), SliceChoice("bscan", 0)).constant == 1
