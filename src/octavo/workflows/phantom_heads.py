"""Write a cohort of head-like volumes with a change in a few slices: NIfTI scans, their truth, and the manifest."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from octavo.cohorts.manifest import write_manifest
from octavo.errors import OctavoError
from octavo.files import atomic_writer, sweep_half_written
from octavo.formats import write_volume
from octavo.phantom.head import make_head
from octavo.phantom.streams import stream

RECIPE = "phantom-heads.json"
CHANGED, HALF_CHANGED, UNCHANGED = "AD", "MCI", "NL"
"""The labels, named as in tables of ADNI so that the same commands serve; no disease is meant."""


@dataclass(frozen=True)
class WrittenHeads:
    """A cohort of heads on disk."""

    manifest: Path
    heads: int
    changed: int
    half_changed: int = 0
    """How many of them half as strongly."""

    def describe(self) -> str:
        """The same for people."""
        said = f"{self.manifest}: {self.heads} heads, {self.changed} of them changed in a few axial slices"
        if not self.half_changed:
            return f"{said} (label {CHANGED})"
        return (
            f"{said}: {self.changed - self.half_changed} (label {CHANGED}), and {self.half_changed} half as strongly "
            f"(label {HALF_CHANGED})"
        )


def write_heads(
    out: Path,
    *,
    heads: int,
    seed: int,
    shape: tuple[int, int, int] = (48, 56, 48),
    prevalence: float = 0.5,
    strength: float = 0.6,
    stages: bool = False,
) -> WrittenHeads:
    """Write `scans/HEAD.nii.gz`, `truth/HEAD.mask.npz` with the mask `changed`, and `manifest.csv`.

    A call that was interrupted is finished by the same call.

    Args:
        out: A new or empty folder, or one that the same call began.
        heads: How many; each is a patient.
        seed: Names the cohort.
        shape: Samples along the three axes.
        prevalence: Share of changed heads.
        strength: How much darker the changed patch is, 0 to 1.
        stages: Half of the changed heads are changed half as strongly, which makes three classes.

    Raises:
        OctavoError: If a number is out of range, or the folder holds something else.
    """
    from octavo.workflows.phantom import claim_phantoms

    if heads < 2 or not 0 < prevalence < 1:
        raise OctavoError(
            f"{heads} heads with a share of {prevalence:g} changed; wanted at least 2 and a share between 0 and 1"
        )
    make_head(
        seed, is_changed=True, shape=shape, strength=strength
    )  # refuses senseless numbers before anything is written
    recipe: dict[str, object] = {
        "octavo_phantom_heads": 1,
        "heads": heads,
        "seed": seed,
        "shape": list(shape),
        "prevalence": prevalence,
        "strength": strength,
        **({"stages": True} if stages else {}),
    }
    claim_phantoms(out, recipe, RECIPE)
    sweep_half_written(out)
    count = min(max(1, round(heads * prevalence)), heads - 1)
    chosen = stream(seed, "which heads").permutation(heads)[:count].tolist()
    half_changed = count // 2 if stages else 0
    label_of = dict.fromkeys(chosen, CHANGED) | dict.fromkeys(chosen[:half_changed], HALF_CHANGED)
    rows = []
    for number in range(heads):
        name = f"h{number + 1:05d}"
        scan, truth = f"scans/{name}.nii.gz", f"truth/{name}.mask.npz"
        if not ((out / scan).exists() and (out / truth).exists()):
            own = strength / 2 if label_of.get(number) == HALF_CHANGED else strength
            head = make_head(seed * 100_003 + number, number in label_of, shape, own)
            with atomic_writer(out / truth) as file:
                np.savez_compressed(file, changed=head.changed)
            write_volume(head.volume, out / scan, overwrite=True)
        label = label_of.get(number, UNCHANGED)
        rows.append(
            {"exam_id": name, "patient_id": name, "path": scan, "laterality": "unknown", "label": label, "mask": truth}
        )
    manifest = out / "manifest.csv"
    if not manifest.exists():
        write_manifest(rows, manifest)
    return WrittenHeads(manifest, heads, count, half_changed)
