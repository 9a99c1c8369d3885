"""After how much silence an edge is suspected, counts as cut off, and is lost: operators say it of a site, or of one edge."""

from collections.abc import Iterable
from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from datamodel.kinds import Part
from datamodel.node import Node

SILENCE_LEAST_S, SILENCE_MOST_S = 1.0, 366 * 86_400.0
FIELDS = ("suspectAfterS", "disconnectedAfterS", "lostAfterS")

_Seconds = Annotated[float | None, Field(ge=SILENCE_LEAST_S, le=SILENCE_MOST_S, allow_inf_nan=False)]


class Silence(Part):
    """Seconds of silence. What an edge's own config leaves open, its site's says; then the reconcilers' settings do."""

    suspect_after_s: Annotated[_Seconds, Field(description="after so long a silence it gets nothing new")] = None
    disconnected_after_s: Annotated[_Seconds, Field(description="after so long a silence it counts as cut off")] = None
    lost_after_s: Annotated[_Seconds, Field(description="after so long a silence its chunks go elsewhere")] = None

    @model_validator(mode="after")
    def _is_in_order(self) -> "Silence":
        told = (self.suspect_after_s, self.disconnected_after_s, self.lost_after_s)
        named = [(name, after_s) for name, after_s in zip(FIELDS, told, strict=True) if after_s is not None]
        for (name, after_s), (later, later_s) in pairwise(named):
            if later_s < after_s:
                raise ValueError(f"{later} is at least {name}, and {later_s:g} is less than {after_s:g}")
        return self


def told_s(configs: Iterable[Node | None], defaults_s: Iterable[float]) -> tuple[float, ...]:
    """The three times of an edge, in order. Of `configs` the first one that says it counts: the edge's own, then its site's.
    They come from several places, so one that is shorter than the one before it is as long as that."""
    known = [config.spec for config in configs if config is not None]
    found: list[float] = []
    for name, default_s in zip(FIELDS, defaults_s, strict=True):
        after_s = next((float(spec[name]) for spec in known if spec.get(name) is not None), default_s)
        found.append(max(after_s, *found[-1:]) if found else after_s)
    return tuple(found)
