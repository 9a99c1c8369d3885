"""Which process a number means. Pids are reused, so a process is named by pid, start time and boot."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import NamedTuple

_BOOT = "/proc/sys/kernel/random/boot_id"


class Identity(NamedTuple):
    """One process, ever. `start_ticks` is field 22 of proc(5)'s `stat`: clock ticks since the boot named by `boot`."""

    pid: int
    start_ticks: int
    boot: str


class Stat(NamedTuple):
    """What is read of a process in `/proc`."""

    pid: int
    state: str
    parent: int
    session: int
    start_ticks: int


def identify(pid: int) -> Identity | None:
    """The process that has this pid now; None where it is gone or only waits to be reaped."""
    stat = _stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    return Identity(pid, stat.start_ticks, boot_id())


def alive(identity: Identity) -> bool:
    return identify(identity.pid) == identity


def send(identity: Identity, number: signal.Signals) -> None:
    """Signals this very process, never another one that got its pid; one that is gone is fine."""
    try:
        handle = os.pidfd_open(identity.pid)
    except ProcessLookupError:
        return
    except OSError:  # a kernel before 5.3, or a sandbox around us: a window of microseconds remains
        if alive(identity):
            _kill(identity.pid, number)
        return
    try:
        if alive(identity):
            signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def has_child(parent: int) -> bool:
    """Also one that has ended and that `parent` has not yet waited for."""
    return any(stat.parent == parent for stat in _processes())


def kill_children(parent: int) -> None:
    for stat in _processes():
        if stat.parent == parent and stat.state not in "ZX":
            _kill(stat.pid, signal.SIGKILL)


def session_members(leader: Identity) -> list[int]:
    """The pids that live in the session which this process led, whether or not it still lives.

    A session's number is not given to a new process while a member lives, so members of a session of another leader
    show themselves: that leader has the number with another start, or they are older than ours.
    """
    if leader.boot != boot_id():
        return []
    members = [stat for stat in _processes() if stat.session == leader.pid and stat.state not in "ZX"]
    if any(stat.start_ticks < leader.start_ticks for stat in members):
        return []
    if any(stat.pid == leader.pid and stat.start_ticks != leader.start_ticks for stat in members):
        return []
    return [stat.pid for stat in members]


def kill_session(leader: Identity) -> None:
    for pid in session_members(leader):
        _kill(pid, signal.SIGKILL)


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _processes() -> Iterator[Stat]:
    for name in os.listdir("/proc"):  # noqa: PTH208 - pathlib is a third of the shim's start
        if name.isdigit() and (stat := _stat(int(name))) is not None:
            yield stat


def _stat(pid: int) -> Stat | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            text = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name may hold spaces and brackets of its own: the fields begin after the last bracket.
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(pid, state=fields[0], parent=int(fields[1]), session=int(fields[3]), start_ticks=int(fields[19]))


def boot_id() -> str:
    with open(_BOOT, encoding="ascii") as file:  # noqa: PTH123
        return file.read().strip()
