"""Files in a volume, taken out one at a time. All but the port blocks."""

import asyncio
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import IO, Any

import docker
from docker.errors import APIError
from docker.utils import decode_json_header

from agents.runtimes.docker.engine import Engine
from agents.runtimes.shared import SHARED, no_file
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.artifacts import is_shared_path

_STAT_HEADER = "X-Docker-Container-Path-Stat"
# Of Go's os.FileMode, which is what engines tell.
_IS_DIRECTORY, _IS_LINK, _ANY_TYPE = 1 << 31, 1 << 27, 0x8F280000
_READ_BYTES = 128 * 1024


class _Stream(io.RawIOBase):
    """The parts of an archive, as they come, as one file."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override] # the abstract one takes any buffer
        while not self._held:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._held = memoryview(part)
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count


class VolumeFile:
    """The port `SharedFile` over a file in a container. An engine holds the container for as long as it streams from it, so all
    of the file is copied to this host's disk at the first read."""

    def __init__(self, engine: Engine, container: str, place: str, size_bytes: int, directory: Path | None) -> None:
        self._engine, self._container, self._place = engine, container, place
        self._directory = directory
        self._copy: IO[bytes] | None = None
        self.size_bytes = size_bytes

    async def read(self, limit_bytes: int) -> bytes:
        if self._copy is None:
            wanted = self._container, self._place, self.size_bytes, self._directory
            self._copy = await self._engine.call(_copied, *wanted)
        return await asyncio.to_thread(self._copy.read, limit_bytes)

    async def close(self) -> None:
        if self._copy is not None:
            self._copy.close()


def open_volume_file(
    client: docker.APIClient, engine: Engine, container: str, path: str, directory: Path | None
) -> VolumeFile | None:
    """The file at a path below the shared directory of a container, to be copied to a directory of this host; None where
    nothing is there. Raises `Invalid`."""
    if not is_shared_path(path):
        raise Invalid(f"{path[:80]!r} is no path below {SHARED}")
    place = PurePosixPath(SHARED, path)
    size_bytes = 0
    for parent in (*reversed(place.parents[:-2]), place):
        found = _stat(client, container, str(parent))
        if found is None:
            return None
        mode, size_bytes = found["mode"], found["size"]
        if mode & _IS_LINK:
            raise no_file(path, "reached by way of a link")
        if mode & _ANY_TYPE if parent == place else not mode & _IS_DIRECTORY:
            raise no_file(path, "something else")
    return VolumeFile(engine, container, str(place), size_bytes, directory)


def _copied(client: docker.APIClient, container: str, place: str, size_bytes: int, directory: Path | None) -> IO[bytes]:
    """A copy of a file that has no name, from its beginning. Raises `Transient`."""
    if directory is not None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - its reader closes it
    try:
        parts, _ = client.get_archive(container, place, chunk_size=_READ_BYTES)
        _unpack(parts, copy, size_bytes)
    except (OSError, tarfile.TarError, ValueError) as error:
        copy.close()
        raise Transient(f"{place} cannot be copied: {error}") from error
    except BaseException:
        copy.close()
        raise
    copy.seek(0)
    return copy


def _unpack(parts: Iterator[bytes], copy: IO[bytes], size_bytes: int) -> None:
    """Raises `ValueError` where the archive is not of one file of this size."""
    with tarfile.open(fileobj=io.BufferedReader(_Stream(parts), _READ_BYTES), mode="r|") as archive:
        member = archive.next()
        file = archive.extractfile(member) if member is not None and member.isreg() else None
        if file is None or member is None or member.size != size_bytes:
            raise ValueError("it is not what it was")
        shutil.copyfileobj(file, copy, _READ_BYTES)
    for _ in parts:  # to its end, so that the engine lets go of the container
        pass


def _stat(client: docker.APIClient, container: str, path: str) -> dict[str, Any] | None:
    """What is at a path, without following it if it is a link; None where nothing is. Its mode is Go's."""
    url = f"{client.base_url}/v{client.api_version}/containers/{container}/archive"
    answer = client.head(url, params={"path": path}, timeout=client.timeout)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    if not answer.ok:
        raise APIError(f"the engine answered {answer.status_code}", response=answer)
    found: dict[str, Any] = decode_json_header(answer.headers[_STAT_HEADER])
    return found
