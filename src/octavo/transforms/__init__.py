"""Volume to volume, pure: resampling, cropping, intensity. The scan that goes in is never changed."""

from octavo.transforms.crop import crop
from octavo.transforms.intensity import count_levels, percentile_range, to_levels, to_unit_range
from octavo.transforms.resample import Window, linear_weights, resample, resample_values, resampled_spacing

__all__ = [
    "Window",
    "count_levels",
    "crop",
    "linear_weights",
    "percentile_range",
    "resample",
    "resample_values",
    "resampled_spacing",
    "to_levels",
    "to_unit_range",
]
