"""How thick each layer is, everywhere, in a healthy eye, and how much of it glaucoma takes.

The numbers are those of published normal eyes (sources in `docs/phantom.md`): nerve fibres thickest in two humps above
and below the disc and falling off along their course, the ganglion cell ring around the fovea, a pit in its middle.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from octavo.phantom.fibres import FibreCourse
from octavo.phantom.person import STRIATION_WAVES, Anatomy, smooth_field
from octavo.phantom.streams import stream

OUTER_LAYERS = ("inl", "opl", "onl", "myoid", "ellipsoid", "outer_segments", "rpe", "bruch")
"""The layers glaucoma leaves alone, from within outwards, down to Bruch's membrane."""

LAYERS = ("rnfl", "gcl_ipl", *OUTER_LAYERS, "choroid")
"""Every layer from the vitreous outwards: nerve fibres, ganglion cells with inner plexiform, inner nuclear, outer
plexiform, outer nuclear, the photoreceptors' myoid, ellipsoid and outer segments, pigment epithelium, Bruch's membrane,
choroid."""


class Bundle(StrEnum):
    """An arcuate nerve fibre bundle."""

    SUPERIOR = "superior"
    INFERIOR = "inferior"


@dataclass(frozen=True, slots=True)
class Damage:
    """What glaucoma took from the fibres that enter the disc around one angle.

    Args:
        bundle: Which arcuate bundle is hit.
        angle_deg: Middle of the damaged fibres.
        half_width_deg: From the middle to where half of the effect is left.
        nerve_fibre_share: Share of the nerve fibre layer lost in the middle.
        ganglion_share: Share of the ganglion cell and inner plexiform layers lost in the middle.
    """

    bundle: Bundle
    angle_deg: float
    half_width_deg: float
    nerve_fibre_share: float
    ganglion_share: float

    def depth_of_loss(self, angle_deg: Float[np.ndarray, "bscan ascan"]) -> Float[np.ndarray, "bscan ascan"]:
        """From 0 outside the damaged fibres to 1 in their middle, with the steep flanks of a wedge defect."""
        offset = np.abs(angle_deg - self.angle_deg) / self.half_width_deg
        return np.exp(-np.log(2) * offset**4)


def draw_damage(patient_seed: int, eye: str, severity: float, bundles: tuple[Bundle, ...]) -> tuple[Damage, ...]:
    """Where in each bundle the damage sits; its depth and width follow the severity alone."""
    damages = []
    for bundle in bundles:
        draw = stream(patient_seed, "damage", eye, bundle.value)
        angle_deg = draw.uniform(42.0, 62.0)
        damages.append(
            Damage(
                bundle=bundle,
                angle_deg=angle_deg if bundle is Bundle.SUPERIOR else -angle_deg,
                half_width_deg=12.0 + 8.0 * severity,
                nerve_fibre_share=0.80 * severity**0.7,
                ganglion_share=0.45 * severity**0.7,
            )
        )
    return tuple(damages)


def inner_thickness_um(
    anatomy: Anatomy,
    course: FibreCourse,
    x_mm: Float[np.ndarray, " ascan"],
    y_mm: Float[np.ndarray, " bscan"],
) -> dict[str, Float[np.ndarray, "bscan ascan"]]:
    """Healthy thickness of the two layers glaucoma thins, in micrometres."""
    from_fovea_mm = _distance(anatomy.fovea_mm, x_mm, y_mm)
    angle = course.angle_deg
    humps = 27.5 + 36.8 * (1 - np.cos(np.radians(angle)))
    for middle, scale, height_um in zip(anatomy.bundle_angles_deg, anatomy.bundle_scales, (161.0, 145.6), strict=True):
        humps = humps + scale * height_um * np.exp(-0.5 * ((angle - middle) / 27.0) ** 2)
    # axons join along the way, so fewer are left further out; the raphe, where both sides end, is thinnest
    along = (1 - course.travelled) ** 0.5
    raphe = 1 - 0.5 * np.exp(-((angle / 25.0) ** 2)) / (1 + np.exp(-(course.travelled - 0.5) / 0.06))
    pit = 1 - np.exp(-((from_fovea_mm / 0.9) ** 2))
    nerve_fibres = anatomy.nerve_fibre_scale * humps * course.crowding**0.75 * along * raphe * pit

    ring = 38.0 + 50.0 * np.exp(-((np.maximum(from_fovea_mm - 1.0, 0.0) / 1.7) ** 2))
    ganglion = anatomy.ganglion_scale * ring * (1 - 0.88 * np.exp(-((from_fovea_mm / 0.42) ** 2)))
    phase = np.radians(angle)[..., None] * STRIATION_WAVES
    grooves = np.cos(phase) @ anatomy.striations[:, 0] + np.sin(phase) @ anatomy.striations[:, 1]
    nerve_fibres = nerve_fibres * np.exp(grooves)
    return {
        "rnfl": nerve_fibres * np.exp(smooth_field(anatomy.nerve_fibre_field, x_mm, y_mm)),
        "gcl_ipl": ganglion * np.exp(smooth_field(anatomy.ganglion_field, x_mm, y_mm)),
    }


def outer_thickness_um(
    anatomy: Anatomy, x_mm: Float[np.ndarray, " ascan"], y_mm: Float[np.ndarray, " bscan"]
) -> dict[str, Float[np.ndarray, "bscan ascan"]]:
    """Thickness of the layers from the inner nuclear layer to the choroid, in micrometres."""
    from_fovea_mm = _distance(anatomy.fovea_mm, x_mm, y_mm)
    from_disc_mm = _distance(anatomy.disc_mm, x_mm, y_mm)

    def bump(width_mm: float) -> Float[np.ndarray, "bscan ascan"]:
        return np.exp(-((from_fovea_mm / width_mm) ** 2))

    flat = np.ones_like(from_fovea_mm)
    shapes = {
        "inl": (30.0 + 12.0 * bump(1.6)) * (1 - 0.8 * bump(0.35)),
        "opl": 27.0 - 12.0 * bump(0.4),
        "onl": 58.0 + 42.0 * bump(0.6),
        "myoid": 24.0 + 8.0 * bump(0.5),
        "ellipsoid": 14.0 * flat,
        "outer_segments": 18.0 + 18.0 * bump(0.5),
        "rpe": 24.0 * flat,
        "bruch": 4.0 * flat,
    }
    scaled = {name: shapes[name] * scale for name, scale in zip(OUTER_LAYERS, anatomy.outer_scales, strict=True)}
    thinner_at_disc = 0.55 + 0.45 * (1 - np.exp(-((from_disc_mm / 2.5) ** 2)))
    return scaled | {"choroid": anatomy.choroid_scale * 240.0 * thinner_at_disc}


def lost_um(
    healthy_um: dict[str, Float[np.ndarray, "bscan ascan"]],
    course: FibreCourse,
    damages: tuple[Damage, ...],
) -> dict[str, Float[np.ndarray, "bscan ascan"]]:
    """How much of the nerve fibre and ganglion cell layers is gone, in micrometres.

    Damages of two bundles never add up: where both reach, the larger share counts.
    """
    shares = {layer: np.zeros_like(course.angle_deg) for layer in healthy_um}
    for damage in damages:
        depth = damage.depth_of_loss(course.angle_deg)
        shares["rnfl"] = np.maximum(shares["rnfl"], damage.nerve_fibre_share * depth)
        shares["gcl_ipl"] = np.maximum(shares["gcl_ipl"], damage.ganglion_share * depth)
    return {layer: share * healthy_um[layer] for layer, share in shares.items()}


def _distance(
    place_mm: tuple[float, float], x_mm: Float[np.ndarray, " ascan"], y_mm: Float[np.ndarray, " bscan"]
) -> Float[np.ndarray, "bscan ascan"]:
    return np.hypot(x_mm[None, :] - place_mm[0], y_mm[:, None] - place_mm[1])
