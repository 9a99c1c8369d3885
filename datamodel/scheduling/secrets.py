"""What a step asks for of its job group's secrets: never a value, only names."""

import re
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from datamodel.kinds import Name, Part
from datamodel.secrets.value import DEFAULT_KEY

USES_LIMIT = 32
"""Of one step."""
SECRETS_LIMIT = 32
"""Secrets of all steps together: what is handed to an edge at a time."""

KEY_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
"""The pattern of a secret's keys."""

EnvName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$")]

_TAKEN = re.compile(r"CHUNK_(INDEX|COUNT|SHARE|WORK_WS|EPOCH)|ARRAY_INDEX|ATTEMPT|SHARED_DIR|SECRETS_DIR")


class SecretUse(Part):
    """One value of a secret: where the step finds it. It is in a variable, or in a file at `/run/secrets`."""

    secret: Name
    key: Annotated[str, StringConstraints(pattern=KEY_PATTERN)] = DEFAULT_KEY
    env: EnvName | None = None
    file: Annotated[
        str | None,
        StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"),
        Field(description="the name of a file in /run/secrets"),
    ] = None

    @model_validator(mode="after")
    def _one_place(self) -> "SecretUse":
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret goes into a variable (env) or a file (file): say one of them")
        if self.env is not None and _TAKEN.fullmatch(self.env):
            raise ValueError(f"the variable {self.env} tells steps something else")
        return self


SecretUses = Annotated[tuple[SecretUse, ...], Field(min_length=1, max_length=USES_LIMIT)]


def check_places(uses: tuple[SecretUse, ...]) -> None:
    """Raises `ValueError` where two uses of one step have the same place."""
    places = [(use.env, use.file) for use in uses]
    if len(set(places)) < len(places):
        raise ValueError("two secrets go into the same variable or file")
