"""Callbacks of jobs: whom a job is to tell of its phases, and what became of telling them.

What is sent, and when again, is decided in `reconcilers/planning/callbacks.py`.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from datamodel.kinds import Name, Part
from datamodel.scheduling.secrets import KEY_PATTERN
from datamodel.secrets.value import DEFAULT_KEY

CALLBACKS_LIMIT = 4
"""Of one job."""
URL_LIMIT = 2_048
NOTICES_BYTES = 3 * 1024
"""Of all notices of a job as JSON: its status has outputs and the files of its inputs beside them."""

WAITING, DELIVERED, GIVEN_UP = "waiting", "delivered", "givenUp"

_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=%-]+")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}")


def _checked(url: str) -> str:
    """It is in the log, so it must not open anything; and every reader must find the same host in it."""
    parts = urlsplit(url)  # its own errors are ValueErrors too
    if _CHARACTERS.fullmatch(url) is None or parts.scheme not in ("http", "https"):
        raise ValueError("an absolute http or https URL, percent-encoded, without a fragment")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user or password in it would be in the log")
    if _HOST.fullmatch(parts.hostname or "") is None or parts.port == 0:
        raise ValueError("a URL has the name or address of a host, and a port from 1 to 65535 if any")
    return url


class Callback(Part):
    """A receiver that is told when the job reaches some phases, by a POST to its URL."""

    url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=URL_LIMIT),
        AfterValidator(_checked),
        Field(description="absolute, https unless the operator allows http, and without a user or password"),
    ]
    on: Annotated[
        tuple[Literal["running", "succeeded", "failed", "aborted"], ...],
        Field(min_length=1, max_length=4, description="the phases that it is told of"),
    ] = ("succeeded", "failed", "aborted")
    secret: Name | None = None
    """A secret of the job's group that signs what is sent; absent: nothing does."""
    key: Annotated[
        str | None,
        StringConstraints(pattern=KEY_PATTERN),
        Field(description=f"which value of the secret; absent: {DEFAULT_KEY}"),
    ] = None


def check_urls(callbacks: Sequence[Callback] | None) -> None:
    """Raises `ValueError` where two have the same URL."""
    if callbacks and len({callback.url for callback in callbacks}) < len(callbacks):
        raise ValueError("two callbacks have the same URL: say all phases in one")


class Told(Part):
    """What became of telling one of the job's callbacks, by its place in the spec. `reason` and `message` say what went wrong:
    the first time, or for good."""

    callback: Annotated[int, Field(ge=0, lt=CALLBACKS_LIMIT)]
    state: Literal["waiting", "delivered", "givenUp"] = "waiting"
    at: datetime | None = None
    """When that was so; None while it waits."""
    reason: Annotated[str, StringConstraints(max_length=32)] = ""
    message: Annotated[str, StringConstraints(max_length=96)] = ""


class Notice(Part):
    """That the job has reached a phase, and who has been told. What will be sent is kept only while somebody waits for it."""

    id: Annotated[str, StringConstraints(max_length=64)]
    phase: Literal["running", "succeeded", "failed", "aborted"]
    at: datetime
    """When it reached it."""
    version: int | None = None
    """A version of the job at which it had."""
    generation: int | None = None
    started_at: datetime | None = None
    chunks: dict[str, int] | None = None
    told: tuple[Told, ...]
