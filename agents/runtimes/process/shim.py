"""Stands over one step: a process of its own session, which outlives the agent that started it.

It starts the step in a further session, copies its output to a bounded file, and writes how it ended. TERM is passed on
to the step's process group; USR1 kills that, since KILL would take the shim and with it the only witness. A step that runs
under a lease is killed when that is over: nobody need be there to say so. Nothing of the step outlives the shim: what the step
leaves behind becomes its child and is killed.
"""

import contextlib
import json
import os
import selectors
import signal
import sys
import time
from typing import NoReturn

from agents.runtimes.process.bubblewrap import Sandbox, StatusPipe, host_entries, sandboxed
from agents.runtimes.process.cgroup import clear, enter, kill
from agents.runtimes.process.ending import ended
from agents.runtimes.process.identity import has_child, identify, kill_children
from agents.runtimes.process.lease import LOOK_S, left_s
from agents.runtimes.process.output import STDERR, STDOUT, OutputFile
from agents.runtimes.process.plan import Plan
from agents.runtimes.process.record import Record, claim, replace
from agents.runtimes.process.sandbox import (
    adopt_orphans,
    forbid_dumps,
    give_up_privileges,
    lend_shared,
    no_core,
    show_shared,
)
from agents.runtimes.reasons import CANNOT_START, LEASE_OVER
from agents.runtimes.shared import SECRETS, SECRETS_VARIABLE, SHARED, SHARED_VARIABLE
from agents.secrets.redaction import Needles, Redactor

STOP = signal.SIGTERM
KILL = signal.SIGUSR1
"""What the agent sends to the shim: end the step, and end it now."""

_CHUNK_BYTES = 64 * 1024
_HANDLED = (STOP, KILL, signal.SIGCHLD)
_READY = b"."


def main() -> None:
    """Reads a plan, leaves a shim behind, and returns when the step's first record tells how its start went."""
    plan = Plan(**json.load(sys.stdin))
    ready, told = os.pipe()
    if os.fork():
        os.close(told)
        sys.exit(0 if os.read(ready, 1) == _READY else 1)
    os.close(ready)
    os.setsid()
    _supervise(plan, told)


def _supervise(plan: Plan, told: int) -> None:
    # Signals wait until their handlers know the step.
    signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
    own = identify(os.getpid())
    assert own is not None, "a process finds itself in /proc"
    record = Record(shim=own, started_s=time.time())
    if claim(plan.record, record):
        step = _Step(plan)
        record = step.start(record)
        replace(plan.record, record)
        _detach(plan.log, told)
        if record.exit_code is None:
            code = step.attend()
            record = ended(record._replace(cut=step.cut), plan, code, step.sandbox)
            replace(plan.record, record._replace(reason=LEASE_OVER) if step.lease_over else record)
        if plan.cgroup:
            with contextlib.suppress(OSError):  # removed with the attempt, at the latest
                clear(plan.cgroup)
    else:
        _detach(plan.log, told)


def _detach(log: str, told: int) -> None:
    """Lets go of the agent's pipes, then lets it go on."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    errors = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((nowhere, 0), (nowhere, 1), (errors, 2)):
        os.dup2(source, target)
    os.write(told, _READY)
    os.close(told)


class _Step:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._pid = 0
        self._code: int | None = None
        self._selector = selectors.DefaultSelector()
        self._output = OutputFile(plan.output)
        self.cut = False
        """Whether the output ends with a gap that does not stand there."""
        self.lease_over = False
        """It was killed since its lease was over."""
        self.sandbox = StatusPipe() if plan.sandbox is not None else None

    def start(self, record: Record) -> Record:
        """Starts the step; the record that comes back has its identity, or says why it did not start."""
        if self._plan.lease and not left_s(self._plan.lease):  # whoever asked for it was asleep
            return record._replace(exit_code=128 + signal.SIGKILL, reason=LEASE_OVER, finished_s=time.time())
        adopt_orphans()
        if self._plan.masked:
            no_core()
        outputs = [os.pipe(), os.pipe()]
        said, say = os.pipe()
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            _become_step(self._plan, parent, say, [write for _, write in outputs], self.sandbox)
        os.close(say)
        if self.sandbox is not None:
            os.close(self.sandbox.given)
        needles = Needles(pattern.encode("latin-1") for pattern in self._plan.masked)
        for (read, write), stream in zip(outputs, (STDOUT, STDERR), strict=True):
            os.close(write)
            self._selector.register(read, selectors.EVENT_READ, _Pipe(read, stream, self._output, Redactor(needles)))
        if self._plan.masked:
            forbid_dumps()  # not before the child is there: it would own nothing of its own in /proc
        with os.fdopen(said, encoding="utf-8") as file:
            mounted, _, error = file.read().partition("\n")
        record = record._replace(step=identify(self._pid), mounted=mounted == SHARED)
        if not error:
            return record
        code, _, message = error.partition(" ")
        return record._replace(exit_code=int(code), reason=CANNOT_START, message=message, finished_s=time.time())

    def attend(self) -> int:
        """Copies the output until the step and everything that it started are gone; returns its exit code."""
        woken = self._handle_signals()
        while self._code is None or len(self._selector.get_map()) > 1:
            for key, _ in self._selector.select(LOOK_S if self._plan.lease else None):
                if key.fd == woken:
                    os.read(woken, _CHUNK_BYTES)
                elif not key.data.copy():
                    self._selector.unregister(key.fd)
            if self._code is None:
                self._reap()
            if self._code is None and self._plan.lease and not left_s(self._plan.lease):
                self.lease_over = True
                self._signal(signal.SIGKILL)
        self.cut = not self._output.close()
        return self._code

    def _handle_signals(self) -> int:
        woken, wake = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._selector.register(woken, selectors.EVENT_READ)
        signal.signal(STOP, lambda *_: self._terminate())
        signal.signal(KILL, lambda *_: self._signal(signal.SIGKILL))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        return woken

    def _terminate(self) -> None:
        """In a sandbox TERM is for the session inside. Its leader ignores it: before that has a child, which is the step,
        TERM ends the sandbox."""
        inside = self.sandbox.read().child if self.sandbox is not None else None
        if inside is not None and self._code is None and has_child(inside):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(inside, signal.SIGTERM)
                return
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._code is None:  # once it is reaped, its number may be another's
            os.killpg(self._pid, number)

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == self._pid:
                self._code = _exit_code(status)
                if self._plan.cgroup:
                    kill(self._plan.cgroup)  # a fork bomb makes new ones faster than they are found one by one
                _end_children()
                return
            if pid == 0:
                return


class _Pipe:
    """One of the step's streams, which is read on when the file takes no more, so that the writer is not held up."""

    def __init__(self, pipe: int, stream: int, output: OutputFile, redactor: Redactor) -> None:
        self._pipe, self._stream, self._output, self._redactor = pipe, stream, output, redactor

    def copy(self) -> bool:
        """Moves what is there; False at the end."""
        data = os.read(self._pipe, _CHUNK_BYTES)
        if data:
            self._output.add(self._stream, self._redactor.feed(data))
            return True
        self._output.add(self._stream, self._redactor.close())
        os.close(self._pipe)
        return False


def _become_step(plan: Plan, parent: int, say: int, outputs: list[int], status: StatusPipe | None) -> NoReturn:
    """Runs in the child: turns into the step, or says why it cannot, as `exit code, message`."""
    try:
        os.setsid()
        for source, target in zip((os.open(os.devnull, os.O_RDONLY), *outputs), (0, 1, 2), strict=True):
            os.dup2(source, target)
        # Python ignores some, and so may whoever started the agent; a step must not inherit that.
        for number in signal.valid_signals():
            if signal.getsignal(number) is signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if plan.cgroup:
            enter(plan.cgroup)
        argv, shared, directory = plan.argv, SHARED, "/"
        if plan.sandbox is not None and status is not None:
            lent = lend_shared(plan.shared) if plan.owner is not None else plan.shared
            argv = sandboxed(
                Sandbox(*plan.sandbox),
                plan.argv,
                shared=lent,
                entries=host_entries(),
                status=status.given,
                secrets=plan.secrets,
            )
            os.set_inheritable(status.given, True)
        else:
            shared = directory = show_shared(plan.shared, plan.root)
        os.write(say, f"{shared}\n".encode())
        give_up_privileges(plan.owner, parent)
        os.chdir(directory)
        env = {**plan.env, "HOME": shared, SHARED_VARIABLE: shared}
        if plan.secrets:
            env[SECRETS_VARIABLE] = SECRETS if plan.sandbox is not None else plan.secrets
        os.execvpe(argv[0], argv, env)  # noqa: S606
    except (OSError, ValueError) as error:
        os.write(say, f"{127 if isinstance(error, FileNotFoundError) else 126} {error}".encode())
    finally:
        os._exit(127)


def _end_children() -> None:
    while True:
        try:
            kill_children(os.getpid())
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        except ChildProcessError:
            return


def _exit_code(status: int) -> int:
    """As shells and engines count: a step ended by signal n has the code 128 + n."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code
