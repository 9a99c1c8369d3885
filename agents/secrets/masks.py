"""Which bytes stand for a value: itself, and the spellings in which programs are likely to show it. Pure."""

import base64
import json
from collections.abc import Iterable, Iterator
from urllib.parse import quote

LEAST_BYTES = 4
"""Shorter values are not taken out: they are in every other line by chance."""
LEAST_LINE_BYTES = 8
"""Of one line of a value that has several."""
PIECE_BYTES = 256
"""Longer lines are taken out piece by piece, so that nothing waits for long, and what is left of one that was cut is short."""
WRAPPED_BYTES = (76, 64)
"""The lengths of base64's lines in common use."""


def patterns(values: Iterable[str]) -> tuple[bytes, ...]:
    """Of all values, the longest first."""
    found = {pattern for value in values for part in _parts(value.encode()) for pattern in _spellings(part)}
    found |= {line for value in values for line in _wrapped(value.encode())}
    return tuple(sorted(found, key=lambda pattern: (-len(pattern), pattern)))


def _parts(value: bytes) -> Iterator[bytes]:
    """The value, or its lines and their pieces, of which each is taken out by itself."""
    if LEAST_BYTES <= len(value) <= PIECE_BYTES:
        yield value
    if len(value.strip()) >= LEAST_BYTES:
        yield from (line for line in _cut(value.strip()) if len(line) >= LEAST_BYTES)
    if b"\n" in value:
        for line in value.split(b"\n"):
            yield from (piece for piece in _cut(line.strip()) if len(piece) >= LEAST_LINE_BYTES)


def _cut(line: bytes) -> Iterator[bytes]:
    """Pieces of one size; the last one begins early enough to have it too."""
    if len(line) <= PIECE_BYTES:
        yield line
        return
    for start in range(0, len(line), PIECE_BYTES):
        yield line[min(start, len(line) - PIECE_BYTES) :][:PIECE_BYTES]


def _spellings(part: bytes) -> Iterator[bytes]:
    yield part
    yield part.hex().encode()
    yield part.hex().upper().encode()
    yield from _in_base64(part)
    for safe in ("", "/"):
        quoted = quote(part, safe=safe)
        yield quoted.encode()
        yield quoted.replace("%20", "+").encode()
        yield _lower_escapes(quoted).encode()
    text = part.decode(errors="ignore")
    for ascii_only in (True, False):
        spelled = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield spelled.encode()
        yield spelled.replace("/", "\\/").encode()


def _in_base64(part: bytes) -> Iterator[bytes]:
    """What base64 makes of it behind 0, 1 and 2 other bytes, without what depends on its neighbours."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + part)
        first = (8 * before + 5) // 6
        last = 8 * (before + len(part)) // 6
        inner = encoded[first:last]
        if len(inner) >= LEAST_BYTES:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")


def _wrapped(value: bytes) -> Iterator[bytes]:
    """The lines of the whole value in base64, as tools print it, and what a line end behind the value makes of them."""
    for text in (value, value + b"\n") if len(value) >= LEAST_BYTES else ():
        encoded = base64.b64encode(text)
        for width in WRAPPED_BYTES:
            lines = [encoded[at : at + width] for at in range(0, len(encoded), width)]
            yield from (line for line in lines if len(line) >= LEAST_LINE_BYTES)


def _lower_escapes(quoted: str) -> str:
    head, *escaped = quoted.split("%")
    return head + "".join(f"%{part[:2].lower()}{part[2:]}" for part in escaped)
