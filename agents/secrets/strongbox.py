"""Where the values of attempts lie at an edge: in a file system in memory, in a directory that is the agent's alone.

A restarted agent finds them there: the next step of an attempt needs them, and so does who takes them out of its log. What had
values and has none any more, after a restart of the host, is known by an empty file in the agent's own directory. Where such a
directory was removed and its agent killed, nobody would look for the values: the next agent of the same user removes them.
Everything blocks, for as long as memory does.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path

import msgspec

from datamodel.errors import Invalid

MEMORY = Path("/dev/shm")  # noqa: S108 - only to make a directory there that nobody else can enter
_KINDS = ("tmpfs", "ramfs")
_VALUES = "values"
_TRIES = 100
"""To come in while others leave."""
_HOME = ".home"
"""The suffix of a link beside each agent's directory, to the one that its attempts are known by."""

Owner = tuple[int, int] | None


class Held(msgspec.Struct, frozen=True):
    """An attempt's values, by secret and key, and whose it is."""

    site: str
    edge: str
    secrets: dict[str, dict[str, str]]

    def __repr__(self) -> str:
        return f"Held({self.site}/{self.edge})"


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Held).decode


class Strongbox:
    """One agent's. Files are shown to a container, whose users are unknown, or to a process of `owner` (None: of our own)."""

    def __init__(self, home: Path, memory: Path = MEMORY, *, owner: Owner = None, contained: bool = False) -> None:
        """`home` is the agent's directory, on any disk; `memory` must be a file system in memory."""
        self._marks = home.absolute() / "secrets"
        self._top = memory / f"tendril-{os.geteuid()}"
        self._directory = self._top / blake2b(os.fsencode(self._marks), digest_size=8).hexdigest()
        self._memory = memory
        self._owner, self._contained = owner, contained
        self._in_use: int | None = None

    def open(self) -> str:
        """Makes the directories, and clears away what nobody can find any more; why there can be none, or empty."""
        if not _is_in_memory(self._memory, Path("/proc/self/mountinfo").read_text(encoding="utf-8")):
            return f"{self._memory} is no file system in memory (tmpfs)"
        said = ""
        for _ in range(_TRIES):
            try:
                return self._entered()
            except OSError as error:
                said = f"{error.strerror} ({error.filename})"
                if not isinstance(error, (FileExistsError, FileNotFoundError)):
                    break
        return said

    def close(self) -> None:
        """Leaves nothing where nothing is kept."""
        if self._in_use is not None:
            os.close(self._in_use)
            self._in_use = None
        with contextlib.suppress(OSError), _alone_in(self._top):  # something is
            self._directory.rmdir()
            self._link(self._directory).unlink(missing_ok=True)
            self._top.rmdir()

    def attempts(self) -> list[str]:
        """Of which anything is left here."""
        places = [place for place in (self._directory, self._marks) if place.is_dir()]
        return sorted({path.name for place in places for path in place.iterdir()})

    def had(self, attempt: str) -> bool:
        return (self._marks / attempt).exists()

    def put(self, attempt: str, held: Held) -> None:
        """Keeps the values of an attempt for as long as it is here. Raises `OSError` where there is no room for them."""
        (self._marks / attempt).touch(mode=0o600)
        directory = self._directory / attempt
        directory.mkdir(mode=0o700, exist_ok=True)
        _write(directory / _VALUES, _encode(held), 0o600)

    def get(self, attempt: str) -> Held | None:
        """What was put; None where there is nothing (any more)."""
        try:
            return _decode((self._directory / attempt / _VALUES).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    def show(self, attempt: str, index: int, contents: Mapping[str, str]) -> str:
        """A directory with these files for step `index` alone. Raises `OSError`."""
        directory = self._directory / attempt
        directory.chmod(0o700 if self._contained else 0o711)
        shown = directory / f"step-{index}"
        shown.mkdir(mode=0o700, exist_ok=True)
        for name, content in contents.items():
            _write(shown / name, content.encode(), 0o444 if self._contained else 0o400)
            if self._owner is not None:
                os.chown(shown / name, *self._owner)
        if self._owner is not None:
            os.chown(shown, *self._owner)
        shown.chmod(0o755 if self._contained else 0o500)
        return str(shown)

    def remove(self, attempt: str) -> None:
        """Nothing of it is left. Raises `Invalid` for a name that leads elsewhere."""
        if attempt != Path(attempt).name:
            raise Invalid(f"{attempt[:80]!r} names no attempt")
        _remove_values(self._directory / attempt)
        with contextlib.suppress(FileNotFoundError):
            (self._marks / attempt).unlink()

    def _entered(self) -> str:
        """As `open`. Raises `OSError`; `FileExistsError` or `FileNotFoundError` where the last agent was just leaving."""
        mode = 0o700 if self._contained else 0o711
        if not _is_ours(self._top, 0o711):  # which agents of both kinds may share
            return f"{self._top} is somebody else's"
        with _alone_in(self._top):
            self._marks.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _is_ours(self._directory, mode):
                return f"{self._directory} is somebody else's"
            self._in_use = os.open(self._directory, os.O_RDONLY)
            fcntl.flock(self._in_use, fcntl.LOCK_SH)
            with contextlib.suppress(FileExistsError):
                self._link(self._directory).symlink_to(self._marks)
            self._sweep()
        return ""

    def _link(self, directory: Path) -> Path:
        return self._top / f"{directory.name}{_HOME}"

    def _sweep(self) -> None:
        """Removes values that are known by nothing on any disk: of our own attempts, and of agents that are gone with all that
        they had."""
        for left in list(self._directory.iterdir()):
            if not self.had(left.name):
                _remove_values(left)
        for link in list(self._top.glob(f"*{_HOME}")):
            directory = self._top / link.name.removesuffix(_HOME)
            with contextlib.suppress(OSError):  # who cannot see where it leads leaves it
                if not link.exists() and not _is_in_use(directory):
                    _remove_all(directory)
                    link.unlink()


def _is_ours(directory: Path, mode: int) -> bool:
    """Makes it where it is not there, and gives it a mode where it is ours."""
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return False
    directory.chmod(mode)
    return True


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """While it lasts, no other agent is here at the same place. Raises `FileNotFoundError` where the last that was has taken it
    away."""
    held = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        if os.fstat(held).st_nlink == 0:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(directory))
        yield
    finally:
        os.close(held)


def _is_in_use(directory: Path) -> bool:
    """Whether an agent that runs has it, which may see other disks than we do."""
    try:
        held = os.open(directory, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(held)
    return False


def _remove_all(directory: Path) -> None:
    if directory.is_dir():
        for left in list(directory.iterdir()):
            _remove_values(left)
        directory.rmdir()


def _remove_values(directory: Path) -> None:
    """All that an attempt has here, if anything."""
    if directory.is_dir():
        for shown in directory.iterdir():
            if shown.is_dir():
                shown.chmod(0o700)
        shutil.rmtree(directory)


def _write(path: Path, content: bytes, mode: int) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - no Path
        file.write(content)
        os.fchmod(file.fileno(), mode)
    draft.rename(path)


def _is_in_memory(path: Path, mountinfo: str) -> bool:
    """By a `/proc/self/mountinfo` (proc(5)): the file system of the deepest mount point that the path is below."""
    best = ("", "")
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount, kind = before.split(" ")[4], after.split(" ")[0]
        if path.is_relative_to(mount) and len(mount) >= len(best[0]):
            best = (mount, kind)
    return best[1] in _KINDS
