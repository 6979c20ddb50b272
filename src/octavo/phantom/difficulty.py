"""How hard a phantom is: how visible the disease, how different people, how unlike two recordings."""

from dataclasses import dataclass

from octavo.errors import OctavoError, unknown_name


@dataclass(frozen=True, slots=True)
class Difficulty:
    """What is spread, and how widely, when phantoms are drawn.

    Every `_sd` is the standard deviation of one trait; traits are drawn within two and a half standard deviations, so
    that no eye is impossible. Labels are never wrong: a harder setting hides the disease among healthy differences and
    among differences between recordings.

    Args:
        name: What the setting is called.
        severity_low: Mildest disease drawn for a cohort, above 0.
        severity_high: Gravest disease drawn for a cohort, at most 1.
        both_bundles: Share of diseased eyes in which superior and inferior bundles are both affected.
        inner_thickness_sd: Between people, relative, of nerve fibre and ganglion cell thickness.
        outer_thickness_sd: Between people, relative, of every deeper layer.
        bundle_angle_sd_deg: Between people, where the two arcuate bundles are thickest.
        bundle_thickness_sd: Between people, relative, of either bundle on its own (so healthy eyes are asymmetric).
        striation_sd: Between people, logarithmic, of nerve fibre thickness from one fibre angle to the next: healthy
            bundles are grooved too.
        local_thickness_sd: Relative, smooth bumps and dips of the inner layers across the scan.
        cup_ratio_sd: Between people, of the vertical cup-to-disc ratio.
        cup_growth: How much the cup-to-disc ratio grows on average from severity 0 to 1.
        brightness_sd: Between people, logarithmic, of each layer's brightness.
        signal_sd: Between recordings, logarithmic, of the light that comes back.
        gain_sd: Between recordings, logarithmic, of the display gain.
        contrast_sd: Between recordings, of the exponent that compresses light into grey values.
        shading_sd: Within a recording, logarithmic, smooth darkening by media and vignetting.
        tilt_um: Rise of the retina from the middle of the scan to its edge, standard deviation.
        position_um: Where in depth the retina lies, standard deviation.
        motion_um: Axial jump of single B-scans, standard deviation.
        speckle_looks: Independent looks averaged in one voxel; one is fully developed speckle.
        noise: Background light that no tissue reflected, as a share of what nerve fibres reflect.

    Raises:
        OctavoError: If the severities are not in order between 0 and 1, or a spread is negative.
    """

    name: str
    severity_low: float
    severity_high: float
    both_bundles: float
    inner_thickness_sd: float
    outer_thickness_sd: float
    bundle_angle_sd_deg: float
    bundle_thickness_sd: float
    striation_sd: float
    local_thickness_sd: float
    cup_ratio_sd: float
    cup_growth: float
    brightness_sd: float
    signal_sd: float
    gain_sd: float
    contrast_sd: float
    shading_sd: float
    tilt_um: float
    position_um: float
    motion_um: float
    speckle_looks: float
    noise: float

    def __post_init__(self) -> None:
        if not 0 < self.severity_low <= self.severity_high <= 1:
            raise OctavoError(
                f"severities run from {self.severity_low} to {self.severity_high}; wanted 0 < low <= high <= 1"
            )
        if not 0 <= self.both_bundles <= 1:
            raise OctavoError(f"both_bundles is {self.both_bundles}; wanted a share between 0 and 1")
        negative = [name for name in self.__slots__ if name != "name" and getattr(self, name) < 0]
        if negative or self.speckle_looks == 0:
            raise OctavoError(
                f"{', '.join(negative) or 'speckle_looks'} of difficulty {self.name!r} must be positive; wanted a spread"
            )


DIFFICULTIES: dict[str, Difficulty] = {
    setting.name: setting
    for setting in (
        Difficulty(
            name="easy",
            severity_low=0.7,
            severity_high=1.0,
            both_bundles=0.5,
            inner_thickness_sd=0.07,
            outer_thickness_sd=0.04,
            bundle_angle_sd_deg=3.0,
            bundle_thickness_sd=0.05,
            striation_sd=0.03,
            local_thickness_sd=0.03,
            cup_ratio_sd=0.10,
            cup_growth=0.25,
            brightness_sd=0.05,
            signal_sd=0.15,
            gain_sd=0.05,
            contrast_sd=0.01,
            shading_sd=0.10,
            tilt_um=30.0,
            position_um=40.0,
            motion_um=3.0,
            speckle_looks=12.0,
            noise=0.003,
        ),
        Difficulty(
            name="standard",
            severity_low=0.3,
            severity_high=0.8,
            both_bundles=0.35,
            inner_thickness_sd=0.14,
            outer_thickness_sd=0.10,
            bundle_angle_sd_deg=4.0,
            bundle_thickness_sd=0.08,
            striation_sd=0.09,
            local_thickness_sd=0.065,
            cup_ratio_sd=0.14,
            cup_growth=0.20,
            brightness_sd=0.10,
            signal_sd=0.30,
            gain_sd=0.10,
            contrast_sd=0.02,
            shading_sd=0.20,
            tilt_um=60.0,
            position_um=80.0,
            motion_um=5.0,
            speckle_looks=7.0,
            noise=0.005,
        ),
        Difficulty(
            name="hard",
            severity_low=0.28,
            severity_high=0.74,
            both_bundles=0.25,
            inner_thickness_sd=0.17,
            outer_thickness_sd=0.12,
            bundle_angle_sd_deg=5.0,
            bundle_thickness_sd=0.12,
            striation_sd=0.12,
            local_thickness_sd=0.08,
            cup_ratio_sd=0.16,
            cup_growth=0.15,
            brightness_sd=0.15,
            signal_sd=0.40,
            gain_sd=0.15,
            contrast_sd=0.03,
            shading_sd=0.30,
            tilt_um=60.0,
            position_um=80.0,
            motion_um=8.0,
            speckle_looks=6.0,
            noise=0.006,
        ),
    )
}
"""The named settings."""


def find_difficulty(difficulty: str | Difficulty) -> Difficulty:
    """The setting of that name; a setting of one's own is passed through.

    Raises:
        OctavoError: If no setting has that name.

    Example:
        >>> find_difficulty("hard").severity_low
        0.28
    """
    if isinstance(difficulty, Difficulty):
        return difficulty
    if difficulty not in DIFFICULTIES:
        raise OctavoError(unknown_name("a difficulty", difficulty, DIFFICULTIES))
    return DIFFICULTIES[difficulty]
