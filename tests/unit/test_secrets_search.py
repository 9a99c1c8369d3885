"""A value in a file is found wherever it stands, also across the ends of what is read at once."""

import pytest

from agents.secrets.redaction import Needles
from agents.secrets.search import PAGE_BYTES, holds_any

VALUE = b"correct horse battery"
NEEDLES = Needles((b"something else, and longer", VALUE))


class File:
    """In memory."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size_bytes = data, len(data)

    async def read(self, limit_bytes: int) -> bytes:
        page, self._data = self._data[:limit_bytes], self._data[limit_bytes:]
        return page

    async def close(self) -> None:
        """Nothing is open."""


@pytest.mark.parametrize("at", [0, 1, PAGE_BYTES - 21, PAGE_BYTES - 20, PAGE_BYTES - 1, PAGE_BYTES, 2 * PAGE_BYTES - 7])
async def test_it_is_found_anywhere(at: int) -> None:
    data = b"x" * at + VALUE + b"z" * 100
    assert await holds_any(File(data), NEEDLES)
    assert not await holds_any(File(data.replace(VALUE, VALUE[:-1])), NEEDLES)


async def test_where_nothing_is_hidden_nothing_is_found() -> None:
    assert not await holds_any(File(b"x" * 2 * PAGE_BYTES), Needles(()))
