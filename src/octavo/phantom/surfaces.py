"""From thickness to surfaces: layers stacked on Bruch's membrane, and the nerve head where they end."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from octavo.phantom.layers import LAYERS
from octavo.phantom.person import SCAN_MM, Anatomy

CUP_RATIO_LIMITS = (0.08, 0.88)
"""Vertical cup-to-disc ratios stay between these."""

DISC_EDGE = 1.25
"""Distance from the disc's centre, in disc radii, from which every layer has its full thickness."""

RIM_TOP = 1.15
"""Distance, in disc radii, at which the rim has risen to the level of the retina."""

EDGE_SHARE = 0.03
"""Share of the depth window that stays free above the retina and below the pigment epithelium."""


@dataclass(frozen=True, eq=False)
class Stack:
    """The boundaries of an eye in micrometres of depth, from the top of the depth window.

    Args:
        boundaries_um: The vitreous surface, then the outer boundary of each layer in the order of `LAYERS`.
        deep_from_um: Where light starts to fade as it does below the retina.
        disc: Where the optic disc is, and layers have no thickness to speak of.
        disc_weight: The same, soft: 1 on the disc, 0 on the retina.
    """

    boundaries_um: tuple[Float[np.ndarray, "bscan ascan"], ...]
    deep_from_um: Float[np.ndarray, "bscan ascan"]
    disc: Bool[np.ndarray, "bscan ascan"]
    disc_weight: Float[np.ndarray, "bscan ascan"]

    def moved(self, offset_um: Float[np.ndarray, "bscan ascan"]) -> "Stack":
        """The same eye, each A-scan moved in depth."""
        boundaries_um = tuple(boundary + offset_um for boundary in self.boundaries_um)
        return Stack(boundaries_um, self.deep_from_um + offset_um, self.disc, self.disc_weight)


def smoothstep(low: float, high: float, value: Float[np.ndarray, "bscan ascan"]) -> Float[np.ndarray, "bscan ascan"]:
    """From 0 below `low` to 1 above `high` without a corner."""
    share = np.clip((value - low) / (high - low), 0.0, 1.0)
    return share * share * (3 - 2 * share)


def stack_layers(
    anatomy: Anatomy,
    thickness_um: dict[str, Float[np.ndarray, "bscan ascan"]],
    x_mm: Float[np.ndarray, " ascan"],
    y_mm: Float[np.ndarray, " bscan"],
    cup_ratio: float,
) -> Stack:
    """Stack the layers inwards from Bruch's membrane, whose middle lies at depth zero.

    On the disc the retina's layers end; nerve tissue fills it from the cup's floor to the lamina cribrosa and is
    counted with the nerve fibres, as it is made of them.
    """
    radius = np.hypot(
        (x_mm[None, :] - anatomy.disc_mm[0]) / anatomy.disc_radius_mm[0],
        (y_mm[:, None] - anatomy.disc_mm[1]) / anatomy.disc_radius_mm[1],
    )
    retina = smoothstep(1.0, DISC_EDGE, radius)
    pigment = smoothstep(1.0, 1.06, radius)
    bruch = anatomy.curvature_um * (
        ((x_mm[None, :] - SCAN_MM[1] / 2) / 6.0) ** 2 + ((y_mm[:, None] - SCAN_MM[0] / 2) / 6.0) ** 2
    )
    plunge = (anatomy.cup_depth_um + 130.0) * (1 - smoothstep(0.85, 1.0, radius))
    floor = bruch + plunge

    ends = {name: pigment if name in {"rpe", "bruch", "choroid"} else retina for name in LAYERS}
    boundaries = [floor]
    for name in reversed(LAYERS[1:-1]):
        boundaries.append(boundaries[-1] - thickness_um[name] * ends[name])
    # the vitreous surface passes the disc's edge without a step: fibres fill what the ending layers leave
    height = np.sum([thickness_um[name] for name in LAYERS[:-1]], axis=0)
    boundaries.append(np.minimum(bruch - _height_on_disc(height, radius, cup_ratio, anatomy.cup_depth_um), floor))
    stacked = (*reversed(boundaries), floor + thickness_um["choroid"] * pigment)
    return Stack(stacked, bruch + 0.5 * plunge, radius < DISC_EDGE, 1 - pigment)


def _height_on_disc(
    height: Float[np.ndarray, "bscan ascan"],
    radius: Float[np.ndarray, "bscan ascan"],
    cup_ratio: float,
    cup_depth_um: float,
) -> Float[np.ndarray, "bscan ascan"]:
    """Height of the vitreous surface above Bruch's plane: the rim's slope, crossing the plane at the cup's edge."""
    rim = np.sin(np.pi / 2 * np.clip((radius - cup_ratio) / (RIM_TOP - cup_ratio), 0.0, 1.0))
    hollow = np.sin(np.pi / 2 * np.clip((cup_ratio - radius) / (0.6 * cup_ratio), 0.0, 1.0))
    # a small cup is a shallow one
    return height * rim - cup_depth_um * min(1.0, cup_ratio / 0.4) * hollow


def shift_into_window(
    stack: Stack, middle_um: float, offset_um: Float[np.ndarray, "bscan ascan"], window_um: float
) -> float:
    """How far to move an eye in depth so that its retina lies where it should, and inside the window.

    Args:
        stack: The eye with the middle of Bruch's membrane at depth zero.
        middle_um: Depth at which the middle of Bruch's membrane should lie.
        offset_um: Tilt and motion, added to every surface alike.
        window_um: Depth of the scan.
    """
    bruch = LAYERS.index("bruch") + 1
    top = float((stack.boundaries_um[0] + offset_um).min())
    bottom = float((stack.boundaries_um[bruch] + offset_um)[~stack.disc].max())
    edge = EDGE_SHARE * window_um
    return min(max(middle_um, edge - top), window_um - edge - bottom)
