"""Looking for values in a file that an attempt has left."""

import asyncio

from agents.runtimes.protocol import SharedFile
from agents.secrets.redaction import Needles

PAGE_BYTES = 2**20


async def holds_any(file: SharedFile, needles: Needles) -> bool:
    """Whether any pattern stands in what is left to read of a file, also across the ends of what is read at once. Raises
    `Transient`."""
    overlap = max(needles.longest - 1, 0)
    before = b""
    while page := await file.read(PAGE_BYTES):
        text = before + page
        if await asyncio.to_thread(needles.spans, text):
            return True
        before = text[len(text) - overlap :] if overlap else b""
    return False
