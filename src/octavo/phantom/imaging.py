"""What the scanner makes of an eye: reflected light, shadows, speckle, motion, grey values."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from octavo.phantom.difficulty import Difficulty
from octavo.phantom.fibres import FibreCourse
from octavo.phantom.layers import LAYERS
from octavo.phantom.person import SCAN_MM, Anatomy, field_amplitudes, smooth_field
from octavo.phantom.streams import LIMIT_SD, stream
from octavo.phantom.surfaces import Stack, smoothstep

REFLECTIVITY: dict[str, float] = {
    "vitreous": 0.003,
    "rnfl": 1.0,
    "gcl_ipl": 0.22,
    "inl": 0.09,
    "opl": 0.20,
    "onl": 0.05,
    "myoid": 0.09,
    "ellipsoid": 0.85,
    "outer_segments": 0.35,
    "rpe": 1.2,
    "bruch": 0.8,
    "choroid": 0.55,
    "sclera": 0.30,
}
"""Light that each tissue sends back, relative to the nerve fibres; nerve fibres and pigment epithelium are brightest."""

NERVE_HEAD = {"rnfl": 0.60, "sclera": 0.45}
"""The same on the disc: its nerve tissue is a little darker than the layer, the lamina cribrosa bright."""

SPECKLE_MIX = ((0.75, 0.25), (0.8, 0.2))
"""How much of a voxel's speckle is its own and its neighbour's, along A-scans and along depth."""

WINDOW_MM = (1.28, 2.0)
"""The depth window: never less than the first, never more than the second, 20 micrometres a sample in between."""


@dataclass(frozen=True, eq=False)
class Recording:
    """One exposure: everything about the scan that is not about the eye."""

    middle_share: float
    offset_um: Float[np.ndarray, "bscan ascan"]
    signal: float
    gain: float
    contrast: float
    shading: Float[np.ndarray, "bscan ascan"]
    bscan_gain: Float[np.ndarray, " bscan"]


def window_um(depth: int) -> float:
    """Depth of the scan for that many samples, in micrometres.

    Example:
        >>> window_um(64), window_um(192)
        (1280.0, 2000.0)
    """
    return 1000.0 * min(max(0.02 * depth, WINDOW_MM[0]), WINDOW_MM[1])


def draw_recording(
    patient_seed: int,
    eye: str,
    difficulty: Difficulty,
    x_mm: Float[np.ndarray, " ascan"],
    y_mm: Float[np.ndarray, " bscan"],
) -> Recording:
    """Draw how one eye was recorded."""
    draw = stream(patient_seed, "recording", eye)

    def normal(*size: int) -> Float[np.ndarray, "..."]:
        return np.clip(draw.standard_normal(size), -LIMIT_SD, LIMIT_SD)

    rise_um = difficulty.tilt_um * normal(2)
    tilt = rise_um[0] * (x_mm[None, :] / SCAN_MM[1] - 0.5) * 2 + rise_um[1] * (y_mm[:, None] / SCAN_MM[0] - 0.5) * 2
    position_um, signal, gain, contrast = normal(4)
    shading = smooth_field(field_amplitudes() * normal(*field_amplitudes().shape), x_mm, y_mm)
    # the last draws are as many as there are B-scans: whatever follows them would change with the shape
    motion_um = difficulty.motion_um * normal(len(y_mm))
    bscan_gain = np.exp(0.3 * difficulty.gain_sd * normal(len(y_mm)))
    return Recording(
        middle_share=0.62 + difficulty.position_um * float(position_um) / 1280.0,
        offset_um=tilt + motion_um[:, None],
        signal=math.exp(difficulty.signal_sd * float(signal)),
        gain=math.exp(difficulty.gain_sd * float(gain)),
        contrast=0.34 + difficulty.contrast_sd * float(contrast),
        shading=np.exp(difficulty.shading_sd * shading),
        bscan_gain=bscan_gain,
    )


def vessel_cover(anatomy: Anatomy, course: FibreCourse, sample_mm: float) -> Float[np.ndarray, "bscan ascan"]:
    """Share of each A-scan's light that vessels intercept, from 0 to 1.

    A vessel thinner than the distance between samples darkens its A-scan in part.
    """
    clear = np.ones_like(course.angle_deg)
    # near the disc's centre the trunks run side by side and one shadow covers all
    trunk = smoothstep(0.15, 0.5, course.disc_distance_mm)
    for vessel in anatomy.vessels:
        waver = vessel.waver_deg * np.sin(course.disc_distance_mm * 2.2 + vessel.waver_phase)
        aside_deg = (course.angle_deg - vessel.angle_deg - waver + 180.0) % 360.0 - 180.0
        aside_mm = aside_deg * course.across_mm_per_deg
        calibre_mm = vessel.calibre_um / 1000.0 * (1 - 0.07 * np.minimum(course.disc_distance_mm, 9.0))
        width_mm = np.hypot(calibre_mm, sample_mm)
        ends = 1 - smoothstep(vessel.reach_mm - 1.0, vessel.reach_mm, course.disc_distance_mm)
        clear *= 1 - trunk * ends * (calibre_mm / width_mm) * np.exp(-0.5 * (aside_mm / (0.45 * width_mm)) ** 2)
    return 1 - clear


def reflected_light(
    stack: Stack,
    anatomy: Anatomy,
    recording: Recording,
    vessels: Float[np.ndarray, "bscan ascan"],
    nerve_fibre_loss: Float[np.ndarray, "bscan ascan"],
    depth: int,
    depth_um: float,
) -> Float[np.ndarray, "bscan depth ascan"]:
    """Mean light from every voxel, each voxel holding its share of every layer it cuts.

    Args:
        stack: Where the layers are.
        anatomy: How bright they are in this eye.
        recording: How the scan was lit.
        vessels: Share of light that vessels intercept.
        nerve_fibre_loss: Share of the nerve fibre layer lost; what is left reflects less.
        depth: Number of samples.
        depth_um: Distance between them.
    """
    tissues = ("vitreous", *LAYERS, "sclera")
    bright = {name: np.full_like(vessels, REFLECTIVITY[name]) for name in tissues}
    for name, own in zip(tissues[1:], anatomy.brightness, strict=True):
        bright[name] *= own
    for name, on_disc in NERVE_HEAD.items():
        bright[name] += (on_disc - bright[name]) * stack.disc_weight
    bright["rnfl"] *= 1 - 0.3 * nerve_fibre_loss

    z = np.arange(depth, dtype=np.float32)[None, :, None]

    def below(boundary_um: Float[np.ndarray, "bscan ascan"]) -> Float[np.ndarray, "bscan depth ascan"]:
        start = (boundary_um / depth_um).astype(np.float32)[:, None, :]
        return np.clip(z + 1 - start, 0, 1)

    light = np.repeat(bright["vitreous"].astype(np.float32)[:, None, :], depth, axis=1)
    for upper, lower, boundary_um in zip(tissues, tissues[1:], stack.boundaries_um, strict=False):
        light += below(boundary_um) * (bright[lower] - bright[upper]).astype(np.float32)[:, None, :]

    retina_um, deep_um = 900.0, 230.0
    inner = (stack.boundaries_um[0] / depth_um).astype(np.float32)[:, None, :]
    outer = (stack.deep_from_um / depth_um).astype(np.float32)[:, None, :]
    faded = np.maximum(z - inner, 0) * np.float32(depth_um / retina_um)
    faded += np.maximum(z - outer, 0) * np.float32(depth_um / deep_um)
    light *= np.exp(-faded)
    light *= 1 - np.float32(0.85) * below(stack.boundaries_um[0] + 70.0) * vessels.astype(np.float32)[:, None, :]
    light *= (recording.signal * recording.shading).astype(np.float32)[:, None, :]
    return light


def grey_values(
    light: Float[np.ndarray, "bscan depth ascan"],
    recording: Recording,
    difficulty: Difficulty,
    speckle: np.random.Generator,
) -> UInt8[np.ndarray, "bscan depth ascan"]:
    """Add speckle and background, and compress to the grey values a scanner stores."""
    bscans, depth, ascans = light.shape
    looks = difficulty.speckle_looks
    # each voxel mixes four draws, shared with its neighbours; a mix averages, so the draws have fewer looks
    (own_ascan, next_ascan), (own_depth, next_depth) = SPECKLE_MIX
    shape = looks * (own_ascan**2 + next_ascan**2) * (own_depth**2 + next_depth**2)
    grain = speckle.standard_gamma(shape, (bscans, depth + 1, ascans + 1), dtype=np.float32)
    across = own_ascan * grain[:, :, 1:] + next_ascan * grain[:, :, :-1]
    mixed = own_depth * across[:, 1:] + next_depth * across[:, :-1]
    grey = (light + np.float32(difficulty.noise)) * mixed / np.float32(shape)
    np.power(grey, np.float32(recording.contrast), out=grey)
    grey *= (205.0 * recording.gain * recording.bscan_gain).astype(np.float32)[:, None, None]
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)
