"""The GraphQL schema is the one that people read and generate clients from, and what its page shows is asked of it."""

import json
import re

from graphql import build_schema, parse, validate

from gateway.pages import STATIC
from tests.golden.sdl import SDL, sdl

EXAMPLES = STATIC / "graphiql" / "examples.js"
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


def test_the_examples_of_the_explorer_are_valid() -> None:
    schema = build_schema(SDL.read_text(encoding="utf-8"))
    text = EXAMPLES.read_text(encoding="utf-8")
    queries = re.findall(r"query: `(.*?)`", text, re.DOTALL)
    assert len(queries) == text.count("query:") > 3
    for query in queries:
        assert validate(schema, parse(query)) == []
    for variables in re.findall(r"variables: `(.*?)`", text, re.DOTALL):
        json.loads(variables)
