"""The colours: heat on grey tissue, and a set for curves that colour-blind readers can tell apart."""

from functools import cache

import numpy as np
from jaxtyping import Float, UInt8

HEAT_OPACITY = 0.7
"""How much of the tissue the hottest heat covers; what is under it must stay readable."""

OUTLINE = (64, 224, 255)
"""The line around a mask: a blue that the heat ramp does not pass through."""

SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Colours of curves, after Okabe and Ito; line styles and markers differ as well."""


def _oklch_to_srgb(
    lightness: Float[np.ndarray, " shade"], chroma: Float[np.ndarray, " shade"], hue_deg: Float[np.ndarray, " shade"]
) -> Float[np.ndarray, "shade 3"]:
    """Turn lightness, chroma and hue of the OKLab space into sRGB between 0 and 1, clipped to what screens show."""
    a, b = chroma * np.cos(np.radians(hue_deg)), chroma * np.sin(np.radians(hue_deg))
    to_cones = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.291485548]]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.707614701],
        ]
    )
    linear = np.clip((np.stack([lightness, a, b], axis=1) @ to_cones.T) ** 3 @ to_linear.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@cache
def heat_ramp() -> UInt8[np.ndarray, "256 3"]:
    """The colours of heat from 0 to 1, as red, green and blue bytes.

    Violet, red, orange, yellow: lightness rises in a straight line, so the order of two colours is seen without telling
    hues apart, and in a grey print.

    Example:
        >>> ramp = heat_ramp()
        >>> ramp[0].tolist(), ramp[128].tolist(), ramp[255].tolist()
        ([62, 30, 101], [224, 70, 79], [248, 229, 50])
    """
    heat = np.linspace(0, 1, 256)
    chroma = np.interp(heat, [0, 0.3, 0.6, 1], [0.12, 0.19, 0.19, 0.18])
    ramp = np.rint(255 * _oklch_to_srgb(0.32 + 0.59 * heat, chroma, 300 + 163 * heat)).astype(np.uint8)
    ramp.flags.writeable = False
    return ramp


def blend_heat(
    grey: UInt8[np.ndarray, "row column"], heat: Float[np.ndarray, "row column"], opacity: float = HEAT_OPACITY
) -> UInt8[np.ndarray, "row column 3"]:
    """Lay heat from 0 to 1 over grey tissue, covering it in proportion to the heat.

    Without heat the grey stays exactly as it is.

    Args:
        grey: The tissue.
        heat: From 0, no colour, to 1, the brightest colour.
        opacity: How much of the tissue heat 1 covers.

    Example:
        >>> blend_heat(np.array([[90]], dtype=np.uint8), np.array([[0.0]])).tolist()
        [[[90, 90, 90]]]
    """
    tissue = grey[..., None].astype(np.float32)
    colour = heat_ramp()[np.rint(heat * 255).astype(np.intp)].astype(np.float32)
    covered = (opacity * heat)[..., None].astype(np.float32)
    return np.rint(tissue + covered * (colour - tissue)).astype(np.uint8)
