"""Files in a directory that others have written to: opened without following what they put in the way, and put there."""

import asyncio
import errno
import os
import shutil
import stat
from collections.abc import Sequence
from io import FileIO
from pathlib import Path

from agents.runtimes.process.owner import Owner
from agents.runtimes.protocol import Input
from agents.runtimes.shared import no_file
from datamodel.errors import Invalid, Transient
from datamodel.scheduling.artifacts import INPUTS_DIRECTORY, is_shared_path

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


class DiskFile:
    """The port `SharedFile` over an open file of this host."""

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self.size_bytes = os.fstat(file.fileno()).st_size

    async def read(self, limit_bytes: int) -> bytes:
        try:
            return await asyncio.to_thread(self._file.read, limit_bytes)
        except OSError as error:
            raise Transient(f"a file cannot be read: {error}") from error

    async def close(self) -> None:
        self._file.close()


def open_shared(shared: Path, path: str) -> DiskFile | None:
    """The file at a path below a directory; None where nothing is there. No part of the path may be a link, and the file may
    have one name only: whoever wrote it may not read what a link leads to, and this process may. Raises `Invalid`."""
    if not is_shared_path(path):
        raise Invalid(f"{path[:80]!r} is no path below a shared directory")
    *parents, name = path.split("/")
    try:
        directory = os.open(shared, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        for parent in parents:
            inner = _opened(parent, _DIRECTORY, directory, path)
            if inner is None:
                return None
            os.close(directory)
            directory = inner
        found = _opened(name, _FILE, directory, path)
    finally:
        os.close(directory)
    if found is None:
        return None
    status = os.fstat(found)
    if stat.S_ISREG(status.st_mode) and status.st_nlink == 1:
        return DiskFile(FileIO(found))
    os.close(found)
    raise no_file(path, "a file with several names" if stat.S_ISREG(status.st_mode) else "something else")


def put_inputs(shared: Path, inputs: Sequence[Input], owner: Owner) -> None:
    """Copies files to their places in a shared directory that no step has seen yet, as its owner's."""
    made: list[Path] = []
    for one in inputs:
        place = shared / INPUTS_DIRECTORY / one.path
        made += [parent for parent in place.parents if parent.is_relative_to(shared / INPUTS_DIRECTORY)]
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{one.sha256}")
        shutil.copyfile(one.source, draft)
        draft.chmod(0o644)
        draft.rename(place)
        made.append(place)
    if owner is not None:
        for path in made:
            os.chown(path, *owner)


def _opened(name: str, flags: int, directory: int, path: str) -> int | None:
    try:
        return os.open(name, flags, dir_fd=directory)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise no_file(path, _hindrance(error, _mode(name, directory))) from error


def _hindrance(error: OSError, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "reached by way of a link"
    return "below something that is no directory" if error.errno == errno.ENOTDIR else f"shut ({error.strerror})"


def _mode(name: str, directory: int) -> int:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
    except OSError:
        return 0
