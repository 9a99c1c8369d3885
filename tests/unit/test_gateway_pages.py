"""The explorers' pages: everything they load is ours."""

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.gateway import Gateway, open_gateway
from tests.graph import memory_store

_REFERENCE = re.compile(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""")
_IN_STYLE = re.compile(r"""url\(\s*["']?([^"')]+)""")
_IMPORT = re.compile(r"@import")


@pytest_asyncio.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    async with open_gateway(memory_store()) as gateway:
        yield gateway


@pytest.mark.parametrize("page", ["/docs", "/graphql"])
async def test_a_page_refers_to_no_other_origin(gateway: Gateway, page: str) -> None:
    answer = await gateway.client.get(page)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    references = set(_REFERENCE.findall(answer.text)) - {"data:,"}
    assert references
    for reference in references:
        assert reference.startswith("/static/")
        loaded = await gateway.client.get(reference)
        assert loaded.status_code == 200
        if reference.endswith(".css"):
            assert not _IMPORT.search(loaded.text)
            assert all(found.startswith(("data:", "#")) for found in _IN_STYLE.findall(loaded.text))


@pytest.mark.parametrize("script", ["/static/swagger/start.js", "/static/graphiql/start.js"])
async def test_our_scripts_ask_our_own_addresses(gateway: Gateway, script: str) -> None:
    text = (await gateway.client.get(script)).text
    references = _REFERENCE.findall(text)
    assert references
    assert all(reference.startswith("/") for reference in references)
    assert "://" not in text
