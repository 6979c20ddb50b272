"""How Heidelberg's reflectivity becomes the grey values that people know from the vendor's own pictures."""

import numpy as np
from jaxtyping import Float, Float32, UInt16

_NO_CODE = 0xFFFF


def grey_of_reflectivity(reflectivity: Float[np.ndarray, "*shape"]) -> Float32[np.ndarray, "*shape"]:
    """Cut reflectivity to 0..1, take its fourth root, multiply by 255.

    The root brings the vitreous, a ten-thousandth as bright as the nerve fibre layer, to a tenth of its grey.

    Example:
        >>> grey_of_reflectivity(np.array([-0.5, 0.0001, 1.0, 7.0])).round(2).tolist()
        [0.0, 25.5, 255.0, 255.0]
    """
    cut = np.clip(reflectivity, 0, 1).astype(np.float32)
    return np.sqrt(np.sqrt(cut)) * np.float32(255)


def reflectivity_of_codes(codes: UInt16[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Decode the 16-bit floating-point numbers of `.E2E` files.

    They have no sign: six bits of exponent with a bias of 63 above ten bits of mantissa. An exponent of zero has no
    leading one, so that code 0 is 0.

    Example:
        >>> reflectivity_of_codes(np.array([0, 63 << 10, 62 << 10, (62 << 10) + 512], np.uint16)).tolist()
        [0.0, 1.0, 0.5, 0.75]
    """
    exponent = (codes >> 10).astype(np.int32)
    mantissa = (codes & 0x3FF) / 1024
    return np.ldexp(np.where(exponent == 0, mantissa, 1 + mantissa), np.maximum(exponent, 1) - 63)


def is_no_data(codes: UInt16[np.ndarray, "*shape"]) -> np.ndarray:
    """Which codes of an `.E2E` file stand for samples that were not measured."""
    return codes == _NO_CODE
