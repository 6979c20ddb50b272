"""The recipe of an AI-CNet3D run."""

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from octavo.cohorts.augmentation import Augmentation
from octavo.cohorts.preparation import Preparation
from octavo.errors import OctavoError
from octavo.training.recipe import require_choices

if TYPE_CHECKING:
    from octavo.systems.ai_cnet3d.network import AICNet3D

Attention = Literal[
    "none",
    "hemiretinal",
    "neuron-axon",
    "hemiretinal-neuron-axon",
    "shuffled",
    "epa",
    "squeeze-excitation",
    "cbam",
]


@dataclass(frozen=True)
class AICNet3DRecipe:
    """Everything that decides what an AI-CNet3D run learns; the seeds come beside it."""

    attention: Attention = "hemiretinal"
    """Which parts of the eye attend to each other; `shuffled` is the control, `none` the plain CNN; `epa`,
    `squeeze-excitation` and `cbam` are peers."""
    size: tuple[int, int, int] = (128, 192, 112)
    """B-scans, depth samples and A-scans that scans are resampled to."""
    placement: tuple[int, int] = (2, 4)
    """After which two of the five convolutions attention stands."""
    channels: int = 32
    """Width of every convolution."""
    heads: int = 4
    """Heads of the attention."""
    pooling: Literal["global", "published"] = "global"
    """`published` averages over the cube the published program covers."""
    shuffle_seed: int = 0
    """Seed of the shuffled control's halves."""
    intensity: Literal["percentile", "stored"] = "percentile"
    """Grey values: spread between the 0.5th and 99.5th percentile, or as stored."""
    bits: Literal[8, 16] = 8
    """Of a prepared voxel."""
    grey_range: float = 1.0
    """What the brightest value becomes; 255 is the published input."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    balance: Literal["none", "undersample", "weighted-sampling", "weighted-loss"] = "undersample"
    """How unequal classes of the training part are met."""
    balance_before_split: bool = False
    """Undersample the whole cohort before it is split, as published: validation and test lose their prevalence too."""
    split_fractions: tuple[float, float, float] = (0.65, 0.15, 0.20)
    """Shares of patients for training, validation and test, where the manifest does not divide them."""
    split_seed: int = 100
    """Seed of that division; all seeds of a run share one."""
    batch_size: int = 4
    """Exams in a batch of one process."""
    learning_rate: float = 1e-4
    """Of NAdam."""
    epochs: int = 250
    """At most so many for classification."""
    patience: int = 25
    """Stop after so many epochs without a better validation loss."""
    pretrain: Literal["none", "reconstruct", "contrast"] = "none"
    """What the network learns first, without labels, from all exams of the training part: to fill in hidden patches, or
    to tell two variations of a scan from those of others."""
    pretrain_epochs: int = 100
    """At most so many of that, each over all exams of the training part."""
    pretrain_patience: int = 25
    """Patience of that."""
    pretrain_mask: float = 0.6
    """Share of the patches that `reconstruct` hides."""
    consistency: Literal["mse", "kl", "ssim", "pearson", "off"] = "mse"
    """What the second stage minimises between CARE and Grad-CAM; `off` leaves the second stage out."""
    consistency_weight: float = 0.75
    """λ: the loss is (1 - λ) classification + λ consistency. 0 is plain training; 1 forgets the labels."""
    consistency_epochs: int = 250
    """At most so many for the second stage."""
    consistency_patience: int = 25
    """Patience of the second stage."""
    consistency_stop: Literal["classification", "sum"] = "classification"
    """Which validation loss stops the second stage: classification alone, as published, or the sum."""
    grad_cam: Literal["sound", "published"] = "sound"
    """`published` uses batch statistics, the probability and +1e-5 in training."""
    published_protocol: bool = False
    """Do as the paper: balance before the split, flips along both axes, grey values 0 to 255, published pooling and
    Grad-CAM. Patients are never divided between parts all the same."""

    def __post_init__(self) -> None:
        require_choices(self)
        if not 0 <= self.consistency_weight <= 1:
            raise OctavoError(f"consistency weight is {self.consistency_weight}; wanted 0 to 1")
        stages = ("", "consistency_", "pretrain_")
        lengths = [getattr(self, f"{stage}{name}") for stage in stages for name in ("epochs", "patience")]
        if min(self.batch_size, *lengths) < 1:
            raise OctavoError("batch size, epochs and patience must be at least 1")
        for name in ("learning_rate", "grey_range"):
            if not 0 < getattr(self, name) < math.inf:
                raise OctavoError(f"{name.replace('_', ' ')} is {getattr(self, name)}; wanted a positive number")
        for name in ("shuffle_seed", "split_seed"):
            if not 0 <= getattr(self, name) < 2**63:
                raise OctavoError(f"{name.replace('_', ' ')} is {getattr(self, name)}; wanted 0 to 2^63 - 1")

        self._check_pretraining()

    def _check_pretraining(self) -> None:
        if not 0 < self.pretrain_mask < 1:
            raise OctavoError(f"pretrain mask is {self.pretrain_mask}; wanted a share of the patches between 0 and 1")
        if self.pretrain != "contrast":
            return
        if self.batch_size < 2:
            raise OctavoError("batch size is 1; wanted 2 or more, as contrast tells the exams of a batch apart")
        if self.augmentation == Augmentation(brightness=0, contrast=0, gamma=0, zoom=1):
            raise OctavoError("all variation is off; wanted some, as contrast compares two variations of each scan")

    def resolved(self) -> "AICNet3DRecipe":
        """The recipe with everything that `published_protocol` implies written out."""
        if not self.published_protocol:
            return self
        return replace(
            self,
            pooling="published",
            intensity="stored",
            grey_range=255.0,
            augmentation=replace(self.augmentation, flip_bscans=True, flip_ascans=True),
            balance="undersample",
            balance_before_split=True,
            grad_cam="published",
        )

    def within(self, epochs: int) -> "AICNet3DRecipe":
        """The recipe that spends at most so many epochs in all: a third of them on consistency, where there is any.

        With pretraining a quarter of all goes to it, at least one epoch, and a third of the rest to consistency. Epochs are
        counted alike, though one of pretraining reads every exam of the training part, and one of the other stages only
        what is left after balancing.

        Raises:
            OctavoError: If there is pretraining and only one epoch.

        Example:
            >>> two_stages = AICNet3DRecipe().within(12)
            >>> two_stages.epochs, two_stages.consistency_epochs, AICNet3DRecipe(consistency="off").within(12).epochs
            (8, 4, 12)
            >>> three_stages = AICNet3DRecipe(pretrain="reconstruct").within(12)
            >>> three_stages.pretrain_epochs, three_stages.epochs, three_stages.consistency_epochs
            (3, 6, 3)
        """
        if self.pretrain != "none":
            if epochs < 2:
                raise OctavoError(f"{epochs} epoch in all; wanted 2 or more, as one at least goes to pretraining")
            first = max(1, epochs // 4)
            return replace(
                replace(self, pretrain="none").within(epochs - first), pretrain=self.pretrain, pretrain_epochs=first
            )
        second = 0 if self.consistency == "off" else epochs // 3
        if second == 0:
            return replace(self, epochs=epochs, consistency="off")
        return replace(self, epochs=epochs - second, consistency_epochs=second)

    @property
    def learns_by_steps(self) -> bool:
        """Whether it has a learning rate and epochs; always."""
        return True

    def build_network(self) -> "AICNet3D":
        """The network, with weights drawn from torch's current seed.

        Raises:
            OctavoError: If there can be no such network, or volumes are too small to hide a part of them.
        """
        if self.pretrain == "reconstruct" and max(self.size) < 15:
            raise OctavoError(
                f"volumes of {self.size} are a single patch; wanted 15 or more along an axis to hide some"
            )
        from octavo.systems.ai_cnet3d.network import AICNet3D

        return AICNet3D(
            attention=self.attention,
            size=self.size,
            placement=self.placement,
            channels=self.channels,
            heads=self.heads,
            pooling=self.pooling,
            shuffle_seed=self.shuffle_seed,
        )

    @property
    def has_care(self) -> bool:
        """Whether CARE is read out of an attention that brings something to its place; else it is a mean of channels."""
        return self.attention not in {"none", "squeeze-excitation", "cbam"}

    @property
    def preparation(self) -> Preparation:
        """How scans become this network's input."""
        return Preparation(
            size=self.size,
            intensity=self.intensity,
            bits=self.bits,
            hemiretinas=self.attention in {"hemiretinal", "hemiretinal-neuron-axon", "shuffled"},
            both_ends=self.attention in {"neuron-axon", "hemiretinal-neuron-axon"},
        )
