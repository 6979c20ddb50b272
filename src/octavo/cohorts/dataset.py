"""Prepared exams as batches: order, balance and variation are functions of seed, epoch and exam alone."""

from collections.abc import Iterator, Sequence, Sized
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch.utils.data import DataLoader, Dataset, Sampler

from octavo.cohorts.augmentation import Augmentation, exam_stream
from octavo.cohorts.preparation import white_of
from octavo.cohorts.prepared import PreparedExam
from octavo.errors import OctavoError

Balance = Literal["none", "undersample", "weighted-sampling", "weighted-loss"]
"""How unequal classes of the training part are met. Validation and test always keep their prevalence."""


class PreparedExams(Dataset[dict[str, Any]]):
    """Prepared exams as tensors.

    Args:
        exams: What to give.
        grey_range: What the brightest value becomes: 1, or 255 for weights trained on the published input.
        augmentation: How training scans vary; None for evaluation.
        seed: The run's seed.
    """

    def __init__(
        self,
        exams: Sequence[PreparedExam],
        grey_range: float = 1.0,
        augmentation: Augmentation | None = None,
        seed: int = 0,
    ) -> None:
        self.exams = list(exams)
        self.grey_range = grey_range
        self.augmentation = augmentation
        self.seed = seed

    def __len__(self) -> int:
        return len(self.exams)

    def __getitem__(self, at: int | tuple[int, int]) -> dict[str, Any]:
        """One exam; in training the index carries the epoch, from which its variation follows."""
        epoch, index = at if isinstance(at, tuple) else (0, at)
        prepared = self.exams[index]
        values = prepared.values()
        if self.augmentation is None:
            grey = values.astype(np.float32) * np.float32(1 / white_of(values))
        else:
            grey = self.augmentation.apply(values, exam_stream(self.seed, epoch, index))
        volume = torch.from_numpy(grey)
        return {
            "volume": (volume if self.grey_range == 1.0 else volume * self.grey_range).unsqueeze(0),
            "label": -1 if prepared.exam.label is None else prepared.exam.label,
            "exam_id": prepared.exam.exam_id,
        }


class EpochOrder(Sampler[list[tuple[int, int]]]):
    """Batches of a training epoch, drawn from seed and epoch.

    The order is one for all processes together: with two processes each takes its half of every batch of the single order,
    so two processes with batch 2 see what one sees with batch 4. The last batch is filled from the start of the order, so
    every batch is full.

    Args:
        labels: Class of each exam.
        batch_size: Exams in a batch of one process.
        balance: How unequal classes are met. `undersample` keeps a random, seeded part of the larger class for the whole
            run, as published; `weighted-sampling` draws anew in every epoch, with replacement, so that classes are even.
        seed: Names the orders.
        balance_seed: Names the part that undersampling keeps, so that stages of other orders keep the same one.

    Raises:
        OctavoError: If one class is missing and balance is asked for.
    """

    def __init__(
        self,
        labels: Sequence[int],
        batch_size: int,
        balance: Balance = "none",
        seed: int = 0,
        balance_seed: int = 0,
    ) -> None:
        self.labels = np.asarray(labels)
        self.batch_size = batch_size
        self.balance = balance
        self.seed = seed
        self.epoch = 0
        counts = np.bincount(self.labels, minlength=2)
        if balance in {"undersample", "weighted-sampling"} and counts.min() == 0:
            raise OctavoError(
                f"class {int(counts.argmin())} is empty in the training part; wanted {_all(counts)} to balance them"
            )
        self.kept = (
            self._undersampled(counts, balance_seed) if balance == "undersample" else np.arange(len(self.labels))
        )

    @property
    def sampler(self) -> "EpochOrder":
        """The loop looks for `set_epoch` on the sampler of a batch sampler; this is both."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; the loop calls this."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-len(self.kept) // (self.batch_size * processes()))

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        order = self.order(self.epoch)
        for first in range(0, len(order), self.batch_size * processes()):
            share = order[first + rank() * self.batch_size :][: self.batch_size]
            yield [(self.epoch, int(index)) for index in share]

    def order(self, epoch: int) -> np.ndarray:
        """Indices of all exams of an epoch, of all processes, filled up to whole batches."""
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((self.seed, epoch))))
        if self.balance == "weighted-sampling":
            share = 1.0 / np.bincount(self.labels)[self.labels]
            order = rng.choice(len(self.labels), size=len(self.labels), p=share / share.sum())
        else:
            order = rng.permutation(self.kept)
        return np.resize(order, len(self) * self.batch_size * processes())

    def _undersampled(self, counts: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, 2**31))))
        classes = range(len(counts))
        kept = [rng.permutation(np.flatnonzero(self.labels == label))[: counts.min()] for label in classes]
        return np.sort(np.concatenate(kept))


def class_weights(labels: Sequence[int]) -> Float[torch.Tensor, " classes"]:
    """Weights that make all classes count the same in a mean over exams.

    Raises:
        OctavoError: If one class is missing.

    Example:
        >>> class_weights([0, 0, 0, 1])
        tensor([0.6667, 2.0000])
    """
    counts = torch.bincount(torch.as_tensor(list(labels)), minlength=2)
    if int(counts.min()) == 0:
        raise OctavoError(
            f"class {int(counts.argmin())} is empty in the training part; wanted {_all(counts)} to weigh them"
        )
    return counts.sum() / (len(counts) * counts.float())


def _all(counts: Sized) -> str:
    return "both" if len(counts) == 2 else "all"


@runtime_checkable
class VolumeRecipe(Protocol):
    """What of a recipe decides how a prepared volume becomes a tensor."""

    @property
    def grey_range(self) -> float: ...  # noqa: D102
    @property
    def augmentation(self) -> Augmentation: ...  # noqa: D102


def volume_inputs(recipe: VolumeRecipe, exams: Sequence[PreparedExam], stream: int | None = None) -> PreparedExams:
    """Exams as networks of volumes read them: varied in training, where `stream` is its seed, and nowhere else."""
    if stream is None:
        return PreparedExams(exams, recipe.grey_range)
    return PreparedExams(exams, recipe.grey_range, recipe.augmentation, stream)


def training_batches(dataset: Dataset[dict[str, Any]], order: EpochOrder, workers: int = 0) -> DataLoader[Any]:
    """Batches to learn from."""
    return DataLoader(
        dataset,
        batch_sampler=order,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=_collate_of(dataset),
    )


def _collate_of(dataset: Dataset[dict[str, Any]]) -> Any:
    """How exams become a batch, where the dataset has a way of its own."""
    return getattr(dataset, "collate", None)


class OwnShare(Sampler[int]):
    """Exams in order; of several processes that train together each takes its share, none twice."""

    def __init__(self, exams: int) -> None:
        self.exams = exams

    def __len__(self) -> int:
        return len(range(rank(), self.exams, processes()))

    def __iter__(self) -> Iterator[int]:
        return iter(range(rank(), self.exams, processes()))


def validation_batches(dataset: Dataset[dict[str, Any]], batch_size: int, workers: int = 0) -> DataLoader[Any]:
    """Every exam once, shared among the processes that train together."""
    share = OwnShare(len(dataset))  # type: ignore[arg-type]
    return DataLoader(
        dataset, batch_size=batch_size, sampler=share, num_workers=workers, collate_fn=_collate_of(dataset)
    )


def evaluation_batches(dataset: Dataset[dict[str, Any]], batch_size: int, workers: int = 0) -> DataLoader[Any]:
    """Every exam once, in order, all of them here whatever processes there are."""
    return DataLoader(
        dataset, batch_size=batch_size, shuffle=False, num_workers=workers, collate_fn=_collate_of(dataset)
    )


def rank() -> int:
    """Which of the processes that train together this one is."""
    return torch.distributed.get_rank() if _together() else 0


def processes() -> int:
    """How many processes train together."""
    return torch.distributed.get_world_size() if _together() else 1


def _together() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
