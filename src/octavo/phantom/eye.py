"""A synthetic eye whose truth is known."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Shaped

from octavo.errors import OctavoError, unknown_name
from octavo.phantom.difficulty import Difficulty, find_difficulty
from octavo.phantom.fibres import fibre_course
from octavo.phantom.imaging import draw_recording, grey_values, reflected_light, vessel_cover, window_um
from octavo.phantom.layers import (
    LAYERS,
    OUTER_LAYERS,
    Bundle,
    draw_damage,
    inner_thickness_um,
    lost_um,
    outer_thickness_um,
)
from octavo.phantom.person import SCAN_MM, draw_anatomy
from octavo.phantom.streams import stream
from octavo.phantom.surfaces import CUP_RATIO_LIMITS, Stack, shift_into_window, stack_layers
from octavo.volume import Laterality, Origin, Region, ScanPattern, SlowAxis, Source, Spacing, Volume

VERSION = 1
"""Grows whenever the same arguments make other voxels."""

DEVICE = "octavo phantom"
"""What `Volume.source.device` says, so that a model that learnt from phantoms can tell."""

THINNED_UM = 10.0
"""Tissue counts as thinned where a layer lost at least this much."""

SMALLEST_SHAPE = (8, 32, 16)
"""Coarser scans hold no layers worth the name."""


@dataclass(frozen=True, eq=False)
class PhantomEye:
    """A scan and everything that is true about it. All maps and masks lie on the volume's own grid, as stored.

    Args:
        volume: The scan, as a scanner would store it, with its geometry.
        thinned: The voxels of the nerve fibre layer and of the ganglion cell with inner plexiform layer, and those
            where they would have been, wherever that layer lost at least `THINNED_UM`. The enlarged cup is not in it.
        severity: 0 in a healthy eye, 1 in the gravest disease.
        bundles: Which arcuate bundles are damaged.
        cup_ratio: Vertical cup-to-disc ratio.
        surfaces: Depth index of the vitreous surface (`ilm`) and of the outer boundary of each of `LAYERS`; a voxel's
            index is that of its middle, so a surface at 9.5 lies between voxels 9 and 10.
        lost_um: Micrometres lost of `rnfl` and `gcl_ipl`.
        disc: The optic disc with its edge, where layers have no thickness of their own.
        fovea: B-scan and A-scan index of the fovea.
        disc_centre: B-scan and A-scan index of the disc's centre.
    """

    volume: Volume
    thinned: Bool[np.ndarray, "bscan depth ascan"]
    severity: float
    bundles: tuple[Bundle, ...]
    cup_ratio: float
    surfaces: Mapping[str, Float[np.ndarray, "bscan ascan"]]
    lost_um: Mapping[str, Float[np.ndarray, "bscan ascan"]]
    disc: Bool[np.ndarray, "bscan ascan"]
    fovea: tuple[float, float]
    disc_centre: tuple[float, float]

    @property
    def glaucoma(self) -> bool:
        """Whether this eye is diseased."""
        return self.severity > 0

    def thickness_um(self, layer: str) -> Float[np.ndarray, "bscan ascan"]:
        """Thickness of one of `LAYERS`; on the disc, where layers end, it is unknown (NaN).

        Raises:
            OctavoError: If there is no such layer.

        Example:
            >>> eye = make_eye(7)
            >>> bool(180 < sum(np.nanmin(eye.thickness_um(layer)) for layer in LAYERS[:-1]) < 300)
            True
        """
        if layer not in LAYERS:
            raise OctavoError(unknown_name("a layer of the phantom", layer, LAYERS))
        inner = ("ilm", *LAYERS)[LAYERS.index(layer)]
        depth_um = 1000.0 * self.volume.spacing_mm.known_mm()[1]
        return np.where(self.disc, np.nan, (self.surfaces[layer] - self.surfaces[inner]) * depth_um)


def make_eye(
    patient_seed: int,
    laterality: Laterality = Laterality.OD,
    *,
    severity: float = 0.0,
    bundles: Collection[Bundle | str] = (),
    difficulty: str | Difficulty = "standard",
    shape: tuple[int, int, int] = (32, 64, 48),
    slow_axis: SlowAxis = SlowAxis.SUPERIOR_TO_INFERIOR,
) -> PhantomEye:
    """Make one eye: a wide scan of 12 by 9 millimetres with the fovea temporal and the disc nasal.

    Same arguments, same voxels. Disease changes nothing but what it takes: with another severity the same seed is the
    same eye, in the same recording, with the same speckle.

    Args:
        patient_seed: The patient. Both eyes of a patient are alike, not equal.
        laterality: Which eye; a left eye is stored nasal first, as scanners do.
        severity: 0 for a healthy eye, up to 1; about 0.3 is early, 0.6 moderate, 0.9 advanced.
        bundles: The damaged arcuate bundles; at least one where severity is above 0, none otherwise.
        difficulty: Name of a setting, or one of your own. Its severities and shares matter to cohorts only.
        shape: Samples along `bscan depth ascan`. The scan covers 9 by 12 millimetres whatever the shape, and a depth of
            20 micrometres a sample between 1.28 and 2 millimetres.
        slow_axis: Whether the first B-scan is the superior or the inferior one.

    Raises:
        OctavoError: If an argument is out of range, or severity and bundles contradict each other.

    Example:
        >>> eye = make_eye(7, Laterality.OS, severity=0.8, bundles=["inferior"])
        >>> eye.volume.shape, eye.glaucoma, bool(eye.thinned.any())
        ((32, 64, 48), True, True)
    """
    setting = find_difficulty(difficulty)
    hit = _check(patient_seed, laterality, severity, bundles, shape, slow_axis)
    bscans, depth, ascans = shape
    y_mm, x_mm = _centres_mm(bscans, SCAN_MM[0]), _centres_mm(ascans, SCAN_MM[1])
    name, depth_um = laterality.value, window_um(depth) / depth
    anatomy = draw_anatomy(patient_seed, name, setting, len(OUTER_LAYERS), len(LAYERS) + 1)
    recording = draw_recording(patient_seed, name, setting, x_mm, y_mm)
    course = fibre_course(x_mm, y_mm, anatomy.disc_mm, anatomy.fovea_mm)
    inner = inner_thickness_um(anatomy, course, x_mm, y_mm)
    lost = lost_um(inner, course, draw_damage(patient_seed, name, severity, hit))
    outer = outer_thickness_um(anatomy, x_mm, y_mm)
    cup_ratio = float(np.clip(anatomy.cup_ratio + setting.cup_growth * severity, *CUP_RATIO_LIMITS))
    healthy = stack_layers(anatomy, inner | outer, x_mm, y_mm, cup_ratio)
    left = {layer: inner[layer] - lost[layer] for layer in inner}
    # the healthy eye sets the place in depth, so that disease does not move the scan
    shift_um = shift_into_window(
        healthy, recording.middle_share * window_um(depth), recording.offset_um, window_um(depth)
    )
    healthy = healthy.moved(shift_um + recording.offset_um)
    stack = stack_layers(anatomy, left | outer, x_mm, y_mm, cup_ratio).moved(shift_um + recording.offset_um)
    vessels = vessel_cover(anatomy, course, max(SCAN_MM[0] / bscans, SCAN_MM[1] / ascans))
    light = reflected_light(stack, anatomy, recording, vessels, lost["rnfl"] / inner["rnfl"], depth, depth_um)
    values = grey_values(light, recording, setting, stream(patient_seed, "speckle", name))
    thinned = _thinned_voxels(healthy, stack, lost, depth, depth_um)

    def stored(array: Shaped[np.ndarray, "bscan *rest"]) -> Shaped[np.ndarray, "bscan *rest"]:
        return _as_stored(array, laterality, slow_axis)

    return PhantomEye(
        volume=_as_volume(stored(values), laterality, slow_axis),
        thinned=stored(thinned),
        severity=float(severity),
        bundles=hit,
        cup_ratio=cup_ratio,
        surfaces={
            surface: stored(boundary / depth_um - 0.5)
            for surface, boundary in zip(("ilm", *LAYERS), stack.boundaries_um, strict=True)
        },
        lost_um={layer: stored(loss) for layer, loss in lost.items()},
        disc=stored(stack.disc),
        fovea=_as_index(anatomy.fovea_mm, shape, laterality, slow_axis),
        disc_centre=_as_index(anatomy.disc_mm, shape, laterality, slow_axis),
    )


def _check(
    patient_seed: int,
    laterality: Laterality,
    severity: float,
    bundles: Collection[Bundle | str],
    shape: tuple[int, int, int],
    slow_axis: SlowAxis,
) -> tuple[Bundle, ...]:
    if patient_seed < 0:
        raise OctavoError(f"patient_seed is {patient_seed}; wanted a whole number from 0")
    if laterality is Laterality.UNKNOWN:
        raise OctavoError("a phantom is a right or a left eye; got laterality unknown, wanted OD or OS")
    if slow_axis not in {SlowAxis.SUPERIOR_TO_INFERIOR, SlowAxis.INFERIOR_TO_SUPERIOR}:
        raise OctavoError(
            f"slow_axis is {slow_axis}; phantoms have horizontal B-scans, "
            "wanted superior-to-inferior or inferior-to-superior"
        )
    check_shape(shape)
    known = [bundle.value for bundle in Bundle]
    for bundle in bundles:
        if bundle not in known:
            raise OctavoError(unknown_name("a nerve fibre bundle", bundle, known))
    if not 0 <= severity <= 1:
        raise OctavoError(f"severity is {severity}; wanted 0 (healthy) to 1")
    if (severity > 0) != bool(bundles):
        cure = "name a bundle (superior, inferior)" if severity > 0 else "give a severity above 0, or no bundle"
        raise OctavoError(f"severity is {severity} and {len(bundles)} bundles are damaged; {cure}")
    return tuple(bundle for bundle in Bundle if bundle in set(bundles))


def check_shape(shape: tuple[int, int, int]) -> None:
    """Refuse a shape that could not hold an eye.

    Raises:
        OctavoError: If an axis is shorter than in `SMALLEST_SHAPE`.
    """
    if len(shape) != len(SMALLEST_SHAPE) or any(n < least for n, least in zip(shape, SMALLEST_SHAPE, strict=True)):
        wanted = " x ".join(map(str, SMALLEST_SHAPE))
        raise OctavoError(f"shape is {' x '.join(map(str, shape))}; wanted bscan x depth x ascan of at least {wanted}")


def _centres_mm(count: int, size_mm: float) -> Float[np.ndarray, " position"]:
    return (np.arange(count) + 0.5) / count * size_mm


def _thinned_voxels(
    healthy: Stack, stack: Stack, lost: Mapping[str, Float[np.ndarray, "bscan ascan"]], depth: int, depth_um: float
) -> Bool[np.ndarray, "bscan depth ascan"]:
    # the outer boundary of the ganglion cells is where it was; everything inside it sank towards it
    middle_um = ((np.arange(depth) + 0.5) * depth_um)[None, :, None]
    thinned = np.zeros((stack.disc.shape[0], depth, stack.disc.shape[1]), bool)
    for index, layer in enumerate(("rnfl", "gcl_ipl")):
        top = healthy.boundaries_um[index][:, None, :]
        bottom = stack.boundaries_um[index + 1][:, None, :]
        gone = (lost[layer] >= THINNED_UM) & ~stack.disc
        thinned |= gone[:, None, :] & (middle_um >= top) & (middle_um < bottom)
    return thinned


def _as_stored(
    array: Shaped[np.ndarray, "bscan *rest"], laterality: Laterality, slow_axis: SlowAxis
) -> Shaped[np.ndarray, "bscan *rest"]:
    if laterality is Laterality.OS:
        array = array[..., ::-1]
    if slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR:
        array = array[::-1]
    return np.ascontiguousarray(array)


def _as_index(
    place_mm: tuple[float, float], shape: tuple[int, int, int], laterality: Laterality, slow_axis: SlowAxis
) -> tuple[float, float]:
    bscan = place_mm[1] / SCAN_MM[0] * shape[0] - 0.5
    ascan = place_mm[0] / SCAN_MM[1] * shape[2] - 0.5
    if slow_axis is SlowAxis.INFERIOR_TO_SUPERIOR:
        bscan = shape[0] - 1 - bscan
    if laterality is Laterality.OS:
        ascan = shape[2] - 1 - ascan
    return (bscan, ascan)


def _as_volume(values: Shaped[np.ndarray, "bscan depth ascan"], laterality: Laterality, slow_axis: SlowAxis) -> Volume:
    bscans, depth, ascans = values.shape
    return Volume(
        values,
        Spacing(SCAN_MM[0] / bscans, window_um(depth) / depth / 1000.0, SCAN_MM[1] / ascans),
        laterality=laterality,
        laterality_origin=Origin.READ,
        pattern=ScanPattern.RASTER,
        pattern_origin=Origin.READ,
        slow_axis=slow_axis,
        slow_axis_origin=Origin.READ,
        region=Region.MACULA_AND_DISC,
        region_origin=Origin.READ,
        source=Source(format="phantom", device=DEVICE),
    )
