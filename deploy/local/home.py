"""The directory that holds everything of one machine-local Tendril."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datamodel.errors import Conflict, Forbidden, Invalid


@contextmanager
def locked_home(path: Path) -> Iterator[Path]:
    """The directory at `path` as an absolute one, made private where absent, and ours alone for as long as this lasts.

    The lock ends with this process, however that ends. Raises `Conflict` where another process has it, `Forbidden`
    where the directory belongs to another user, since neither Postgres nor the programs could work in it, and `Invalid`
    where there cannot be one.
    """
    home = path.absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Invalid(f"TENDRIL_HOME: {home} cannot be made: {error.strerror}", field="TENDRIL_HOME") from error
    if home.stat().st_uid != os.geteuid():
        raise Forbidden(f"{home} belongs to another user: run as that user, or set TENDRIL_HOME to another directory")
    with (home / "lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise Conflict(f"tendril is already up in {home}: process {lock.read().strip() or 'unknown'}") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield home
