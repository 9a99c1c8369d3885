"""What a job runs for each chunk: its steps, what ends an attempt at one, and what its engine is told of it."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from datamodel.kinds import Name, Part
from datamodel.scheduling.resources import MEMORY_LIMIT_BYTES
from datamodel.scheduling.secrets import EnvName, SecretUses, check_places

STEPS_LIMIT = 32
STEPS_BYTES = 150 * 1024
"""Of all steps together: with the outputs and messages that come later, the job and each of its attempts stay nodes that the
store takes."""
ENV_LIMIT = 128
ANNOTATIONS_LIMIT = 32
TIMEOUT_LIMIT_S = 30 * 86_400.0
GRACE_LIMIT_S = 600.0

Network = Annotated[
    str,
    StringConstraints(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"),
    Field(description="none, or the name of a network that the edge's operator allows, as bridge"),
]


class Step(Part):
    """One container of the sequence: what it is, what it runs and as whom. `script` is run by `shell`, `command` is an argv,
    neither: the image's own command."""

    name: Name
    image: Annotated[
        str,
        StringConstraints(min_length=1, max_length=512, pattern=r"^[^\s@]+(@sha256:[0-9a-f]{64})?$"),
        Field(description="name, name:tag or name@sha256:digest"),
    ]
    pull_policy: Annotated[
        Literal["Always", "IfNotPresent", "Never"],
        Field(description="whether a registry is asked each time, where the edge lacks the image, or not at all"),
    ] = "IfNotPresent"
    script: Annotated[str, StringConstraints(min_length=1, max_length=65_536)] | None = None
    shell: Annotated[
        tuple[Annotated[str, StringConstraints(min_length=1, max_length=4_096)], ...] | None,
        Field(min_length=1, max_length=16, description="the argv that the script is appended to; absent: /bin/sh -c"),
    ] = None
    command: Annotated[tuple[Annotated[str, StringConstraints(max_length=65_536)], ...], Field(max_length=256)] = ()
    env: Annotated[
        dict[EnvName, Annotated[str, StringConstraints(max_length=32_768)]], Field(max_length=ENV_LIMIT)
    ] = {}
    user: Annotated[
        str | None,
        StringConstraints(pattern=r"^[0-9]{1,9}(:[0-9]{1,9})?$"),
        Field(description="uid or uid:gid; absent: the image's user if that is not root, else nobody"),
    ] = None
    read_only_root: Annotated[bool, Field(strict=True, description="only /shared and /tmp take writes")] = True
    secrets: SecretUses | None = None
    continue_on_error: Annotated[
        bool, Field(strict=True, description="the next step starts, and the chunk succeeds, whatever its exit code is")
    ] = False

    @model_validator(mode="after")
    def _one_way_to_run(self) -> "Step":
        if self.script is not None and self.command:
            raise ValueError("a step has a script or a command, not both")
        if self.shell is not None and self.script is None:
            raise ValueError("a shell runs a script, and this step has none")
        return self

    @model_validator(mode="after")
    def _secrets_have_places(self) -> "Step":
        uses = self.secrets or ()
        check_places(uses)
        if any(use.env in self.env for use in uses):
            raise ValueError("a secret goes into a variable that the step's env has too")
        return self


AnnotationName = Annotated[
    str,
    StringConstraints(
        pattern=r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
    ),
]
Annotations = Annotated[
    dict[AnnotationName, Annotated[str, StringConstraints(max_length=4_096)]], Field(max_length=ANNOTATIONS_LIMIT)
]


class Limits(Part):
    """What ends one attempt at a chunk, or what it can take no more of. Absent: what its edge's operator allows at most,
    and no limit of time."""

    timeout_s: Annotated[
        float | None,
        Field(gt=0, le=TIMEOUT_LIMIT_S, allow_inf_nan=False, description="wall clock since the first step's start"),
    ] = None
    grace_s: Annotated[
        float | None,
        Field(
            ge=0,
            le=GRACE_LIMIT_S,
            allow_inf_nan=False,
            description="between TERM and KILL where it is stopped, to save what it has; absent: 10",
        ),
    ] = None
    pids: Annotated[
        int | None,
        Field(ge=16, le=2**22, strict=True, description="processes and threads of a step, its init among them"),
    ] = None
    tmp_bytes: Annotated[
        int | None,
        Field(ge=4096, le=MEMORY_LIMIT_BYTES, strict=True, description="of /tmp; what is there counts as memory"),
    ] = None
    swap_bytes: Annotated[
        int | None,
        Field(ge=0, le=MEMORY_LIMIT_BYTES, strict=True, description="swap beside the memory; absent: none"),
    ] = None
    artifacts_bytes: Annotated[
        int | None,
        Field(
            ge=0,
            le=MEMORY_LIMIT_BYTES,
            strict=True,
            description="artifacts of the whole job; each chunk has an equal share of it",
        ),
    ] = None
