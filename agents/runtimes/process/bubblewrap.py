"""A step in a sandbox of bubblewrap's (bwrap(1)): no network, the host's files only to read, nobody else's processes.

bwrap stands between the shim and the step: the shim waits for it as it does for a bare step, and so outlives the agent and
records how the step ended. bwrap ends at TERM without passing it on, so that goes to the session inside, whose leader bwrap
names in its status.
"""

import contextlib
import errno
import json
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from agents.runtimes.shared import SECRETS, SHARED

FAILED_CODE = 1
"""bwrap's exit code where it could not run the step; a step's own is bwrap's too."""

TMPFS_BYTES = 64 * 1024 * 1024
"""What a step can write to each of its private directories, in memory."""

_NAME = b"bwrap: "
_PRIVATE = ("tmp", "run", "home", "root")
_MADE = frozenset({"proc", "dev", "lost+found", SHARED.strip("/"), *_PRIVATE})


class Entry(NamedTuple):
    """Something in the host's `/`: a directory, or a link to `target`."""

    name: str
    target: str = ""


class Sandbox(NamedTuple):
    """`program` is bwrap. `hidden` are directories, as they are without links, of which a step is to see nothing."""

    program: str
    hidden: Sequence[str] = ()


def sandboxed(
    sandbox: Sandbox,
    argv: Sequence[str],
    *,
    shared: str,
    entries: Sequence[Entry],
    status: int | None = None,
    secrets: str = "",
) -> list[str]:
    """The command that runs `argv` in a sandbox that shows the directory `shared` at `/shared`, and everything else of
    the host's `/`, whose `entries` are given, only to read. `status` is a file descriptor that gets bwrap's status, `secrets` a
    directory to show at `/run/secrets`, if any.

    Private, and empty at first: `/tmp`, `/run`, `/dev/shm`, the users' homes and what is hidden. What is not told bwrap does
    itself: no capabilities, no new privileges, and everything inside dies with it.
    """
    command = [sandbox.program, "--unshare-all", "--unshare-user", "--new-session", "--die-with-parent"]
    for name, target in sorted(entries):
        if name in _MADE:
            continue
        command += ["--symlink", target, f"/{name}"] if target else ["--ro-bind", f"/{name}", f"/{name}"]
    private = [f"/{name}" for name in _PRIVATE]
    command += ["--proc", "/proc", "--dev", "/dev"]
    for path in (*private, *_beside(sandbox.hidden, private), "/dev/shm"):  # noqa: S108 - all of them the step's own
        command += ["--size", str(TMPFS_BYTES), "--tmpfs", path]
    if secrets:
        command += ["--ro-bind", secrets, SECRETS]
    command += ["--bind", shared, SHARED, "--remount-ro", "/dev", "--remount-ro", "/", "--chdir", SHARED]
    if status is not None:
        command += ["--json-status-fd", str(status)]
    return [*command, "--", *argv]


def host_entries() -> list[Entry]:
    return [
        Entry(entry.name, os.readlink(entry.path) if entry.is_symlink() else "")  # noqa: PTH115
        for entry in os.scandir("/")
        if entry.is_symlink() or entry.is_dir()
    ]


class Status(NamedTuple):
    """What bwrap has told so far. Its `child` leads the session inside; `ended` says that the step ran, and has ended."""

    child: int | None = None
    ended: bool = False


def status_of(text: bytes) -> Status:
    """Of bwrap's status as far as it was written: a JSON object a line."""
    found: dict[str, Any] = {}
    for line in text.splitlines(keepends=True):
        if line.endswith(b"\n"):
            found |= json.loads(line)
    return Status(found.get("child-pid"), "exit-code" in found)


class StatusPipe:
    """Carries bwrap's status to this process; `given` is the end to give away."""

    def __init__(self) -> None:
        self._end, self.given = os.pipe()
        os.set_blocking(self._end, False)
        self._text = b""

    def read(self) -> Status:
        """As it is now."""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._end, 4096):
                self._text += data
        return status_of(self._text)


def failure(stderr: bytes) -> tuple[int, str]:
    """The exit code, as shells count, and the message for a step that bwrap could not run, by all that it wrote."""
    message = stderr[stderr.find(_NAME) :].split(b"\n")[0].decode(errors="replace") if _NAME in stderr else ""
    missing = message.startswith("bwrap: execvp ") and message.endswith(os.strerror(errno.ENOENT))
    return 127 if missing else 126, message or "bwrap did not say why"


def _beside(hidden: Sequence[str], private: Sequence[str]) -> list[str]:
    """Those that are not hidden with what is private anyway."""
    return [path for path in hidden if path != "/" and not any(f"{path}/".startswith(f"{one}/") for one in private)]
