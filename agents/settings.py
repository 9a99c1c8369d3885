"""What the agents' program can be told, by environment variables."""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import psutil
from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from datamodel.errors import Invalid
from datamodel.names import check_labels, check_name
from datamodel.parts import check_labels_size
from datamodel.scheduling.resources import CPU_LIMIT, MEMORY_LIMIT_BYTES, POWER_LIMIT_W
from datamodel.scheduling.wire import hosted_edges

_POWER_W = 37.0
"""The power of an edge that declares none: the largest of the simulated model's levels."""


class Settings(BaseSettings):
    """Read once, at the start. A capacity that is not declared is the host's, divided by the edges of this process."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    tendril_nats_url: str = Field(description="nats://… with an agent's credential")
    edge_site: str = Field(default="local", description="the site's name")
    edge_name: str = Field(default="edge", description="the edge's name; of a group, the prefix")
    edge_count: int = Field(default=1, ge=1, le=10_000, description="how many edges this process hosts")
    edge_runtime: Literal["auto", "docker", "process", "simulated"] = Field(default="auto")
    edge_home: Path = Field(default=Path(".tendril/edge"), description="where the outbox and the process runtime live")
    edge_cpu: float | None = Field(default=None, gt=0, le=CPU_LIMIT, description="cores of each edge")
    edge_memory_bytes: int | None = Field(default=None, gt=0, le=MEMORY_LIMIT_BYTES, description="memory of each edge")
    edge_power_w: float = Field(default=_POWER_W, gt=0, le=POWER_LIMIT_W, description="watts of each edge")
    edge_labels: Annotated[dict[str, str], NoDecode] = Field(
        default={}, description="labels of each edge, as a JSON object"
    )
    edge_step_user: str = Field(default="nobody", description="who runs the process runtime's steps when we are root")

    @field_validator("edge_site", "edge_name")
    @classmethod
    def _is_a_name(cls, name: str) -> str:
        try:
            return check_name(name)
        except Invalid as error:
            raise ValueError(error.message) from error

    @field_validator("edge_count")
    @classmethod
    def _are_names(cls, count: int, known: ValidationInfo) -> int:
        try:
            if "edge_name" in known.data:  # else that is what is wrong
                check_name(hosted_edges(known.data["edge_name"], count)[-1])
        except Invalid as error:
            raise ValueError(f"the last edge's name: {error.message}") from error
        return count

    @field_validator("edge_labels", mode="before")
    @classmethod
    def _read(cls, labels: object) -> object:
        try:
            return msgspec.json.decode(labels) if isinstance(labels, str) else labels
        except RecursionError as error:
            raise ValueError("JSON is nested too deep") from error

    @field_validator("edge_labels")
    @classmethod
    def _are_labels(cls, labels: dict[str, str]) -> dict[str, str]:
        try:
            check_labels(labels)
            check_labels_size(labels)
        except Invalid as error:
            raise ValueError(error.message) from error
        return labels

    @property
    def edges(self) -> list[str]:
        return hosted_edges(self.edge_name, self.edge_count)

    @cached_property
    def cpu(self) -> float:
        return self.edge_cpu or (os.cpu_count() or 1) / self.edge_count

    @cached_property
    def memory_bytes(self) -> int:
        return self.edge_memory_bytes or psutil.virtual_memory().total // self.edge_count
