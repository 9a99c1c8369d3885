"""What is put into and read from a shared volume: tar archives, as the engine speaks them. Pure."""

import io
import tarfile
from collections.abc import Iterable

from agents.runtimes.shared import RESULT_FILE, RESULT_LIMIT_BYTES, SHARED
from datamodel.errors import Invalid, Transient

_OVERHEAD_BYTES = 64 * 1024  # headers and padding, generously


def open_to_all() -> bytes:
    """`SHARED` itself, unpacked there, as a directory that whoever a step runs as may write to, but remove only what is theirs.

    A container's root may be read-only and takes no archive then, while the volume does. An engine skips an entry for the
    directory that it unpacks in, unless that goes by way of its parent.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        directory = tarfile.TarInfo(f"..{SHARED}")
        directory.type = tarfile.DIRTYPE
        directory.mode = 0o1777
        archive.addfile(directory)
    return buffer.getvalue()


def result_in(chunks: Iterable[bytes]) -> bytes | None:
    """The result's content; None where it is no regular file. Raises `Invalid` above `RESULT_LIMIT_BYTES`, `Transient` where
    the archive is broken or cut short."""
    buffer = io.BytesIO()
    for chunk in chunks:
        buffer.write(chunk)
        if buffer.tell() > RESULT_LIMIT_BYTES + _OVERHEAD_BYTES:
            raise _too_large()
    try:
        return _content(buffer.getvalue())
    except (tarfile.TarError, ValueError) as error:
        raise Transient(f"the engine's archive of the result: {error}") from error


def _content(archived: bytes) -> bytes | None:
    with tarfile.open(fileobj=io.BytesIO(archived), mode="r:") as archive:
        member = archive.next()
        if member is None or not member.isreg():
            return None
        if member.size > RESULT_LIMIT_BYTES:
            raise _too_large()
        file = archive.extractfile(member)
        return None if file is None else file.read()


def _too_large() -> Invalid:
    return Invalid(f"{SHARED}/{RESULT_FILE} is larger than {RESULT_LIMIT_BYTES} bytes")
