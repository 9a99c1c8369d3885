"""Both explorers in a real browser that reaches nothing but the gateway."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from datamodel.postgres.store import PostgresStore
from datamodel.scheduling.model import MODEL
from tests.browser import Page, browsing
from tests.gateway import Gateway, open_gateway, serving
from tests.graph import done, job, new_job

pytestmark = pytest.mark.browser

_RESULT = "(document.querySelector('.result-window')?.innerText ?? '').replaceAll('\u00a0', ' ')"
"""What the explorer's editor shows: it writes spaces of another kind."""


@pytest_asyncio.fixture
async def gateway(database_url: str) -> AsyncIterator[tuple[Gateway, str]]:
    async with (
        PostgresStore(database_url, MODEL) as store,
        open_gateway(store) as gateway,
        serving(gateway) as (_, client),
    ):
        yield gateway, str(client.base_url).rstrip("/")


def only_ours(page: Page, url: str) -> None:
    ours = (url, url.replace("http://", "ws://"), "data:", "blob:")
    assert page.asked
    assert [address for address in page.asked if not address.startswith(ours)] == []
    assert page.complaints == []


async def run(page: Page, tab: str) -> None:
    """Opens an example and runs it."""
    tabs = "[...document.querySelectorAll('.graphiql-tab-button')]"
    await page.until(f"{tabs}.some(one => one.innerText === {json.dumps(tab)})")
    await page.value(f"{tabs}.find(one => one.innerText === {json.dumps(tab)}).click()")
    state = "JSON.parse(localStorage['graphiql:tabState'] ?? '{\"tabs\": []}')"
    await page.until(f"{state}.tabs[{state}.activeTabIndex]?.operationName === {json.dumps(tab)}")
    await page.value("document.querySelector('.graphiql-execute-button').click()")


async def test_an_example_is_run_and_a_subscription_goes_on(gateway: tuple[Gateway, str], tmp_path: Path) -> None:
    served, url = gateway
    await new_job(served.store, "first")
    async with browsing(tmp_path, f"{url}/graphql") as page:
        await run(page, "Jobs")
        await page.until(f"{_RESULT}.includes('jobs/first')")
        await run(page, "Watch")
        await page.until(f"{_RESULT}.includes('bookmark')")
        await done(served.store, job("second"))
        await page.until(f"{_RESULT}.includes('\"position\": {await served.position()}')")
        only_ours(page, url)


async def test_the_description_of_the_routes_is_shown(gateway: tuple[Gateway, str], tmp_path: Path) -> None:
    _, url = gateway
    async with browsing(tmp_path, f"{url}/docs") as page:
        await page.until("document.querySelectorAll('.opblock').length > 5")
        assert "/v1/jobs" in await page.value("document.body.innerText")
        only_ours(page, url)
