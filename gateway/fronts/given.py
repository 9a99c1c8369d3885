"""Documents in the form of other systems, read strictly: unknown fields are refused, and no error shows a value."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.requests import Request

from datamodel.names import NAME_LIMIT
from datamodel.parts import invalid
from gateway.rest.body import read_hidden_document


class Given(BaseModel):
    """The base of every such document. Its fields have the names that the other system gives them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


Shape = TypeVar("Shape", bound=Given)

NO_ZERO = r"^[^\x00]*$"
Text = Annotated[str, StringConstraints(max_length=1_024, pattern=NO_ZERO)]
"""What people call something."""


async def read_given(request: Request, shape: type[Shape]) -> tuple[Shape, bytes]:
    """The document that a request carries, and its bytes. Raises what `read_hidden_document` does, and `Invalid` naming each
    field that is not as it should be."""
    _, body = await read_hidden_document(request)
    return parsed(body, shape), body


def parsed(body: bytes, shape: type[Shape]) -> Shape:
    """The document that these bytes are. Raises `Invalid`."""
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error, "") from None  # its text has more than the fields' names


def label_of(name: str, otherwise: str) -> str:
    """A DNS label that people recognize a name in."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    words = "-".join(word for word in kept.split("-") if word)
    return words[: NAME_LIMIT - 4].rstrip("-") or otherwise
