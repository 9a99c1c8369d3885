"""A file that says how much power there is: whoever measures it writes it, and puts it in place by renaming."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import msgspec

from agents.news.power import Power
from datamodel.errors import Invalid
from datamodel.scheduling.forecasts import FORECAST_LIMIT
from datamodel.scheduling.resources import POWER_LIMIT_W
from datamodel.scheduling.wire import Foreseen

FILE_LIMIT_BYTES = 64 * 1024

_Watts = Annotated[float, msgspec.Meta(ge=0, le=POWER_LIMIT_W)]


class _Expected(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    at: Annotated[datetime, msgspec.Meta(tz=True)]
    power_w: _Watts


class _Content(msgspec.Struct, frozen=True, rename={"available_w": "availableW"}, forbid_unknown_fields=True):
    available_w: _Watts
    forecast: Annotated[tuple[_Expected, ...], msgspec.Meta(max_length=FORECAST_LIMIT)] = ()


_decode = msgspec.json.Decoder(_Content).decode


class PowerFile:
    """`{"availableW": 120, "forecast": [{"at": "2026-01-31T12:00:00Z", "powerW": 80}]}`, the same for every edge."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self, edges: Sequence[str]) -> Mapping[str, Power]:
        return dict.fromkeys(edges, await asyncio.to_thread(self._now))

    def _now(self) -> Power:
        try:
            with self._path.open("rb") as file:
                content = file.read(FILE_LIMIT_BYTES + 1)
        except OSError as error:
            raise Invalid(f"{self._path} cannot be read: {error.strerror}") from error
        try:
            return power_in(content)
        except Invalid as error:
            raise Invalid(f"{self._path}: {error.message}") from error


def power_in(content: bytes) -> Power:
    """What a file says. Raises `Invalid` naming what is wrong with it."""
    if len(content) > FILE_LIMIT_BYTES:
        raise Invalid(f"it has more than {FILE_LIMIT_BYTES} bytes")
    try:
        found = _decode(content)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(f"it does not say how much power there is: {error}") from error
    forecast = tuple(Foreseen(one.at, one.power_w) for one in found.forecast)
    for earlier, later in pairwise(forecast):
        if later.at <= earlier.at:
            raise Invalid(f"its forecast is not in order: {later.at.isoformat()} comes after {earlier.at.isoformat()}")
    return Power(found.available_w, forecast)
