"""Server-sent events: read off an answer, and gone on with after a connection was cut."""

import io
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.commands.client import Client
from gateway.commands.failure import Exit, Failure

PATIENCE_S = 60.0
"""How long an API that has answered before may be away."""
PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `data` is its JSON."""

    name: str
    id: str
    data: Any


def lines_in(parts: Iterable[str]) -> Iterator[str]:
    """The lines of a stream that comes in parts. They end with CR, LF or CRLF and with nothing else, where `str.splitlines` and
    what is made of it break the JSON of a text that has one of Unicode's other separators."""
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    rest = ""
    for part in parts:
        *lines, rest = (rest + newlines.decode(part)).split("\n")
        yield from lines


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events in an answer's lines, as HTML's specification of them says, without `retry`."""
    name, last_id, data = "", "", list[str]()
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "id":
                last_id = value
            case "data":
                data.append(value)
            case "" if not line:
                if data:
                    yield Event(name or "message", last_id, json.loads("\n".join(data)))
                name, data = "", []


def resumed(client: Client, path: str, parameters: Mapping[str, str], last_id: str = "") -> Iterator[Event | None]:
    """The events of a stream, connection after connection until it is said to be over (204). None comes after each one that
    ended: who knows that there is no more stops there. Raises `Failure`, also where the API stays away."""
    heard_s: float | None = None
    while True:
        try:
            with client.stream(path, parameters, last_id) as answer:
                if answer.status_code == 204:
                    return
                for event in read_events(lines_in(answer.iter_text())):
                    heard_s = time.monotonic()
                    last_id = event.id or last_id
                    yield event
                heard_s = time.monotonic()
        except Failure as failure:
            waited = heard_s is not None and time.monotonic() - heard_s < PATIENCE_S
            if failure.code is not Exit.UNANSWERED or not waited:
                raise
        yield None
        time.sleep(PAUSE_S)
