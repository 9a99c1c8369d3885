"""Moments that people name: with their offset from UTC, so that they mean the same wherever they are read."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator


def _says_its_offset(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment tells its offset from UTC, as in 2026-01-31T12:00:00Z")
    return moment


Moment = Annotated[datetime, AfterValidator(_says_its_offset)]
