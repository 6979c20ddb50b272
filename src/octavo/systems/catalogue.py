"""Every model by name: a system and the settings that make it this one and no other."""

import dataclasses
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from octavo.errors import OctavoError, unknown_name
from octavo.systems import find_system

EXTRAS: dict[str, tuple[str, ...]] = {"peers": ("monai", "einops"), "encoders": ("transformers",)}
"""What `pip install octavo[EXTRA]` brings."""

IDENTITY = ("attention", "architecture", "scale", "pretrain")
"""The settings that make a model what it is called."""


@dataclass(frozen=True)
class CataloguedModel:
    """One model: what to train, what it is, and what has to be installed."""

    system: str
    about: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Of the system's recipe."""
    extra: str | None = None
    """Which of `EXTRAS` it is built with."""

    @property
    def is_installed(self) -> bool:
        """Whether everything that it is built with is there."""
        packages = EXTRAS[self.extra] if self.extra else ()
        return all(importlib.util.find_spec(package) is not None for package in packages)


def _ai_cnet3d(attention: str, about: str, **settings: Any) -> CataloguedModel:
    return CataloguedModel("ai-cnet3d", about, {"attention": attention, **settings})


def _peer(
    architecture: str, about: str, scale: str = "small", extra: str | None = None, **settings: Any
) -> CataloguedModel:
    return CataloguedModel("peers", about, {"architecture": architecture, "scale": scale, **settings}, extra)


MODELS: dict[str, CataloguedModel] = {
    "plain-cnn": _ai_cnet3d("none", "AI-CNet3D without attention", consistency="off"),
    "hemiretinal": _ai_cnet3d("hemiretinal", "AI-CNet3D; superior and inferior half ask each other"),
    "hemiretinal-reconstruct": _ai_cnet3d(
        "hemiretinal", "hemiretinal that first learns to fill in hidden patches, without labels", pretrain="reconstruct"
    ),
    "hemiretinal-contrast": _ai_cnet3d(
        "hemiretinal", "hemiretinal that first learns to tell scans apart, without labels", pretrain="contrast"
    ),
    "neuron-axon": _ai_cnet3d("neuron-axon", "AI-CNet3D; macula and nerve half ask each other"),
    "hemiretinal-neuron-axon": _ai_cnet3d("hemiretinal-neuron-axon", "AI-CNet3D; four quadrants ask their neighbours"),
    "shuffled": _ai_cnet3d("shuffled", "the control of AI-CNet3D; random halves ask each other"),
    "epa": _ai_cnet3d("epa", "AI-CNet3D with efficient paired attention", consistency="off"),
    "squeeze-excitation": _ai_cnet3d("squeeze-excitation", "AI-CNet3D with squeeze-and-excitation", consistency="off"),
    "cbam": _ai_cnet3d("cbam", "AI-CNet3D with convolutional block attention", consistency="off"),
    "dino-atten3d": CataloguedModel(
        "dino-atten3d", "attention over slices; a frozen DINOv2 (not counted) reads each of them once", extra="encoders"
    ),
    "resnet3d": _peer("resnet3d", "ResNet-10 in three dimensions", extra="peers"),
    "resnet3d-published": _peer("resnet3d", "ResNet-18 in three dimensions", "published", "peers"),
    "densenet3d": _peer("densenet3d", "a small DenseNet in three dimensions", extra="peers"),
    "densenet3d-published": _peer("densenet3d", "DenseNet-121 in three dimensions", "published", "peers"),
    "vit3d": _peer("vit3d", "a small vision transformer over three-dimensional patches", extra="peers"),
    "vit3d-published": _peer("vit3d", "ViT-Base over three-dimensional patches", "published", "peers"),
    "timesformer": _peer("timesformer", "a small TimeSformer, with B-scans as time"),
    "timesformer-published": _peer("timesformer", "TimeSformer of the paper's width", "published"),
    "bscan-cnn": _peer("bscan-cnn", "a two-dimensional CNN on each B-scan, and the mean"),
    "features-logistic": _peer("features-logistic", "logistic regression on brightness and thickness"),
    "trivial": _peer("trivial", "how common the disease is, whatever the scan", balance="none"),
}
"""Every model by name."""


def find_model(name: str) -> CataloguedModel:
    """The model of that name.

    Raises:
        OctavoError: If there is none, naming the nearest.
    """
    if name not in MODELS:
        raise OctavoError(unknown_name("a model", name, MODELS))
    return MODELS[name]


def catalogued(name: str, **settings: Any) -> tuple[str, Any]:
    """The system of a catalogued model and the recipe that trains it.

    Args:
        name: One of `MODELS`.
        settings: Fields of the system's recipe that are to differ from its defaults, such as `size` or `epochs`.

    Raises:
        OctavoError: If the name or a setting is unknown, naming the nearest; if a setting would make it another model; or if
            the recipe refuses one.

    Example:
        >>> system, recipe = catalogued("squeeze-excitation", size=(64, 64, 64))
        >>> system, recipe.attention, recipe.size
        ('ai-cnet3d', 'squeeze-excitation', (64, 64, 64))
    """
    model = find_model(name)
    kind = find_system(model.system).recipe_type()
    fields = [one.name for one in dataclasses.fields(kind)]
    for setting in settings:
        if setting not in fields:
            raise OctavoError(unknown_name(f"a setting of {name}", setting, fields))
        if setting in IDENTITY and settings[setting] != model.settings.get(setting, settings[setting]):
            raise OctavoError(
                f"{setting} is {settings[setting]!r}; wanted {model.settings[setting]!r}, which makes {name} what it is; "
                "name another model"
            )
    return model.system, kind(**{**model.settings, **settings})
