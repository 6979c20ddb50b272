"""The recipe of a DinoAtten3D run."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from octavo.cohorts.preparation import Preparation
from octavo.cohorts.reference import UNTRAINED
from octavo.errors import OctavoError
from octavo.training.recipe import require_choices, require_class_names

if TYPE_CHECKING:
    from octavo.systems.dino_atten3d.network import DinoAtten3D


@dataclass(frozen=True)
class DinoAtten3DRecipe:
    """Everything that decides what a DinoAtten3D run learns; the seeds come beside it."""

    weights: str | None = None
    """DINOv2's weights: a folder in the layout of transformers, or a file (.safetensors, .pth). Never downloaded; without
    them a small untrained stand-in reads the slices, and every answer says so."""
    slice_axis: Literal["bscan", "depth", "ascan"] = "bscan"
    """Along which axis slices follow one another; the axial slices of a head in NIfTI are those along `ascan`."""
    slices: int = 50
    """The central so many; 0 takes all."""
    anatomy: Literal["eye", "as-stored"] = "eye"
    """`eye` brings scans to right-eye orientation first; `as-stored` leaves them, as for heads."""
    hidden: int = 64
    """Width of the attention's tanh layer."""
    embedding: tuple[int, int] = (256, 128)
    """Widths of the embedding's two layers."""
    contrast_weight: float = 1.0
    """Of the supervised contrastive loss."""
    variance_weight: float = 0.1
    """Of the class variance loss."""
    temperature: float = 0.07
    """Of the supervised contrastive loss."""
    balance: Literal["none", "undersample", "weighted-sampling", "weighted-loss"] = "none"
    """How unequal classes of the training part are met."""
    split_fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Shares of patients for training, validation and test, where the manifest does not divide them."""
    split_seed: int = 100
    """Seed of that division; all seeds of a run share one."""
    batch_size: int = 16
    """Exams in a batch of one process."""
    learning_rate: float = 1e-3
    """Of Adam."""
    epochs: int = 1000
    """At most so many."""
    patience: int = 100
    """Stop after so many epochs without a better validation loss."""
    backbone_width: int | None = None
    """Features of a slice; filled in when the weights are looked at."""
    backbone_fingerprint: str | None = None
    """Of the weights; filled in likewise. A model never reads slices with other weights than it learnt with."""
    class_names: tuple[str, ...] | None = None
    """Of three or more classes, in the order of their labels; filled in from the cohort. None where there are two."""

    def __post_init__(self) -> None:
        require_choices(self)
        require_class_names(self.class_names)
        if min(self.batch_size, self.epochs, self.patience, self.hidden, *self.embedding) < 1 or self.slices < 0:
            raise OctavoError("batch size, epochs, patience and widths must be at least 1, and slices at least 0")
        for name in ("learning_rate", "temperature"):
            if not 0 < getattr(self, name) < math.inf:
                raise OctavoError(f"{name.replace('_', ' ')} is {getattr(self, name)}; wanted a positive number")
        for name in ("contrast_weight", "variance_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise OctavoError(f"{name.replace('_', ' ')} is {getattr(self, name)}; wanted 0 or more")

    def resolved(self) -> "DinoAtten3DRecipe":
        """The recipe with what the backbone's weights say of themselves.

        Raises:
            OctavoError: If the weights are missing or of another architecture.
        """
        from octavo.systems.dino_atten3d.inputs import backbone_of

        backbone = backbone_of(self.weights)
        path = None if self.weights is None else str(Path(self.weights).absolute())
        return replace(self, weights=path, backbone_width=backbone.width, backbone_fingerprint=backbone.fingerprint)

    def within(self, epochs: int) -> "DinoAtten3DRecipe":
        """The recipe that spends at most so many epochs; features are computed once and are none."""
        return replace(self, epochs=epochs)

    @property
    def learns_by_steps(self) -> bool:
        """Whether it has a learning rate and epochs; always."""
        return True

    def build_network(self) -> "DinoAtten3D":
        """The head, with weights drawn from torch's current seed."""
        from octavo.systems.dino_atten3d.network import DinoAtten3D

        if self.backbone_width is None:
            raise OctavoError("the recipe does not say how wide the backbone is; wanted a resolved recipe")
        return DinoAtten3D(self.backbone_width, self.hidden, self.embedding, self.classes)

    @property
    def classes(self) -> int:
        """How many classes the network tells apart."""
        return len(self.class_names or ()) or 2

    @property
    def notes(self) -> tuple[str, ...]:
        """What every answer of a model must bear."""
        return (UNTRAINED,) if self.weights is None else ()

    @property
    def balance_before_split(self) -> bool:
        """Never: validation and test keep their prevalence."""
        return False

    @property
    def preparation(self) -> Preparation:
        """How scans become slices: at their own size, in 16 bits, so that nothing but the backbone shrinks a slice."""
        return Preparation(size=None, intensity="stored", bits=16, hemiretinas=False, anatomy=self.anatomy)
