"""Which nodes of a list are asked for, as options and as parameters of the API."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Selection:
    """Selectors, and the moment of which they are asked."""

    labels: Annotated[
        str, Parameter(name=["--selector", "-l"], help="Labels, as in `team=red,tier in (a,b),!old`.")
    ] = ""
    fields: Annotated[str, Parameter(name="--field-selector", help="Fields, as in `status.phase!=failed`.")] = ""
    phase: Annotated[str, Parameter(name="--phase", help="In this phase.")] = ""
    as_of: Annotated[str, Parameter(name="--as-of", help="A position of the log or a time: what was so then.")] = ""

    @property
    def parameters(self) -> dict[str, str]:
        """What is asked for, as the API's parameters."""
        found = {
            "labelSelector": self.labels,
            "fieldSelector": self.fields,
            "phase": self.phase,
            "asOf": self.as_of,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def now(self) -> datetime | None:
        """To when ages are counted; None for a position, of which nobody here knows the time."""
        if not self.as_of:
            return datetime.now(UTC)
        try:
            return datetime.fromisoformat("" if self.as_of.isdigit() else self.as_of)
        except ValueError:
            return None


WHOLE = Selection()
