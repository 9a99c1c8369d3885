"""Moments that people name: with their offset from UTC, so that they mean the same wherever they are read."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator


def _is_text(moment: object) -> datetime:
    """Numbers, in texts too, would be taken as seconds since 1970."""
    if isinstance(moment, str):
        with suppress(ValueError):
            return datetime.fromisoformat(moment.upper())
    raise ValueError("a moment is a text, as 2026-01-31T12:00:00Z")


def _says_its_offset(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment tells its offset from UTC, as in 2026-01-31T12:00:00Z")
    return moment


Moment = Annotated[datetime, BeforeValidator(_is_text), AfterValidator(_says_its_offset)]
