"""The API by its own OpenAPI document: requests that schemathesis makes of it, and answers that it must describe."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import httpx
import pytest
import pytest_asyncio
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import APIOperation, Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from datamodel.command import Command
from datamodel.seeds import seed
from tests.fuzz.budget import budget
from tests.gateway import BASE_URL, Gateway, open_gateway
from tests.graph import SYSTEM, done, memory_store, new_edge, new_job, place

KNOWN = {"jobGroup": "default", "group": "default", "job": "runs", "name": "ended", "site": "s", "edge": "e"}
KNOWN |= {"desiredSite": "s", "desiredEdge": "e", "id": "ended"}
"""Names that exist, for addresses."""

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
REFUSED = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.PRECONDITION_FAILED, HTTPStatus.GONE}
"""Refusals too that the tool does not know as such, of what nobody has looked at any further."""


@pytest_asyncio.fixture(scope="module")
async def gateway() -> AsyncIterator[Gateway]:
    store = memory_store()
    await seed(store)
    await new_edge(store)
    await place(store, await new_job(store, "runs"))
    await new_job(store, "ended")
    ended = Command("patchStatus", "/config/job-groups/default/jobs/ended", {"phase": "failed"})
    await done(store, ended, actor=SYSTEM)
    async with open_gateway(store) as gateway:
        yield gateway


@pytest_asyncio.fixture(scope="module")
async def operations(gateway: Gateway) -> list[APIOperation[Any, Any, Any, Any]]:
    """All that the document describes, but for what streams until its job ends, and what tells that NATS is away here."""
    document = (await gateway.client.get("/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    found = [one.ok() for one in schema.get_all_operations() if isinstance(one, Ok)]
    return [one for one in found if not one.path.endswith("/events") and one.path != "/readyz"]


@pytest.mark.parametrize("mode", list(GenerationMode))
@budget(120)
@given(data=st.data())
async def test_answers_are_as_the_document_says(
    gateway: Gateway, operations: list[APIOperation[Any, Any, Any, Any]], mode: GenerationMode, data: st.DataObject
) -> None:
    able = [one for one in operations if mode is GenerationMode.POSITIVE or one.query or one.body]
    case = data.draw(data.draw(st.sampled_from(able)).as_strategy(mode))
    for name in case.path_parameters:
        if data.draw(st.booleans()):
            case.path_parameters[name] = KNOWN.get(name, case.path_parameters[name])
    (case.query or {}).pop("watch", None)  # it would go on for ever
    answer = await sent(gateway, case)
    checks = CHECKS if answer.status_code in REFUSED else [*CHECKS, negative_data_rejection]
    case.validate_response(answer, checks=checks)


async def sent(gateway: Gateway, case: Case[Any]) -> httpx.Response:
    request = case.as_transport_kwargs(base_url=BASE_URL)
    data = request.get("data")
    body = {"content" if isinstance(data, str | bytes) else "data": data, "json": request.get("json")}
    return await gateway.client.request(
        request["method"],
        request["url"],
        params=request["params"],
        headers=[(name.encode(), str(value).encode("latin-1")) for name, value in request["headers"].items()],
        **{name: value for name, value in body.items() if value is not None},
    )
