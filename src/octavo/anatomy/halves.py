"""The halves that anatomy gives a scan: superior and inferior hemiretina; macula and optic nerve head."""

import dataclasses

from octavo.anatomy.laterality import to_right_eye
from octavo.errors import ScanUnsuitableError
from octavo.volume import Region, ScanPattern, Volume


def require_raster(volume: Volume) -> None:
    """Refuse a scan that is not a block of tissue.

    Where nothing was said about the pattern, several B-scans are taken for a raster; `orientation_warnings` says so.

    Raises:
        ScanUnsuitableError: For a circle, line or radial scan, for one that is known to be no raster, or a single B-scan.
    """
    if volume.pattern is ScanPattern.OTHER:
        raise ScanUnsuitableError(
            "the B-scans of this scan are known not to lie side by side in their order (pattern other); wanted a raster of "
            "parallel B-scans; choose the volume scan of this eye, or pass --pattern raster if it is one"
        )
    if volume.pattern not in {ScanPattern.RASTER, ScanPattern.UNKNOWN}:
        raise ScanUnsuitableError(
            f"this is a {volume.pattern} scan; wanted a raster of parallel B-scans; choose the volume scan of this eye"
        )
    if volume.shape[0] < 2:
        raise ScanUnsuitableError(
            f"this scan has {volume.shape[0]} B-scan; wanted a raster of several; choose the volume scan of this eye"
        )


def require_hemiretinas(volume: Volume) -> None:
    """Refuse a scan whose B-scans do not divide into a superior and an inferior half.

    Raises:
        ScanUnsuitableError: If the scan is no raster (see `require_raster`), or a vertical one.
    """
    require_raster(volume)
    if volume.slow_axis.is_vertical:
        raise ScanUnsuitableError(
            f"this raster is vertical (its B-scans run {volume.slow_axis}), so no B-scan lies in one hemiretina; "
            "wanted a horizontal raster, or a model without hemiretinas"
        )


def require_both_ends(volume: Volume) -> None:
    """Refuse a scan that is not declared to hold both the macula and the optic nerve head.

    Raises:
        ScanUnsuitableError: If the scan is no raster or a vertical one, or the region is another one or unknown.
    """
    require_raster(volume)
    if volume.slow_axis.is_vertical:
        raise ScanUnsuitableError(
            f"this raster is vertical (its B-scans run {volume.slow_axis}), so macula and nerve do not lie along an "
            "A-scan row; wanted a horizontal raster, or a model without macula and nerve halves"
        )
    if volume.region is not Region.MACULA_AND_DISC:
        raise ScanUnsuitableError(
            f"region is {volume.region}; wanted macula-and-disc for a model that compares macula and nerve; "
            "pass --region macula-and-disc if the scan holds both"
        )


def hemiretinas(volume: Volume) -> tuple[Volume, Volume]:
    """Divide a raster into its superior and inferior half, in right-eye orientation.

    With an odd number of B-scans the middle one belongs to the inferior half.

    Raises:
        ScanUnsuitableError: If the scan has no hemiretinas (see `require_hemiretinas`).
    """
    require_hemiretinas(volume)
    oriented = to_right_eye(volume)
    middle = oriented.shape[0] // 2
    return oriented.with_values(oriented.values[:middle]), oriented.with_values(oriented.values[middle:])


def macula_and_disc(volume: Volume) -> tuple[Volume, Volume]:
    """Divide a wide scan into its macular and its nerve half, in right-eye orientation (macula first).

    Raises:
        ScanUnsuitableError: If the scan is not declared to hold both (see `require_both_ends`).
    """
    require_both_ends(volume)
    oriented = to_right_eye(volume)
    middle = oriented.shape[2] // 2
    macula = oriented.with_values(oriented.values[:, :, :middle])
    disc = oriented.with_values(oriented.values[:, :, middle:])
    return dataclasses.replace(macula, region=Region.MACULA), dataclasses.replace(disc, region=Region.DISC)
