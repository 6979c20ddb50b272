"""What a reader refuses, and how anything that goes wrong while parsing becomes one sentence."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from octavo.errors import OctavoError

_PARSERS = ("pydicom", "PIL", "PIL.TiffImagePlugin", "PIL.Image", "openjpeg", "pylibjpeg")


class VolumeReadError(OctavoError):
    """A scan that cannot be read, or must not be: `FILE: got; wanted; cure`.

    The only exception that reading a scan raises, whatever is wrong with the file. Nothing from inside the file that
    could name a person (a header's text, a decoder's own words) enters the message.
    """


@contextmanager
def refusing(path: str, wanted: str) -> Iterator[None]:
    """Turn whatever goes wrong while parsing into one sentence that begins with the path.

    Readers say what they found in a `VolumeReadError` without the path; a parser's own exception is reported by its
    type alone, because its words may quote the header. Warnings and logs of the parsers are silenced for the same reason.

    Raises:
        VolumeReadError: For every exception that the block raises.

    Example:
        >>> with refusing("eye.npy", "a NumPy array"):
        ...     raise KeyError("Jane Doe")
        Traceback (most recent call last):
        octavo.formats.errors.VolumeReadError: eye.npy: cannot be parsed (KeyError); wanted a NumPy array; the file
        may be cut short or damaged: copy or export it again
    """
    try:
        with quiet_parsers():
            yield
    except OctavoError as refusal:
        kind = type(refusal) if isinstance(refusal, VolumeReadError) else VolumeReadError
        raise kind(_one_line(f"{path}: {refusal}")) from None
    except FileNotFoundError as error:
        raise VolumeReadError(f"{path}: there is no such file; wanted {wanted}; check the path") from error
    except PermissionError as error:
        raise VolumeReadError(f"{path}: may not be read; wanted {wanted}; check the permissions of the file") from error
    except MemoryError as error:
        raise VolumeReadError(
            f"{path}: does not fit into memory; wanted {wanted} that does; crop it or use a larger machine"
        ) from error
    except RecursionError as error:
        raise VolumeReadError(
            f"{path}: is nested deeper than any scan; wanted {wanted}; the file is damaged or hostile: export it again"
        ) from error
    except Exception as error:
        raise VolumeReadError(
            f"{path}: cannot be parsed ({_kind_of(error)}); wanted {wanted}; "
            "the file may be cut short or damaged: copy or export it again"
        ) from error


@contextmanager
def quiet_parsers() -> Iterator[None]:
    """Keep parsers from warning and from logging, for their words may quote the header."""
    logs = [logging.getLogger(name) for name in _PARSERS]
    before = [log.disabled for log in logs]
    try:
        for log in logs:
            log.disabled = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for log, was in zip(logs, before, strict=True):
            log.disabled = was


def _kind_of(error: Exception) -> str:
    """The name of an exception, with its module where the name alone says nothing."""
    kind = type(error)
    return f"{kind.__module__}.{kind.__name__}" if kind.__name__ == "error" else kind.__name__


def _one_line(text: str) -> str:
    """A message in one line, whatever the names of files and arrays in it hold."""
    return "".join(character if character.isprintable() else " " for character in text)
