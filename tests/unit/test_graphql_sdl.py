"""The GraphQL schema is the one that people read and generate clients from, and what its page shows is asked of it."""

import re

from graphql import build_schema, parse, validate

from tests.golden.sdl import SDL, sdl

PAGE = SDL.with_name("graphql.md")


def test_the_schema_is_as_it_is_checked_in() -> None:
    """Where a change of it is meant, `python -m tests.golden.sdl` writes it anew."""
    assert sdl() == SDL.read_text(encoding="utf-8")


def test_the_queries_of_its_page_are_valid() -> None:
    schema = build_schema(SDL.read_text(encoding="utf-8"))
    queries = re.findall(r"```graphql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert queries
    for query in queries:
        assert validate(schema, parse(query)) == []
