"""One eye's anatomy, drawn: what differs between people, a little between the eyes of one, and never with the label."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from octavo.phantom.difficulty import Difficulty
from octavo.phantom.streams import Kin, stream

SCAN_MM = (9.0, 12.0)
"""Height along the B-scans and width along the A-scans of every phantom scan."""

FIELD_ORDER = 5
"""How many cosines each way make up a smooth field; the finest is two to three millimetres from crest to trough."""

STRIATION_WAVES = tuple(range(4, 15))
"""Waves around the disc of which striations are made: 90 degrees long to 26 degrees."""

STRIATION_SD = math.sqrt(len(STRIATION_WAVES))
"""Standard deviation of a sum of these waves when sine and cosine of each have one of one."""


@dataclass(frozen=True, slots=True)
class Vessel:
    """A retinal vessel that leaves the disc along the nerve fibres, wavering a little."""

    angle_deg: float
    calibre_um: float
    reach_mm: float
    waver_deg: float
    waver_phase: float


@dataclass(frozen=True, eq=False)
class Anatomy:
    """The shape of one eye without disease, in right-eye orientation; positions are (ascan, bscan) in millimetres."""

    fovea_mm: tuple[float, float]
    disc_mm: tuple[float, float]
    disc_radius_mm: tuple[float, float]
    cup_ratio: float
    cup_depth_um: float
    nerve_fibre_scale: float
    ganglion_scale: float
    outer_scales: Float[np.ndarray, " layer"]
    bundle_angles_deg: tuple[float, float]
    bundle_scales: tuple[float, float]
    striations: Float[np.ndarray, "wave phase"]
    nerve_fibre_field: Float[np.ndarray, "order order"]
    ganglion_field: Float[np.ndarray, "order order"]
    choroid_scale: float
    curvature_um: float
    brightness: Float[np.ndarray, " tissue"]
    vessels: tuple[Vessel, ...]


def draw_anatomy(patient_seed: int, eye: str, difficulty: Difficulty, layers: int, tissues: int) -> Anatomy:
    """Draw one eye of a patient.

    Args:
        patient_seed: The patient; both eyes share most of what is drawn.
        eye: Name of the eye, which sets what the eyes do not share.
        difficulty: How widely traits are spread.
        layers: Number of outer layers whose thickness varies.
        tissues: Number of tissues whose brightness varies.
    """

    def kin(name: str) -> Kin:
        return Kin(stream(patient_seed, name), stream(patient_seed, name, eye))

    place, head, bulk = kin("place"), kin("nerve head"), kin("thickness")
    fovea = (place.around(3.6, 0.15), place.around(4.75, 0.15))
    distance_mm, angle = place.around(4.6, 0.2), math.radians(place.around(6.5, 1.5))
    disc = (fovea[0] + distance_mm * math.cos(angle), fovea[1] - distance_mm * math.sin(angle))
    height_mm, aspect = head.around(0.88, 0.08), head.around(0.92, 0.04)
    inner, local = difficulty.inner_thickness_sd, difficulty.local_thickness_sd
    return Anatomy(
        fovea_mm=fovea,
        disc_mm=disc,
        disc_radius_mm=(height_mm * aspect, height_mm),
        cup_ratio=head.around(0.43, difficulty.cup_ratio_sd),
        cup_depth_um=head.around(280.0, 50.0),
        nerve_fibre_scale=math.exp(bulk.around(0.0, inner)),
        ganglion_scale=math.exp(bulk.around(0.0, 0.7 * inner)),
        outer_scales=np.exp(difficulty.outer_thickness_sd * bulk.normal(layers)),
        bundle_angles_deg=(
            bulk.around(74.0, difficulty.bundle_angle_sd_deg),
            -bulk.around(74.0, difficulty.bundle_angle_sd_deg),
        ),
        bundle_scales=(
            math.exp(bulk.around(0.0, difficulty.bundle_thickness_sd)),
            math.exp(bulk.around(0.0, difficulty.bundle_thickness_sd)),
        ),
        striations=difficulty.striation_sd * kin("striations").normal(len(STRIATION_WAVES), 2) / STRIATION_SD,
        nerve_fibre_field=local * _field_coefficients(kin("nerve fibre field")),
        ganglion_field=local * _field_coefficients(kin("ganglion field")),
        choroid_scale=math.exp(bulk.around(0.0, 0.2)),
        curvature_um=bulk.around(60.0, 25.0),
        brightness=np.exp(difficulty.brightness_sd * kin("brightness").normal(tissues)),
        vessels=_draw_vessels(kin("vessels")),
    )


def smooth_field(
    coefficients: Float[np.ndarray, "order order"], x_mm: Float[np.ndarray, " ascan"], y_mm: Float[np.ndarray, " bscan"]
) -> Float[np.ndarray, "bscan ascan"]:
    """A smooth map over the scan from the amplitudes of its cosines along B-scans and A-scans."""
    order = np.arange(len(coefficients))
    along_bscan = np.cos(np.pi * np.outer(y_mm / SCAN_MM[0], order))
    along_ascan = np.cos(np.pi * np.outer(x_mm / SCAN_MM[1], order))
    return along_bscan @ coefficients @ along_ascan.T


def _field_coefficients(draw: Kin) -> Float[np.ndarray, "order order"]:
    return field_amplitudes() * draw.normal(FIELD_ORDER, FIELD_ORDER)


def field_amplitudes() -> Float[np.ndarray, "order order"]:
    """How strong each cosine of a smooth field is, so that the field's standard deviation is one and its mean zero."""
    order = np.arange(FIELD_ORDER)
    strength = 1.0 / (1.0 + np.hypot(*np.meshgrid(order, order)) ** 2 / 4)
    strength[0, 0] = 0.0
    # the mean square of a cosine is a half, of the constant one
    share = np.where(order == 0, 1.0, 0.5)
    return strength / math.sqrt(float((strength**2 * np.outer(share, share)).sum()))


def _draw_vessels(draw: Kin) -> tuple[Vessel, ...]:
    # artery and vein of the four arcades, then small branches towards the macula and nasally
    arcades = [(58, 70), (70, 65), (-57, 70), (-69, 65), (112, 55), (124, 50), (-114, 55), (-126, 50)]
    branches = [(22, 30), (-24, 30), (90, 35), (-91, 35), (155, 30), (-150, 30), (40, 28), (-41, 28)]
    vessels = []
    for angle_deg, calibre_um in arcades + branches:
        turn, width, reach, waver, phase = draw.normal(5)
        vessels.append(
            Vessel(
                angle_deg=angle_deg + 4.0 * turn,
                calibre_um=2.0 * calibre_um * math.exp(0.12 * width),
                reach_mm=(8.0 if calibre_um > 40 else 3.5) + 0.7 * reach,
                waver_deg=1.5 + 0.5 * waver,
                waver_phase=2.0 * phase,
            )
        )
    return tuple(vessels)
