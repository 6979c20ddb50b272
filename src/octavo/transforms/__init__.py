"""Volume to volume, pure: resampling, cropping, intensity. The scan that goes in is never changed."""

from octavo.transforms.crop import crop
from octavo.transforms.intensity import percentile_range, to_unit_range
from octavo.transforms.resample import Window, linear_weights, resample, resample_values

__all__ = ["Window", "crop", "linear_weights", "percentile_range", "resample", "resample_values", "to_unit_range"]
