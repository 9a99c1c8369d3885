"""Scripts as files: one JSON object a line."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from datamodel.errors import Invalid
from sim.world.script import AnyAction, Script

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_head = msgspec.json.Decoder(Script).decode
_action: msgspec.json.Decoder[AnyAction] = msgspec.json.Decoder(AnyAction)


def written(script: Script) -> str:
    """As a file: a line for the world, then one for each action."""
    lines = [script.with_actions(()), *script.actions]
    return "".join(f"{_encode(line).decode()}\n" for line in lines)


def read(text: str) -> Script:
    """The script of a file; raises `Invalid` naming the line."""
    head, *rest = [line for line in text.splitlines() if line.strip()] or [""]
    script, *_ = _decoded(_head, [head], 1)
    return script.with_actions(_decoded(_action.decode, rest, 2))


def _decoded(decode: Callable[[str], T], lines: Sequence[str], first: int) -> list[T]:
    decoded = []
    for number, line in enumerate(lines, first):
        try:
            decoded.append(decode(line))
        except msgspec.DecodeError as error:
            raise Invalid(f"line {number} of the script: {error}", field=f"/{number}") from error
    return decoded
