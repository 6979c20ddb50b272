"""Everything that commands say: both streams, also of other processes, logs of every level, warnings, drawn words."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from octavo.cli import main


class _Records(logging.Handler):
    def __init__(self, texts: list[str]) -> None:
        super().__init__(level=1)
        self.texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(f"{record.name}: {record.getMessage()} {record.exc_text or ''}")


@dataclass
class Hearing:
    """Runs commands in this process and keeps what they said."""

    home: Path
    said: dict[str, str] = field(default_factory=dict)
    """What each command wrote to either stream."""
    logged: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    """Words that were drawn into pictures, where no search of bytes would find them."""

    def run(self, *words: object) -> int:
        """Run one command; its exit code."""
        shown = " ".join(map(str, words))
        file = self.home / f"said-{len(self.said)}.txt"
        before = signal.getsignal(signal.SIGTERM)
        with warnings.catch_warnings(record=True) as warned, self._listening(file):
            warnings.simplefilter("always")
            try:
                code = main([str(word) for word in words])
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
        signal.signal(signal.SIGTERM, before)
        self.logged += [str(warning.message) for warning in warned]
        self.said[shown] = file.read_text(errors="surrogateescape")
        return code

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join([*self.said.values(), *self.logged, *self.drawn])

    @contextmanager
    def _listening(self, file: Path) -> Iterator[None]:
        from matplotlib.text import Text
        from PIL.ImageDraw import ImageDraw

        root, records = logging.getLogger(), _Records(self.logged)
        level = root.level
        kept = [os.dup(1), os.dup(2)]
        set_text, draw_text = Text.set_text, ImageDraw.text

        def heard_text(text: Text, words: object) -> None:
            self.drawn.append(str(words))
            set_text(text, words)

        def heard_draw(draw: ImageDraw, xy: object, words: object, *more: object, **how: object) -> None:
            self.drawn.append(str(words))
            draw_text(draw, xy, words, *more, **how)

        with file.open("w", buffering=1, errors="surrogateescape") as stream, pytest.MonkeyPatch.context() as patch:
            patch.setattr(Text, "set_text", heard_text)
            patch.setattr(ImageDraw, "text", heard_draw)
            # flushing to the disk is tested elsewhere; here it would only cost time
            patch.setattr(os, "fsync", lambda descriptor: None)
            sys.stdout.flush(), sys.stderr.flush()
            os.dup2(stream.fileno(), 1), os.dup2(stream.fileno(), 2)
            root.addHandler(records)
            root.setLevel(1)
            try:
                with redirect_stdout(stream), redirect_stderr(stream):
                    yield
            finally:
                root.removeHandler(records)
                root.setLevel(level)
                for number, one in enumerate(kept, 1):
                    os.dup2(one, number)
                    os.close(one)
