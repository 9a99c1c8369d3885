"""Files that steps are given as one tar archive, for an engine or a program to unpack. It is read as it is sent."""

import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from agents.runtimes.protocol import Input
from datamodel.scheduling.artifacts import INPUTS_DIRECTORY

_READ_BYTES = 128 * 1024


class Packed(NamedTuple):
    """A file of an archive: its path there, what it holds (or where on this host that is), and how much."""

    path: PurePosixPath
    content: bytes | Path
    size_bytes: int


def inputs_packed(inputs: Iterable[Input]) -> Iterator[Packed]:
    """The inputs at their places below the shared directory."""
    for one in inputs:
        yield Packed(PurePosixPath(INPUTS_DIRECTORY, one.path), Path(one.source), one.bytes)


def archive(files: Iterable[Packed], there: Iterable[PurePosixPath] = ()) -> Iterator[bytes]:
    """The archive of files that everybody may read, in order, and of the directories that they are in, unless those are `there`
    already and stay as they are."""
    made = {directory for one in there for directory in (one, *one.parents)}
    for path, content, size_bytes in files:
        for parent in reversed(path.parents[:-1]):
            if parent not in made:
                made.add(parent)
                yield _header(str(parent), tarfile.DIRTYPE, 0o755, 0)
        yield _header(str(path), tarfile.REGTYPE, 0o644, size_bytes)
        yield from _parts(content)
        yield bytes(-size_bytes % tarfile.BLOCKSIZE)
    yield bytes(2 * tarfile.BLOCKSIZE)


def _parts(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        yield from iter(lambda: file.read(_READ_BYTES), b"")


def _header(name: str, kind: bytes, mode: int, size_bytes: int) -> bytes:
    """In GNU's format: names of any length and alphabet as they are, which the small programs know too."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size = kind, mode, size_bytes
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
