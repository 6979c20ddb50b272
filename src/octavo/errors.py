"""What octavo refuses, and how it says so: what it got, what it wanted, and the cure."""

import difflib
from collections.abc import Iterable


class OctavoError(Exception):
    """Input that is refused before anything is changed.

    The message is one line that says what was got, what was wanted and the cure. The command line prints it as it is
    and leaves with exit code 2.
    """


class ScanUnsuitableError(OctavoError):
    """A scan that was read well but cannot be used for what was asked: a circle scan given to a network of rasters."""


def unknown_name(kind: str, got: object, known: Iterable[str]) -> str:
    """Say that a name is not known, list the known ones and offer the nearest.

    Args:
        kind: What the name names, with its article, such as "an explainer".
        got: The name that was given.
        known: The names that would have been understood.

    Example:
        >>> unknown_name("an explainer", "grad_cam", ["care", "grad-cam"])
        "'grad_cam' is not an explainer; wanted one of: care, grad-cam; did you mean 'grad-cam'?"
    """
    names = list(known)
    nearest = difflib.get_close_matches(str(got), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{str(got)!r} is not {kind}; wanted one of: {', '.join(names)}{hint}"
