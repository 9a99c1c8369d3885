"""What a shim leaves on disk about its step."""

import json
import os
from typing import Any, NamedTuple

from agents.runtimes.process.identity import Identity


class Record(NamedTuple):
    """One step, as its shim last knew it. Times are seconds since the epoch.

    Without `exit_code` the step runs as long as its shim does. `mounted` says whether the step sees its shared
    directory at `/shared`.
    """

    shim: Identity
    started_s: float
    step: Identity | None = None
    mounted: bool = False
    finished_s: float | None = None
    exit_code: int | None = None
    reason: str = ""
    message: str = ""


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
    """The record as it is now; None where no shim has claimed the step."""
    try:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123
            fields: dict[str, Any] = json.load(file)
    except FileNotFoundError:
        return None
    step = fields.pop("step")
    return Record(shim=Identity(*fields.pop("shim")), step=Identity(*step) if step else None, **fields)


def _draft(path: str, record: Record) -> str:
    draft = f"{path}.{os.getpid()}"
    with open(draft, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(record._asdict(), file)
        file.flush()
        os.fsync(file.fileno())
    return draft
