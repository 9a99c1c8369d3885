"""The executor answers as graphql-core does, whatever the values are; it only takes another way."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from gateway.graphql.executor import Executor
from gateway.graphql.objects import derived, listed, loaded, object_type, plain, read, resolved
from gateway.graphql.scalars import JSON, SCALARS, DateTime, Long

QUERY = """
query Items($with: Boolean!) { items {
  total __typename label: name ...Facts parts { text } owner { name total owner { deep { big } } }
} }
fragment Facts on Item {
  deep { text number at } maybe { ...Deep many } deeps { big json } name @skip(if: $with)
  deep @include(if: $with) { big number }
}
fragment Deep on Deep { __typename big json }
"""


class Asked:
    """A request's context: how often fields were loaded, and for how many sources."""

    def __init__(self) -> None:
        self.loads: list[int] = []


async def _totals(context: Asked, items: Sequence[Any]) -> list[Any]:
    return await _members(context, items, "total")


async def _owners(context: Asked, items: Sequence[Any]) -> list[Any]:
    return await _members(context, items, "owner")


async def _parts(context: Asked, items: Sequence[Any]) -> list[Any]:
    return await _members(context, items, "parts")


async def _members(context: Asked, items: Sequence[Any], member: str) -> list[Any]:
    context.loads.append(len(items))
    await asyncio.sleep(0)
    found = [item.get(member) for item in items]
    if "fails" in found:
        raise LookupError(member)
    return found


def _name(root: Any) -> Any:
    return root["name"]


def schema(executor: type[StrawberryGraphQLCoreExecutionContext]) -> strawberry.Schema:
    deep = object_type(
        "Deep",
        [
            plain("text", str),
            plain("number", int | None),
            plain("big", Long),
            plain("at", DateTime | None),
            plain("many", list[int]),
            plain("json", JSON),
        ],
    )
    item = object_type(
        "Item",
        [
            derived("name", str, _name),
            plain("deep", deep),
            plain("maybe", deep | None),
            plain("deeps", listed(deep | None)),
            loaded("total", int, _totals),
            loaded("parts", listed(deep), _parts),
        ],
    )
    item.__strawberry_definition__.fields.append(loaded("owner", item | None, _owners))

    async def items(root: Any) -> Any:
        return root

    query = object_type("Query", [resolved("items", listed(item | None), items)])
    config = StrawberryConfig(default_resolver=read, scalar_map=SCALARS)
    return strawberry.Schema(query=query, config=config, execution_context_class=executor)


OURS, THEIRS = schema(Executor), schema(StrawberryGraphQLCoreExecutionContext)

odd: st.SearchStrategy[Any] = st.sampled_from([None, "text", "", 0, 2**40, 1.5, [], {}, True])


def mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 30).flatmap(lambda number: right if number else odd)


deeps = mostly(
    st.fixed_dictionaries(
        {
            "text": mostly(st.text(max_size=3)),
            "big": mostly(st.integers(0, 2**50)),
            "json": mostly(st.just({"any": [1]})),
            "many": mostly(st.lists(st.integers(0, 9), max_size=2)),
        },
        optional={"number": mostly(st.integers(0, 9)), "at": mostly(st.just("2026-01-02T03:04:05Z"))},
    )
)


def members(owner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {
            "name": mostly(st.text(max_size=3)),
            "deep": deeps,
            "deeps": mostly(st.lists(st.none() | deeps, max_size=2)),
            "total": mostly(st.integers(0, 9)) | st.sampled_from([1, "fails"]),
            "parts": mostly(st.lists(deeps, max_size=2)),
        },
        optional={"owner": owner, "maybe": st.none() | deeps},
    )


items = st.lists(st.none() | members(members(members(st.none()))), max_size=4)


async def asked(of: strawberry.Schema, found: Any, *, include: bool) -> tuple[Any, Any, Asked]:
    context = Asked()
    result = await of.execute(QUERY, root_value=found, context_value=context, variable_values={"with": include})
    errors = [(error.path, error.message) for error in result.errors or ()]
    return result.data, errors, context


@given(found=items, include=st.booleans())
async def test_answers_are_as_graphql_cores(found: Any, include: bool) -> None:  # noqa: FBT001 - drawn
    data, errors, _ = await asked(OURS, found, include=include)
    expected, their_errors, _ = await asked(THEIRS, found, include=include)
    assert data == expected
    assert all(path is not None for path, _ in errors), "the query is one of the schema"
    if data is not None:
        assert list(map(_order, data["items"])) == list(map(_order, expected["items"]))
    assert {_place(data, *error) for error in errors} == {_place(expected, *error) for error in their_errors}


def _place(data: Any, path: list[Any], message: str) -> tuple[Any, ...]:
    """What an error has made null, with its message where that is the field itself. Of several within an object that must go,
    as many are told as have come up until then."""
    for depth, key in enumerate(path):
        if data is None:
            return tuple(path[:depth])
        data = data[key]
    return *path, message


def _order(document: Any) -> Any:
    """The names of members, in their order."""
    if isinstance(document, dict):
        return [(name, _order(value)) for name, value in document.items()]
    return [_order(item) for item in document] if isinstance(document, list) else None


def _item(number: int, owner: Any = None) -> dict[str, Any]:
    deep = {"text": "t", "big": 1, "json": {}, "many": []}
    return {"name": f"i{number}", "deep": deep, "deeps": [], "total": number, "parts": [], "owner": owner}


async def test_a_list_loads_each_field_once_for_each_level() -> None:
    found = [_item(number, _item(100 + number)) for number in range(20)]
    data, errors, context = await asked(OURS, found, include=False)
    assert not errors
    assert [item["owner"]["total"] for item in data["items"]] == [*range(100, 120)]
    assert sorted(context.loads) == [20] * 5  # total, parts and owner; then total and owner of the owners


@pytest.mark.parametrize("member", ["total", "parts"])
async def test_a_load_that_fails_for_one_is_its_error_alone(member: str) -> None:
    found = [{**_item(number), **({member: "fails"} if number == 1 else {})} for number in range(3)]
    data, errors, _ = await asked(OURS, found, include=False)
    assert [path for path, _ in errors] == [["items", 1, member]]
    assert [item and item["label"] for item in data["items"]] == ["i0", None, "i2"]
