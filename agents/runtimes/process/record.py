"""What a shim leaves on disk about its step."""

import json
import os
from typing import Any, NamedTuple

from agents.runtimes.process.identity import Identity


class Record(NamedTuple):
    """One step, as its shim last knew it. Times are seconds since the epoch.

    Without `exit_code` the step runs as long as its shim does. `mounted` says whether the step sees its shared
    directory at `/shared`, `cut` that its output ends with a gap that does not stand there.
    """

    shim: Identity
    started_s: float
    step: Identity | None = None
    mounted: bool = False
    finished_s: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    cut: bool = False


LOST = Record(shim=Identity(0, 0, ""), started_s=0.0)
"""Stands for a record that cannot be read: nobody can say how its step ended, and no process has its shim's number."""

_LIMIT_BYTES = 1024 * 1024
_LAST_S = 2.0**37
"""A time that every reader can still show as a date."""


def claim(path: str, record: Record) -> bool:
    """Writes the first record; False where another shim did so before, and the step is its own."""
    draft = _draft(path, record)
    try:
        os.link(draft, path)  # unlike a rename, a link never replaces
    except FileExistsError:
        return False
    finally:
        os.unlink(draft)  # noqa: PTH108
    return True


def replace(path: str, record: Record) -> None:
    """Replaces the record; a reader, or a crash, finds the old or the new one whole."""
    os.rename(_draft(path, record), path)  # noqa: PTH104


def read(path: str) -> Record | None:
    """The record as it is now; None where no shim has claimed the step, `LOST` where a crash or a step has damaged it."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            text = file.read(_LIMIT_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        return _record(json.loads(text)) if len(text) <= _LIMIT_BYTES else LOST
    except (ValueError, TypeError, KeyError, RecursionError):
        return LOST


def _record(fields: Any) -> Record:
    """Raises `ValueError`, `TypeError` or `KeyError` for what no shim has written."""
    step, code, finished_s = fields["step"], fields["exit_code"], fields["finished_s"]
    return Record(
        shim=_identity(*fields["shim"]),
        started_s=_moment(fields["started_s"]),
        step=_identity(*step) if step is not None else None,
        mounted=bool(fields["mounted"]),
        finished_s=_moment(finished_s) if finished_s is not None else None,
        exit_code=_whole(code, 2**16) if code is not None else None,
        reason=_words(fields["reason"]),
        message=_words(fields["message"]),
        cut=bool(fields.get("cut")),  # which former shims did not write
    )


def _identity(pid: Any, start_ticks: Any, boot: Any) -> Identity:
    if not isinstance(boot, str) or not pid:
        raise ValueError("no process")
    return Identity(_whole(pid, 2**31), _whole(start_ticks, 2**63), boot)


def _whole(number: Any, limit: int) -> int:
    if not isinstance(number, int) or not 0 <= number < limit:
        raise ValueError(f"{number!r:.40} is no number below {limit}")
    return number


def _words(text: Any) -> str:
    if not isinstance(text, str):
        raise TypeError("no text")
    text.encode()  # half a character is one that could not be reported
    return text


def _moment(seconds: Any) -> float:
    if not isinstance(seconds, int | float) or not 0 <= seconds < _LAST_S:
        raise ValueError("no time since the epoch")
    return float(seconds)


def _draft(path: str, record: Record) -> str:
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(record._asdict(), file)
        file.flush()
        os.fsync(file.fileno())
    return draft
