"""What octavo itself may have said: a refusal without the words that came from a file or from its name."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from octavo import formats

_READERS = Path(formats.__file__).parent
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_LISTED = re.compile(r"\(#.*\)|\[.*\]")
_WORD = re.compile(r"[^\W\d_]+")
_LONG_NUMBER = re.compile(r"\d{7,}")
_DATE = re.compile(r"\b(19|20)\d\d[-./]?\d\d[-./]?\d\d\b")


def own_words(sentence: str, path: Path | str) -> str:
    """A refusal with its path replaced, and every word taken out that octavo has not of its own.

    Quotations and lists of scans go as a whole, for they repeat names. Of the rest, only words that stand in the readers'
    own sentences stay.

    Example:
        >>> own_words("/home/doe/eye.npy: holds 128 bytes of Jane; wanted a volume", "/home/doe/eye.npy")
        'FILE: holds 128 bytes of ?; wanted a volume'
    """
    for name in sorted({str(path), str(Path(path)), Path(path).name, Path(path).stem}, key=len, reverse=True):
        if name:
            sentence = sentence.replace(name, "\0")
    sentence = _LISTED.sub("(...)", _QUOTED.sub("'...'", sentence))
    # a number that long is nothing that a reader counts; "2^29 voxels" and sizes are shorter or said in other ways
    sentence = _LONG_NUMBER.sub("?", _DATE.sub("?", sentence))
    known = _vocabulary()
    sentence = _WORD.sub(
        lambda word: word.group() if len(word.group()) == 1 or word.group() in known else "?", sentence
    )
    return sentence.replace("\0", "FILE")


@cache
def _vocabulary() -> frozenset[str]:
    """Every word of the sentences in the readers' code; documentation is not among them, for it gives names as examples."""
    words = {"FILE"}
    for source in sorted(_READERS.rglob("*.py")):
        for text in _texts(ast.parse(source.read_text(encoding="utf-8"))):
            words.update(_WORD.findall(text))
    return frozenset(words)


def _texts(tree: ast.Module) -> Iterator[str]:
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value
