"""One attempt on disk."""

import json
import os
import shutil
import stat
import tempfile
from pathlib import Path

from agents.runtimes.process import output
from agents.runtimes.process.cgroup import clear
from agents.runtimes.process.files import DiskFile, open_shared, put_inputs
from agents.runtimes.process.identity import alive
from agents.runtimes.process.lease import extend, now_s
from agents.runtimes.process.owner import Owner
from agents.runtimes.process.plan import Plan
from agents.runtimes.process.record import Record, read
from agents.runtimes.protocol import LogPage, Observed, Step, StepState, Work
from agents.runtimes.shared import RESULT_FILE, RESULT_LIMIT_BYTES, SHARED
from datamodel.errors import Invalid
from datamodel.scheduling import logs

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CURSOR_DIGITS = 19
_NOBODY = ("", "", "")


class AttemptDirectory:
    """The files of one attempt; every method blocks for as long as the disk does.

    attempt.json     whose it is
    step-<k>.json    what the shim of step k knows of it
    step-<k>.output  what it wrote, bounded, in a form of its own (`output.py`); `.log` is of the shim itself
    shared/          the steps' shared directory, or a link to where it is
    root/            empty; a step's own root is mounted there, for it alone
    step-<k>.cgroup  a link to the group that limits step k
    lease            until when its steps may run, where they need the hub's word for that
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, work: Work, owner: Owner, *, elsewhere: bool) -> None:
        """Makes what is missing, with `shared` belonging to `owner`, and where anybody can get if `elsewhere`."""
        for directory in (self._path, self._path / "root"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._shared.exists():
            shared = _reachable_directory() / "shared" if elsewhere else self._shared
            shared.mkdir(mode=0o700)
            if elsewhere:
                self._shared.symlink_to(shared)
        if not self.records():
            put_inputs(self._shared.resolve(), work.inputs, owner)
        if owner is not None:
            os.chown(self._shared, *owner)
        draft = self._path / "attempt.json.draft"
        draft.write_text(json.dumps({"site": work.site, "edge": work.edge, "uid": work.uid}), encoding="utf-8")
        draft.rename(self._path / "attempt.json")

    def group(self, index: int, group: Path) -> str:
        """Keeps in mind that the step runs in that group, for `remove`; returns it as a plan has it."""
        link = self._path / f"step-{index}.cgroup"
        link.unlink(missing_ok=True)
        link.symlink_to(group)
        return str(group)

    def plan(self, work: Work, index: int, owner: Owner) -> Plan:
        step, given = work.steps[index], work.given_to(index)
        return Plan(
            argv=_argv(step),
            env={"PATH": _PATH, **work.env, **step.env, **given.env},
            owner=owner,
            record=str(self._record(index)),
            output=str(self._output(index)),
            log=str(self._path / f"step-{index}.log"),
            shared=str(self._shared.resolve()),
            root=str(self._path / "root"),
            secrets=given.files,
            masked=[pattern.decode("latin-1") for pattern in given.masked],
            lease=str(self._path / "lease") if work.lease_s else "",
        )

    def lease(self, until_s: float) -> None:
        """Moves the time until which its steps may run; never back."""
        if until_s > now_s():
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            extend(str(self._path / "lease"), until_s)

    def sweep(self) -> None:
        """Removes what was leased and never begun."""
        if (self._path / "lease").exists() and not (self._path / "attempt.json").exists():
            _remove_tree(self._path)

    def record(self, index: int) -> Record | None:
        return read(str(self._record(index)))

    def records(self) -> list[Record]:
        """Those of the steps that were started, in order."""
        records: list[Record] = []
        while (record := self.record(len(records))) is not None:
            records.append(record)
        return records

    def observe(self) -> Observed | None:
        """The attempt, without site, edge and uid where a crash or a step has damaged the file that tells them."""
        whose = self._whose()
        if whose is None:
            return None
        states = tuple(self._state(index, record) for index, record in enumerate(self.records()))
        site, edge, uid = whose
        return Observed(site, edge, self._path.name, states, uid=uid)

    def result(self) -> bytes | None:
        """What the steps left as their result. Raises `Invalid` above `RESULT_LIMIT_BYTES`."""
        try:
            # The file is the step's, and the reader may be root: no links, and no waiting for a pipe's other end.
            file = os.open(self._shared / RESULT_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                return None
            content = _read_up_to(file, RESULT_LIMIT_BYTES + 1)
        finally:
            os.close(file)
        if len(content) > RESULT_LIMIT_BYTES:
            raise Invalid(f"{SHARED}/{RESULT_FILE} is larger than {RESULT_LIMIT_BYTES} bytes")
        return content

    def open_file(self, path: str) -> DiskFile | None:
        """A file that the steps left. Raises `Invalid` where it is none, or is reached by way of a link."""
        return open_shared(self._shared.resolve(), path)

    def logs(self, index: int, after: str, limit_bytes: int) -> LogPage:
        """Some of what a step wrote behind a cursor. A file that a crash or a step has damaged is not read on."""
        begin = int(after) if after.isascii() and after.isdecimal() and len(after) < _CURSOR_DIGITS else 0
        try:
            pieces, more = output.read(str(self._output(index)), begin, limit_bytes)
        except FileNotFoundError:
            return LogPage(after)
        except ValueError:
            end = self._output(index).stat().st_size
            return LogPage(after, (logs.Dropped(index, None),), (str(end),)) if end > begin else LogPage(after)
        return LogPage(
            after,
            tuple(_part(index, piece) for piece, _ in pieces),
            tuple(str(end) for _, end in pieces),
            more,
        )

    def remove(self) -> None:
        for link in self._path.glob("step-*.cgroup"):
            clear(str(link.readlink()))
        if self._shared.is_symlink():
            _remove_tree(self._shared.readlink().parent)
        _remove_tree(self._path)

    def _whose(self) -> tuple[str, str, str] | None:
        try:
            text = (self._path / "attempt.json").read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            whose = json.loads(text)
            site, edge, uid = whose["site"], whose["edge"], whose.get("uid", "")  # which former agents did not write
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return _NOBODY
        return (site, edge, uid) if all(isinstance(one, str) for one in (site, edge, uid)) else _NOBODY

    @property
    def _shared(self) -> Path:
        return self._path / "shared"

    def _record(self, index: int) -> Path:
        return self._path / f"step-{index}.json"

    def _output(self, index: int) -> Path:
        return self._path / f"step-{index}.output"

    def _state(self, index: int, record: Record) -> StepState:
        if record.exit_code is None and not alive(record.shim):
            # The shim may have written the end between our two looks.
            record = self.record(index) or record
            if record.exit_code is None:
                return StepState("vanished", record.started_s, message="its shim was killed, or the host restarted")
        if record.exit_code is None:
            return StepState("running", record.started_s)
        why = record.reason, record.message
        return StepState("exited", record.started_s, record.finished_s, record.exit_code, *why, is_cut=record.cut)


def _part(index: int, piece: output.Piece) -> logs.Part:
    if piece.stream == output.DROPPED:
        return logs.Dropped(index, piece.dropped)
    return logs.Record(index, "stdout" if piece.stream == output.STDOUT else "stderr", piece.at_ns, piece.data)


def _reachable_directory() -> Path:
    """A new directory that every user can pass, but only we can change: nobody puts a link in the place of `shared`."""
    directory = Path(tempfile.mkdtemp(prefix="tendril-"))
    directory.chmod(0o711)
    return directory


def _remove_tree(path: Path) -> None:
    if not path.exists():
        return
    try:
        shutil.rmtree(path)
    except PermissionError:  # a step may leave directories that are closed even to their owner
        for parent, children, _ in os.walk(path):
            for child in (Path(parent, name) for name in children):
                if not child.is_symlink():
                    child.chmod(0o700)
        shutil.rmtree(path)


def _read_up_to(file: int, size_bytes: int) -> bytes:
    content = b""
    while data := os.read(file, size_bytes - len(content)):
        content += data
    return content


def _argv(step: Step) -> list[str]:
    if step.script is not None:
        return [*step.shell, step.script]
    # What an image would run by itself exists only where there are images.
    return list(step.command) or ["no-command-and-no-script"]
