"""A real browser for tests: Debian's Chromium, spoken to by the DevTools protocol, and kept from every host but this one."""

import asyncio
import itertools
import json
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
START_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 30.0
MESSAGE_BYTES = 32 * 1024 * 1024
_MARK = "DevTools listening on "
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


@dataclass
class Page:
    """One page. `asked` are the addresses of all that it loads, `complaints` what its scripts complain of."""

    _socket: ClientConnection
    _session: str = ""
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)
    _waiting: dict[int, "asyncio.Future[Any]"] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    async def open(self, url: str) -> None:
        target = (await self._call("Target.createTarget", url="about:blank"))["targetId"]
        self._session = (await self._call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self._call(f"{domain}.enable")
        await self._call("Page.navigate", url=url)

    async def value(self, expression: str) -> Any:
        """What an expression of JavaScript is, awaited if it is to be. Raises `AssertionError` where it throws."""
        told = await self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    async def until(self, expression: str, *, timeout_s: float = 30.0) -> None:
        """Returns once an expression is true. Raises `AssertionError` that shows the page where it does not become so."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.value(expression):  # noqa: ASYNC110 - what a page does sets no event of ours
                    await asyncio.sleep(0.1)
        except TimeoutError as error:
            shown = await self.value("document.body.innerText.slice(0, 2000)")
            raise AssertionError(
                f"{expression} does not become true; {self.complaints}; the page shows: {shown}"
            ) from error

    async def listen(self) -> None:
        """Takes what the browser says, until it is gone."""
        async for text in self._socket:
            message = json.loads(text)
            if (answer := self._waiting.pop(message.get("id"), None)) is not None:
                answer.set_result(message)
                continue
            given = message.get("params", {})
            if message.get("method") == "Network.requestWillBeSent":
                self.asked.append(given["request"]["url"])
            elif message.get("method") == "Network.webSocketCreated":
                self.asked.append(given["url"])
            elif message.get("method") == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(given["exceptionDetails"])[:500])
            elif message.get("method") == "Log.entryAdded" and given["entry"]["level"] == "error":
                self.complaints.append(given["entry"]["text"])

    async def _call(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        session = {"sessionId": self._session} if self._session else {}
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params, **session}))
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            message = await answer
        assert "error" not in message, message
        return message["result"]


@asynccontextmanager
async def browsing(directory: Path, url: str) -> AsyncIterator[Page]:
    """A page at an address, in a browser of its own that keeps its files in a directory. Skips the test where there is no
    browser, or fails it where one is required."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        if os.environ.get("TENDRIL_REQUIRE_BROWSER") == "1":
            pytest.fail("TENDRIL_REQUIRE_BROWSER=1, and there is no Chromium")
        pytest.skip("there is no Chromium")
    process = await asyncio.create_subprocess_exec(
        program,
        *_FLAGS,
        f"--user-data-dir={directory}",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HOME": str(directory)},
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while _MARK not in (line := (await process.stderr.readline()).decode()):
                assert line, "the browser has ended"
        draining = asyncio.create_task(process.stderr.read())
        address = line.partition(_MARK)[2].strip()
        async with connect(address, proxy=None, max_size=MESSAGE_BYTES) as socket:
            page = Page(socket)
            listening = asyncio.create_task(page.listen())
            try:
                await page.open(url)
                yield page
            finally:
                listening.cancel()
        draining.cancel()
    finally:
        os.killpg(process.pid, SIGKILL)
        await process.wait()
