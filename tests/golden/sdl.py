"""`python -m tests.golden.sdl`: writes the GraphQL schema of the scheduling model into `docs/schema.graphql`."""

import sys
from pathlib import Path

from datamodel.scheduling.model import MODEL
from gateway.graphql.schema import create_schema
from gateway.scheduling import extras_of

SDL = Path(__file__).parents[2] / "docs" / "schema.graphql"


def sdl() -> str:
    """The schema as the code makes it."""
    return create_schema(MODEL, extras_of(MODEL, ())).as_str() + "\n"


if __name__ == "__main__":
    SDL.write_text(sdl(), encoding="utf-8")
    sys.stdout.write(f"{SDL.name}\n")
