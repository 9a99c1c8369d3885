"""What the simulated runtime can be told, by environment variables."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode

from agents.runtimes.luck import Chances
from agents.runtimes.trace import Trace, read_trace
from datamodel.errors import Invalid


class SimulatedSettings(BaseSettings):
    """The part of the agents' settings that only `EDGE_RUNTIME=simulated` reads."""

    edge_simulated_seed: int | None = Field(
        default=None, description="of power, failures and slowness; None for one of the site's and the agent's name"
    )
    edge_simulated_trace: Annotated[Trace | None, NoDecode] = Field(
        default=None, description="a CSV file of seconds and watts that the power follows; None for one drawn by seed"
    )
    edge_simulated_failing: float = Field(default=0.0, ge=0, le=1, description="the probability that an attempt fails")
    edge_simulated_fail_code: int = Field(default=1, ge=1, le=255, description="the exit code of one that fails")
    edge_simulated_fail_at: float | None = Field(
        default=None, ge=0, le=1, description="the part of its work after which it fails; None for one drawn evenly"
    )
    edge_simulated_slow_sigma: float = Field(
        default=0.0,
        ge=0,
        le=5,
        description="work is multiplied by a lognormal factor of median 1; the sigma of its log",
    )
    edge_simulated_straggling: float = Field(default=0.0, ge=0, le=1, description="the fraction of stragglers")
    edge_simulated_straggler_factor: float = Field(
        default=10.0, ge=1, le=1e6, description="how many times as long a straggler takes"
    )

    edge_simulated_tells_power: bool = Field(
        default=False, description="whether the hub is told what power there is at a time, and counts on no more"
    )
    edge_simulated_images: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="images that each edge has, with commas between"
    )

    @field_validator("edge_simulated_images", mode="before")
    @classmethod
    def _split_images(cls, listed: object) -> object:
        if not isinstance(listed, str):
            return listed
        return tuple(word for part in listed.split(",") if (word := part.strip()))

    @field_validator("edge_simulated_trace", mode="before")
    @classmethod
    def _read_trace(cls, path: object) -> object:
        try:
            return read_trace(Path(path)) if isinstance(path, str) else path
        except Invalid as error:
            raise ValueError(error.message) from error

    def chances(self, seed: int) -> Chances:
        return Chances(
            seed=seed,
            failing=self.edge_simulated_failing,
            fail_code=self.edge_simulated_fail_code,
            fail_at=self.edge_simulated_fail_at,
            slow_sigma=self.edge_simulated_slow_sigma,
            straggling=self.edge_simulated_straggling,
            straggler_factor=self.edge_simulated_straggler_factor,
        )
