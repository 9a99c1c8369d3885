"""How it is said that a row is not what follows from the log."""

_SHOWN_CHARACTERS = 120


def presence(name: str, stored: object, derived: object) -> str | None:
    """A sentence where only one of the two exists (None: it does not); None where both or neither do."""
    if stored is None and derived is not None:
        return f"{name}: follows from the log, and is not stored"
    if stored is not None and derived is None:
        return f"{name}: is stored, and does not follow from the log"
    return None


def difference(name: str, stored: object, derived: object) -> str | None:
    """A sentence where the two differ."""
    if stored == derived:
        return None
    return presence(name, stored, derived) or f"{name}: {_shown(stored)} is stored, {_shown(derived)} follows"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
