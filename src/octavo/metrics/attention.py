"""Whether attention over slices says anything: all slices alike, or one alone, and it does not."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

COLLAPSED = 0.98
"""From here on, on a scale where 1 is all slices alike, the mean entropy counts as collapse."""

DOMINATED = 0.95
"""From here on the mean of the largest weights counts as dominance of single slices."""


def describe_attention(weights: Sequence[Float[np.ndarray, " slice"]]) -> dict[str, float | str]:
    """The mean entropy of some exams' slice weights, the mean of their largest, and a note where these say failure.

    Args:
        weights: For each exam the weights of its slices, which add up to one.

    Returns:
        `attention_entropy` (0: one slice alone, 1: all alike), `attention_peak`, and `attention_note` where the attention
        has collapsed or is dominated by single slices.

    Example:
        >>> describe_attention([np.array([0.5, 0.5]), np.array([1.0, 0.0])])
        {'attention_entropy': 0.5, 'attention_peak': 0.75}
        >>> describe_attention([np.full(4, 0.25)])["attention_note"]
        'attention has collapsed: slices are weighed alike (entropy 1.000 of 1), so their weights say nothing'
    """
    entropies = [_entropy(np.asarray(one, dtype=np.float64)) for one in weights]
    entropy = float(np.mean(entropies))
    peak = float(np.mean([one.max() for one in weights]))
    told: dict[str, float | str] = {"attention_entropy": entropy, "attention_peak": peak}
    if entropy >= COLLAPSED:
        told["attention_note"] = (
            f"attention has collapsed: slices are weighed alike (entropy {entropy:.3f} of 1), so their weights say nothing"
        )
    elif peak >= DOMINATED:
        told["attention_note"] = (
            f"attention rests on single slices (largest weight {peak:.3f} of 1 on average), and passes over the others"
        )
    return told


def _entropy(weights: Float[np.ndarray, " slice"]) -> float:
    if weights.size < 2:
        return 0.0
    there = weights[weights > 0]
    return float(-(there * np.log(there)).sum() / np.log(weights.size))
