"""Learning from scans before any label is shown: from all exams of the training part, those that balancing throws away too.

Two ways. `reconstruct`, after He and others, "Masked Autoencoders Are Scalable Vision Learners", CVPR 2022: patches of a
scan are hidden, and what stood there is told from the network's last map. `contrast`, after Chen and others, "A Simple
Framework for Contrastive Learning of Visual Representations", ICML 2020: two variations of a scan should be more like each
other than like those of the other scans of the batch. What is added for that, a decoder or a projection, is left behind.

Shapes: `(batch, 1, b, d, a)`, the last map `(batch, channels, b/8, d/8, a/8)`, and from there voxels again, or
`(2 batch, embedding)`.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from octavo.blocks.embedding_losses import supervised_contrastive
from octavo.blocks.precision import full_precision
from octavo.cohorts.dataset import PreparedExams, VolumeRecipe
from octavo.cohorts.prepared import PreparedExam
from octavo.errors import OctavoError
from octavo.systems.ai_cnet3d.network import AICNet3D
from octavo.training.task import Batch, Task

PATCH = 8
"""Voxels along each side of a patch: what one place of the last map stands for."""
EMBEDDING = 64
"""Numbers that scans are compared by."""
TEMPERATURE = 0.1
"""τ of the comparison; the best of those Chen and others tried."""


class PretrainingTask(Task):
    """What both ways share: the network up to its last map, and something small on top of it that is not kept.

    Args:
        network: What is trained, all but its last layer.
        top: What is trained with it and left behind.
        learning_rate: Of NAdam.
        seed: Names everything that is random.
    """

    network: AICNet3D

    def __init__(self, network: AICNet3D, top: nn.Module, learning_rate: float, seed: int) -> None:
        super().__init__(network, learning_rate, seed)
        self.top = top

    def _with_all_weights(self, costs: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """The same costs, for processes that train together wait for a gradient of every weight, the last layer's too."""
        return costs + 0.0 * sum(weight.sum() for weight in self.network.dense.parameters())


class Reconstruction(PretrainingTask):
    """The mean squared difference between hidden voxels and what is told of them.

    Grey values are compared after their mean over the scan was taken off and they were divided by their standard
    deviation, so that a cost of 1 is that of telling the mean everywhere. Which patches are hidden follows from the seed,
    the epoch and the exam; in validation they are the same in every epoch.

    Args:
        network: What is trained.
        learning_rate: Of NAdam.
        seed: Names the weights of the decoder and what is hidden.
        share: Of the patches, hidden.
    """

    def __init__(self, network: AICNet3D, learning_rate: float, seed: int, share: float) -> None:
        # one linear map from a place to its patch: what is to be learnt should be learnt below it
        channels = network.dense.in_features
        super().__init__(network, _drawn(seed, lambda: nn.Conv3d(channels, PATCH**3, 1)), learning_rate, seed)
        self.share = share

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, " batch"]]:
        """`loss` alone."""
        volume = batch["volume"]
        hidden = self.hidden(batch)
        told = self.tell(hide(volume, hidden)).to(volume.dtype)
        difference = (told - standardised(volume)).square() * hidden
        costs = difference.sum(dim=(1, 2, 3, 4)) / hidden.sum(dim=(1, 2, 3, 4))
        return {"loss": self._with_all_weights(costs)}

    def hidden(self, batch: Batch) -> Bool[Tensor, "batch 1 b d a"]:
        """Which voxels of each exam are hidden now."""
        volume = batch["volume"]
        size = (volume.shape[2], volume.shape[3], volume.shape[4])
        # validation asks the same of a network at any time
        epoch = self.current_epoch if self.training else 0
        masks = [hidden_voxels(size, self.share, (self.seed, epoch, _number(exam))) for exam in batch["exam_id"]]
        return torch.stack(masks).unsqueeze(1).to(volume.device)

    def tell(self, volume: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch 1 b d a"]:
        """What the decoder says of every voxel, hidden or not."""
        told = self.top(self.network.last_map(volume))
        batch, _, *grid = told.shape
        told = told.reshape(batch, PATCH, PATCH, PATCH, *grid).permute(0, 4, 1, 5, 2, 6, 3)
        voxels = told.reshape(batch, 1, *(PATCH * places for places in grid))
        return _fitted(voxels, volume.shape[2:])


class Contrast(PretrainingTask):
    """The normalised temperature-scaled cross-entropy between two variations of each exam of a batch.

    Exams are told apart within the batch of one process. What is left over at the end of validation may be a single exam,
    which has nothing to be told from and costs nothing.

    Args:
        network: What is trained.
        learning_rate: Of NAdam.
        seed: Names the weights of the projection.
    """

    def __init__(self, network: AICNet3D, learning_rate: float, seed: int) -> None:
        channels = network.dense.in_features
        top = _drawn(
            seed, lambda: nn.Sequential(nn.Linear(channels, EMBEDDING), nn.ReLU(), nn.Linear(EMBEDDING, EMBEDDING))
        )
        super().__init__(network, top, learning_rate, seed)

    def on_train_start(self) -> None:
        """See that validation can say anything.

        Raises:
            OctavoError: If no process has two exams of the validation part.
        """
        exams = len(self.trainer.val_dataloaders.dataset)
        if exams <= self.trainer.world_size:
            raise OctavoError(
                f"exams of the validation part are {exams} in all, and no process has two; wanted two, as contrast tells "
                "them apart; give validation a larger fraction"
            )

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, " batch"]]:
        """`loss` alone, the mean over an exam's two variations.

        Raises:
            OctavoError: If there is but one exam to learn from.
        """
        exams = batch["exam_id"]
        if self.training and len(set(exams)) < 2:
            raise OctavoError(f"a batch holds only exam {exams[0]}; wanted two or more, as contrast tells exams apart")
        both = self.embed(torch.cat((batch["volume"], batch["second_volume"])))  # type: ignore[typeddict-item]
        # an exam that fills up a batch it is in already is no other exam
        same = torch.tensor([exams.index(exam) for exam in exams], device=both.device).repeat(2)
        with full_precision(both):
            # a softmax at so low a temperature would feel a likeness rounded to eight bits
            costs = supervised_contrastive(both, same, TEMPERATURE).reshape(2, len(exams)).mean(dim=0)
        return {"loss": self._with_all_weights(costs)}

    def embed(self, volume: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch embedding"]:
        """What scans are compared by, of length one."""
        means = self.network.last_map(volume).mean(dim=(2, 3, 4))
        return F.normalize(self.top(means).to(volume.dtype), dim=1)


class TwoVariations(Dataset[dict[str, Any]]):
    """Prepared exams, each varied twice as the recipe varies training scans; in validation alike in every epoch.

    Args:
        recipe: How scans vary.
        exams: What to give.
        stream: Names the variations.
    """

    def __init__(self, recipe: VolumeRecipe, exams: Sequence[PreparedExam], stream: int) -> None:
        # far from the streams of the other stages, which are half a million apart
        streams = (stream, stream + 250_000)
        self.one, self.other = (PreparedExams(exams, recipe.grey_range, recipe.augmentation, n) for n in streams)

    def __len__(self) -> int:
        return len(self.one)

    def __getitem__(self, at: int | tuple[int, int]) -> dict[str, Any]:
        """One exam, with `second_volume` beside `volume`."""
        return {**self.one[at], "second_volume": self.other[at]["volume"]}


def hidden_voxels(size: tuple[int, int, int], share: float, stream: tuple[int, ...]) -> Bool[Tensor, "b d a"]:
    """Which voxels of a volume are hidden: whole patches, drawn at random, one at least and never all.

    The last map has a place for each patch. Voxels at the end of an axis that no place stands for are never hidden.

    Args:
        size: Of the volume.
        share: Of the patches, hidden.
        stream: Names the draw.

    Example:
        >>> hidden = hidden_voxels((16, 16, 16), 0.6, (1, 2, 3))
        >>> hidden.sum().item() == 5 * 8**3
        True
    """
    grid = [(voxels + 1) // PATCH for voxels in size]
    patches = int(np.prod(grid))
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(stream)))
    places = np.zeros(patches, dtype=bool)
    places[rng.permutation(patches)[: min(max(1, round(share * patches)), patches - 1)]] = True
    voxels = torch.from_numpy(places.reshape(grid))
    for axis in range(3):
        voxels = voxels.repeat_interleave(PATCH, dim=axis)
    return _fitted(voxels, torch.Size(size))


def hide(
    volume: Float[Tensor, "batch 1 b d a"], hidden: Bool[Tensor, "batch 1 b d a"]
) -> Float[Tensor, "batch 1 b d a"]:
    """Volumes with the mean of their visible voxels in place of the hidden ones.

    Black would be a value that a scan may have, and would move the statistics of every batch norm further.
    """
    visible = ~hidden
    mean = (volume * visible).sum(dim=(2, 3, 4), keepdim=True) / visible.sum(dim=(2, 3, 4), keepdim=True)
    return torch.where(hidden, mean, volume)


def standardised(volume: Float[Tensor, "batch 1 b d a"]) -> Float[Tensor, "batch 1 b d a"]:
    """Volumes with mean 0 and standard deviation 1, each by itself; one that is the same everywhere becomes 0."""
    centred = volume - volume.mean(dim=(2, 3, 4), keepdim=True)
    spread = centred.square().mean(dim=(2, 3, 4), keepdim=True).sqrt()
    return torch.where(spread > 1e-6, centred / spread.clamp(min=1e-6), torch.zeros_like(centred))


def _fitted(voxels: Tensor, size: torch.Size) -> Tensor:
    """The last three axes cut off, or filled up with zeros, at their ends."""
    missing = [wanted - got for wanted, got in zip(size, voxels.shape[-3:], strict=True)]
    return F.pad(voxels, [amount for axis in reversed(missing) for amount in (0, axis)])


def _number(exam_id: str) -> int:
    """A number of an exam's own, the same on every machine."""
    return zlib.crc32(exam_id.encode())


def _drawn(seed: int, build: Any) -> Any:
    """A module with weights drawn from a seed, and the stream that others draw from left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()
