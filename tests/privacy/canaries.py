"""Words that stand nowhere else, planted where files name people, and the search for them in whatever a program made."""

import gzip
import io
import re
import struct
import zipfile
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from pathlib import Path

CORE = "Zq7CANARY"
"""How every planted word begins."""

DATE = "19030417"
"""A birth date or a day of visit that no scan of today has."""

NUMBER = 471190304
"""What is planted where a number stands for a patient or a visit."""

REAL = 1203.417190304
"""What is planted where a date is stored as a fraction of days."""

UID = "1.2.826.0.1.3680043.9.7741.903"
"""How planted identifiers of DICOM begin."""

_planted: dict[str, str] = {}


def canary(field: str) -> str:
    """The word of a field, the same at every call: twelve letters, so that it fits into short fields."""
    return _planted.setdefault(field, f"{CORE}{len(_planted):03d}")


def name_of(what: str) -> str:
    """A name as DICOM writes it, both parts planted."""
    return f"{canary(f'{what} family name')}^{canary(f'{what} given name')}"


def padded(text: str, length: int) -> bytes:
    """A text in a field of so many bytes."""
    content = text.encode()
    assert len(content) <= length
    return content.ljust(length, b"\0")


def overwritten(content: bytes, at: int, new: bytes) -> bytes:
    """Some bytes with others in their place."""
    return content[:at] + new + content[at + len(new) :]


def written(folder: Path, name: str, content: bytes) -> Path:
    """A file of these bytes."""
    (folder / name).write_bytes(content)
    return folder / name


def planted_fields() -> dict[str, str]:
    """Every field that has a word, and the word."""
    return dict(_planted)


def _field_of(found: bytes) -> str:
    """Which field the word was planted in that begins here, plain or in several bytes a letter."""
    word = _PLAIN.match(found.replace(b"\0", b""))
    fields = [field for field, planted in _planted.items() if word and planted.lower() == word[0].decode().lower()]
    return fields[0] if fields else "in another form"


def _base64_cores(plain: bytes) -> Iterator[bytes]:
    """The letters that stand for a word in base 64, wherever in a text it begins."""
    for shift in range(3):
        coded = b64encode(bytes(shift) + plain + b"\0\0")
        yield coded[-(-shift * 8 // 6) : (shift + len(plain)) * 8 // 6]


def _any_case(word: str) -> set[bytes]:
    """What a word may look like in bytes, in lower case: plain, reversed, two or four bytes a letter, hexadecimal."""
    plain = word.lower().encode()
    forms = {plain, plain[::-1], word.encode().hex().encode(), word.lower().encode().hex().encode()}
    forms |= {word.upper().encode().hex().encode(), word.lower().encode("utf-16-le"), word.lower().encode("utf-16-be")}
    # four bytes a letter, as NumPy stores text
    return forms | {word.lower().encode("utf-32-le"), plain[::-1].decode().encode("utf-16-le")}


def _exact_case(word: str) -> set[bytes]:
    """What it may look like in base 64, where capitals count."""
    spelled = {word, word.upper(), word.lower()}
    coded = {core for one in spelled for core in _base64_cores(one.encode())}
    return coded | set(_base64_cores(word.encode("utf-16-le")))


def _dates() -> list[str]:
    year, month, day = DATE[:4], DATE[4:6], DATE[6:]
    return [DATE, f"{year}-{month}-{day}", f"{day}.{month}.{year}", f"{month}/{day}/{year}", f"{year}/{month}/{day}"]


_WORDS = [CORE, UID, str(NUMBER), f"{REAL:.5f}"[:-1], *_dates()]
_BINARY = [struct.pack(kind, NUMBER) for kind in ("<I", ">I")] + [struct.pack(kind, REAL) for kind in ("<d", ">d")]
_FOLDED = sorted({form for word in _WORDS for form in _any_case(word)})
_EXACT = sorted({*_BINARY, *(form for word in _WORDS for form in _exact_case(word))})
_PLAIN = re.compile(rf"(?i){CORE}[0-9]{{3}}".encode())
_IN_PAGE = re.compile(rb"base64,([A-Za-z0-9+/]+={0,2})")
_DEEPEST = 6


def find_in_text(text: str, where: str) -> list[str]:
    """What of the planted stands in a text."""
    return find_in_bytes(text.encode("utf-8", errors="surrogateescape"), where)


def find_in_bytes(content: bytes, where: str) -> list[str]:
    """What of the planted stands in some bytes, or in what is packed inside them: one line for each place."""
    found = []
    for place, part in _unpacked(content, where, 0):
        lowered = part.lower()
        for text, forms in ((lowered, _FOLDED), (part, _EXACT)):
            for at, length in _places(text, forms):
                around = part[max(at - 60, 0) : at + length + 20]
                found.append(f"{place}: {_field_of(part[at : at + length + 20])}: {around!r}")
    return found


def _places(text: bytes, forms: Iterable[bytes]) -> Iterator[tuple[int, int]]:
    """Where any of the forms stands, and how long it is."""
    for form in forms:
        at = text.find(form)
        while at >= 0:
            yield at, len(form)
            at = text.find(form, at + 1)


def find_below(folder: Path) -> list[str]:
    """What of the planted stands in any file below a folder, or in the names of files and folders."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        found += find_in_text(name, "a name")
        if path.is_file():
            found += find_in_bytes(path.read_bytes(), name)
    return found


def find_in_files(paths: Iterable[Path]) -> list[str]:
    """What of the planted stands in some files."""
    return [line for path in paths for line in find_in_bytes(path.read_bytes(), path.name)]


def _unpacked(content: bytes, where: str, depth: int) -> Iterator[tuple[str, bytes]]:
    """Some bytes, and everything that is packed inside them."""
    yield where, content
    if depth > _DEEPEST:
        return
    if content.startswith(b"\x1f\x8b"):
        yield from _unpacked(gzip.decompress(content), f"{where} unpacked", depth + 1)
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                yield from _unpacked(archive.read(member), f"{where}:{member.filename}", depth + 1)
    if content.startswith(b"\x89PNG"):
        yield f"{where}: texts", b"\n".join(_png_texts(content))
    for number, page in enumerate(_IN_PAGE.finditer(content)):
        yield from _unpacked(b64decode(page[1] + b"=" * (-len(page[1]) % 4)), f"{where} data {number}", depth + 1)


def _png_texts(content: bytes) -> Iterator[bytes]:
    """What stands packed beside the pixels of a PNG."""
    position = 8
    while position + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, position)
        data = content[position + 8 : position + 8 + length]
        if kind in {b"zTXt", b"iTXt", b"iCCP"}:
            for start in [place for place in range(len(data)) if data[place : place + 1] == b"x"]:
                try:
                    yield zlib.decompressobj().decompress(data[start:])
                except zlib.error:
                    continue
        position += 12 + length
