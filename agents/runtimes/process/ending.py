"""What a step's end means, beyond its exit code."""

import contextlib
import time

from agents.runtimes.process.bubblewrap import FAILED_CODE, StatusPipe, failure
from agents.runtimes.process.cgroup import ran_out_of_memory
from agents.runtimes.process.output import STDERR, read
from agents.runtimes.process.plan import Plan
from agents.runtimes.process.record import Record
from agents.runtimes.reasons import CANNOT_START, OOM_KILLED

_OUTPUT_BYTES = 8192
"""Looked through for why a sandbox did not begin: it has written nothing else then."""


def ended(record: Record, plan: Plan, code: int, sandbox: StatusPipe | None) -> Record:
    """The last record of a step that ended now, with `code`; `sandbox` is what its sandbox told, if it had one."""
    record = record._replace(exit_code=code, finished_s=time.time())
    if code == FAILED_CODE and sandbox is not None and not sandbox.read().ended:
        code, message = failure(_stderr_in(plan.output))
        return record._replace(exit_code=code, reason=CANNOT_START, message=message)
    # A step may survive the end of one of its processes for lack of memory.
    if code != 0 and plan.cgroup and ran_out_of_memory(plan.cgroup):
        return record._replace(reason=OOM_KILLED)
    return record


def _stderr_in(path: str) -> bytes:
    with contextlib.suppress(OSError, ValueError):
        pieces, _ = read(path, 0, _OUTPUT_BYTES)
        return b"".join(piece.data for piece, _ in pieces if piece.stream == STDERR)
    return b""
