"""The guard over leased attempts at a Docker engine: a process of its own session, which outlives the agent that started it.

It looks at a directory in which the agent moves on, for each leased attempt, the time until which that may run
(`agents/runtimes/process/lease.py`), and kills the containers of those whose time is over, for as long as they are listed
there. One guards a directory: it has the lock. It ends when nothing is listed any more.
"""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from pathlib import Path

import requests
from docker.errors import DockerException

import agents
from agents.runtimes.docker.attempt import a_container_of, signal_attempt
from agents.runtimes.docker.engine import connect
from agents.runtimes.process.lease import LOOK_S, extend, left_s, now_s
from datamodel.errors import Transient

LOCK, OVER = ".lock", ".over"
"""The lock's name, and what the name of an attempt ends with of which something was killed here."""
START_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 10
FORGET_S = 600.0
"""After which an attempt of which there is nothing is not waited for: no request to begin it is under way for so long."""
_READY = b"."
_AWAY = (DockerException, requests.RequestException, OSError)
_ROOT = str(Path(agents.__file__).parent.parent)
_ENVIRONMENT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


def guard(directory: Path, attempt: str, until_s: float) -> None:
    """Lets an attempt run until then, and returns when somebody watches over that. Blocks. Raises `Transient` where nobody
    can."""
    try:
        if until_s > now_s():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            extend(str(directory / attempt), until_s)
            if not _is_guarded(directory):
                _start(directory)
    except (OSError, subprocess.SubprocessError) as error:
        raise Transient(f"{attempt} cannot be guarded: {error}") from error


def was_ended(directory: Path, attempt: str) -> bool:
    """Whether something of it was killed since its lease was over."""
    return (directory / f"{attempt}{OVER}").exists()


def release(directory: Path, attempt: str) -> None:
    """It needs no guard any more."""
    for name in (attempt, f"{attempt}{OVER}"):
        (directory / name).unlink(missing_ok=True)


def main() -> None:
    """Leaves a guard behind, and returns when it watches, or another one does."""
    directory = Path(sys.argv[1])
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        sys.exit(0 if os.read(ready, 1) == _READY else 1)
    os.close(ready)
    os.setsid()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    _watch(directory, told)


def _watch(directory: Path, told: int | None) -> None:
    """Whoever lists an attempt looks for a guard after that, and this one looks for attempts after it has let its lock go: so
    none is overlooked by both."""
    while True:
        with (directory / LOCK).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                is_another = True
            else:
                is_another = False
            if told is not None:
                nowhere = os.open(os.devnull, os.O_RDWR)
                for stream in (0, 1, 2):
                    os.dup2(nowhere, stream)
                os.write(told, _READY)
                os.close(told)
                told = None
            if is_another:
                return
            since_s: dict[Path, float] = {}
            while listed := [*_listed(directory)]:
                over = [path for path in listed if not left_s(str(path))]
                since_s = {path: since_s.get(path, now_s()) for path in over}
                _end(over, [path for path in over if now_s() - since_s[path] > FORGET_S])
                time.sleep(LOOK_S)
        if not any(_listed(directory)):
            return


def _end(over: list[Path], long_over: Collection[Path]) -> None:
    """Kills what runs of these, and forgets those of which nothing is left. What the engine does not do now is asked of it
    again at the next look; what it does not do for one hinders no other."""
    if not over:
        return
    try:
        client = connect(timeout_s=CALL_TIMEOUT_S)
    except _AWAY:
        return
    try:
        for path in over:
            with contextlib.suppress(*_AWAY):
                path.with_name(f"{path.name}{OVER}").touch()
                signal_attempt(client, path.name, "SIGKILL")
                if path in long_over and a_container_of(client, path.name) is None:
                    release(path.parent, path.name)
    finally:
        client.close()


def _listed(directory: Path) -> Iterator[Path]:
    for path in sorted(directory.iterdir()):
        if path.name != LOCK and path.suffix not in (OVER, ".draft"):
            yield path


def _is_guarded(directory: Path) -> bool:
    with (directory / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _start(directory: Path) -> None:
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    command = [sys.executable, "-m", "agents.runtimes.docker.guard", str(directory)]
    done = subprocess.run(  # noqa: S603
        command,
        cwd=_ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise OSError(f"no guard: {done.stderr.strip()[-500:]}")


if __name__ == "__main__":
    main()
