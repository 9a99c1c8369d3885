"""How much of a line logs may take."""

import asyncio


class Budget:
    """So many bytes a second, over any time longer than one. Who spends more than there is waits, one after the other."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_s = 0.0
        """When everything that was spent so far is paid for."""

    async def spend(self, size_bytes: int) -> None:
        """Returns when so many bytes may leave."""
        now_s = asyncio.get_running_loop().time()
        wait_s = self._free_s - now_s
        self._free_s = max(self._free_s, now_s - 1.0) + size_bytes / self._bytes_per_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)
