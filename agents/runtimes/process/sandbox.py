"""What a step gives up, and what it is shown, before it runs."""

import ctypes
import os
import resource
import signal
import sys

from agents.runtimes.shared import SHARED

# From linux/sched.h, linux/mount.h and linux/prctl.h.
_CLONE_NEWNS = 0x00020000
_CLONE_NEWUSER = 0x10000000
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_REACHABLE = "/tmp"  # noqa: S108 - only as a place that every user can pass

_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Makes what this process' descendants leave behind its own children, so that none escapes it."""
    _call("prctl", _PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def no_core() -> None:
    """From now on, this process and what it starts leave no core dumps as files."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def forbid_dumps() -> None:
    """Nobody gets a dump of this process, not even a program that the kernel pipes dumps to, and none of its user's processes
    may look into it."""
    _call("prctl", _PR_SET_DUMPABLE, 0, 0, 0, 0)


def show_shared(shared: str, root: str) -> str:
    """Shows the directory `shared` at `/shared`, to this process and its children alone; returns where it is seen.

    Where the kernel refuses, that is `shared` itself. `root` is an empty directory to build on.
    """
    try:
        _own_mounts()
        if os.path.isdir(SHARED):  # noqa: PTH112
            _bind(shared, SHARED)
        else:
            _new_root(shared, root)
    except OSError:
        return shared
    return SHARED


def lend_shared(shared: str) -> str:
    """Shows the directory `shared` at `/tmp`, to this process and its children alone, for a user that cannot get there;
    returns where it is seen. Where the kernel refuses, that is `shared` itself."""
    try:
        _own_mounts()
        _bind(shared, _REACHABLE)
    except OSError:
        return shared
    return _REACHABLE


def probe(directory: str) -> None:
    """Ends this process with 0 if `show_shared` shows anything at `/shared`, with 1 if the kernel refuses."""
    sys.exit(show_shared(directory, directory) != SHARED)


def give_up_privileges(owner: tuple[int, int] | None, parent: int) -> None:
    """Becomes `owner` for good, without a way back through a setuid program, and dies with `parent`."""
    if owner is not None:
        uid, gid = owner
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # Last: a change of identity clears it. The parent may have died before it was set.
    _call("prctl", _PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def _own_mounts() -> None:
    if os.geteuid() == 0:
        _call("unshare", _CLONE_NEWNS)
    else:
        uid, gid = os.geteuid(), os.getegid()
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS)
        _write("/proc/self/setgroups", "deny")  # the kernel's condition for mapping a group without privilege
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)


def _new_root(shared: str, root: str) -> None:
    """A root that has all of the present one and `/shared`, which may not be made on a host that is not ours."""
    _mount("tmpfs", root, "tmpfs", 0)
    # The part that holds the new root itself comes first, while that is still empty: it is not to copy itself.
    for entry in sorted(os.scandir("/"), key=lambda entry: not root.startswith(f"{entry.path}/")):
        target = root + entry.path
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)  # noqa: PTH115, PTH211
        elif entry.is_dir():
            os.mkdir(target)  # noqa: PTH102
            _bind(entry.path, target)
    os.mkdir(root + SHARED)  # noqa: PTH102
    _bind(shared, root + SHARED)
    os.chroot(root)


def _bind(source: str, target: str) -> None:
    _mount(source, target, "", _MS_BIND | _MS_REC)


def _mount(source: str, target: str, kind: str, flags: int) -> None:
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), None)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:  # noqa: PTH123
        file.write(text)


def _call(name: str, *args: object) -> None:
    if getattr(_libc, name)(*args) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
