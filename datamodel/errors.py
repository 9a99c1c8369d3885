"""The error hierarchy: six things that can be wrong, and nothing else is ever raised on purpose."""

from datetime import datetime


class TendrilError(Exception):
    """Any failure that this project raises. `field` is a JSON pointer to what is wrong, empty where there is none."""

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.field = field


class Transient(TendrilError):  # noqa: N818 - the six read as what they are: raise Conflict(...)
    """May succeed if tried again. After a write, the outcome is unknown: it may have happened."""


class NotMigrated(Transient):
    """The database has not the tables that this version needs, yet."""


class Conflict(TendrilError):  # noqa: N818
    """The present is not what the command expected: a stale version, a taken name, a full pool, a lost lease."""


class Fenced(Conflict):
    """A guard of a whole unit did not hold: its lease is lost, or its mark has moved. Nothing of the unit was done."""


class Aborted(Conflict):
    """Nothing is wrong with the command itself: another one of its unit was refused."""


class Invalid(TendrilError):  # noqa: N818
    """The input can never be accepted, whatever the present is. `details` lists (JSON pointer, message) of every finding."""

    def __init__(self, message: str, *, field: str = "", details: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message, field=field)
        self.details = details or ((field, message),)


class NotFound(TendrilError):  # noqa: N818
    """What the command names does not exist."""


class Forbidden(TendrilError):  # noqa: N818
    """The actor may not do this to this part of the graph."""


class Gone(TendrilError):  # noqa: N818
    """What is asked for is older than what is kept. `oldest` is the oldest position that can be read, `cursor` where a list
    goes on in the present (empty where it is not about a list)."""

    def __init__(self, message: str, *, oldest: int, field: str = "", cursor: str = "") -> None:
        super().__init__(message, field=field)
        self.oldest = oldest
        self.cursor = cursor


def not_kept(moment: int | datetime, oldest: int, field: str = "") -> Gone:
    """What to raise for a moment before the oldest that is kept."""
    told = moment.isoformat() if isinstance(moment, datetime) else moment
    return Gone(f"the graph is kept from position {oldest} on, not as of {told}", oldest=oldest, field=field)
