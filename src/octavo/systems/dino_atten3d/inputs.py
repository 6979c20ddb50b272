"""What DinoAtten3D reads: for each exam, the features of its slices, computed once."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from octavo.cohorts.prepared import PreparedExam
from octavo.cohorts.store import is_address
from octavo.encoders.dinov2 import Backbone, load_backbone
from octavo.encoders.features import FeatureStore
from octavo.encoders.slices import SliceChoice
from octavo.errors import OctavoError
from octavo.systems.dino_atten3d.recipe import DinoAtten3DRecipe
from octavo.training.inference import best_device


class SliceFeatureExams(Dataset[dict[str, Any]]):
    """Exams as the features of their slices.

    Args:
        exams: What to give.
        store: Where the features are.
    """

    def __init__(self, exams: Sequence[PreparedExam], store: FeatureStore) -> None:
        self.exams = list(exams)
        self.store = store
        store.compute_missing(self.exams)

    def __len__(self) -> int:
        return len(self.exams)

    def __getitem__(self, at: int | tuple[int, int]) -> dict[str, Any]:
        """One exam; the epoch does not matter, for features never vary."""
        exam = self.exams[at[1] if isinstance(at, tuple) else at]
        return {
            "volume": torch.from_numpy(self.store.read(exam).values),
            "label": -1 if exam.exam.label is None else exam.exam.label,
            "exam_id": exam.exam.exam_id,
        }

    @staticmethod
    def collate(exams: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """A batch; volumes with fewer slices than the others are filled up with slices of NaN, which are not there."""
        return {
            "volume": torch.nn.utils.rnn.pad_sequence(
                [one["volume"] for one in exams], batch_first=True, padding_value=float(np.nan)
            ),
            "label": torch.tensor([one["label"] for one in exams]),
            "exam_id": [one["exam_id"] for one in exams],
        }


def feature_inputs(
    recipe: DinoAtten3DRecipe, exams: Sequence[PreparedExam], stream: int | None = None
) -> SliceFeatureExams:
    """Exams as this system reads them, in training (`stream` is its seed) and everywhere else.

    Features are kept beside the prepared scans; of a cohort that lies behind an address they are made each time.

    Raises:
        OctavoError: If the backbone's weights are not those that the recipe was made with.
    """
    backbone = backbone_of(recipe.weights)
    if recipe.backbone_fingerprint not in {None, backbone.fingerprint}:
        raise OctavoError(
            f"{recipe.weights or 'the untrained backbone'}: is not the backbone that this model learnt with (fingerprint "
            f"{backbone.fingerprint[:8]}, wanted {str(recipe.backbone_fingerprint)[:8]}); bring the old weights back"
        )
    homes = {exam.voxels.address for exam in exams}
    home = homes.pop() if len(homes) == 1 else ""
    folder = Path(home) / "features" if home and not is_address(home) else None
    return SliceFeatureExams(exams, FeatureStore(folder, backbone, SliceChoice(recipe.slice_axis, recipe.slices)))


@lru_cache(maxsize=2)
def backbone_of(weights: str | None) -> Backbone:
    """The backbone on the best device; read once however often it is asked for."""
    backbone = load_backbone(None if weights is None else Path(weights))
    backbone.network.to(best_device())
    return backbone
