"""What the agents' program can be told, by environment variables."""

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
import psutil
from pydantic import Field, FiniteFloat, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from agents.artifacts.cache import LIMIT_BYTES as LIMIT_INPUTS_BYTES
from agents.artifacts.errands import HOLD_S as ARTIFACT_HOLD_S
from agents.artifacts.sending import LIMIT_BYTES as LIMIT_ARTIFACTS_BYTES
from agents.logs.cutting import LIMIT_BYTES, LIMIT_LINES
from agents.logs.shipper import HOLD_S
from agents.runtimes.policy import Policy
from agents.simulated_settings import SimulatedSettings
from datamodel.errors import Invalid
from datamodel.feed.access import Access
from datamodel.names import check_labels, check_name
from datamodel.parts import check_labels_size
from datamodel.private import check_private
from datamodel.scheduling.artifacts import ARTIFACT_LIMIT_BYTES, ARTIFACTS_LIMIT
from datamodel.scheduling.joining import Token
from datamodel.scheduling.permissions import inbox
from datamodel.scheduling.resources import CPU_LIMIT, MEMORY_LIMIT_BYTES, POWER_LIMIT_W, Countables
from datamodel.scheduling.wire import GROUP_LIMIT, hosted_edges

_POWER_W = 37.0
"""The power of an edge that declares none: the largest of the simulated model's levels."""


class Settings(SimulatedSettings):
    """Read once, at the start. A capacity that is not declared is the host's, divided by the edges of this process; on
    Kubernetes, the cluster's."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    tendril_nats_url: str = Field(description="nats://… or tls://… of a server")
    tendril_nats_ca: Path | None = Field(default=None, description="a file of certificates that vouch for it")
    edge_creds: Path | None = Field(default=None, description="the file of its credential; agent.creds in its home")
    edge_join_token: SecretStr | None = Field(
        default=None, description="what lets the agent join where it has no credential yet"
    )
    edge_join_token_file: Path | None = Field(
        default=None, description="a file of it instead, that nobody else may read"
    )
    edge_site: str = Field(default="local", description="the site's name")
    edge_name: str = Field(default="edge", description="the edge's name; of a group, the prefix")
    edge_count: int = Field(default=1, ge=1, le=GROUP_LIMIT, description="how many edges this process hosts")
    edge_runtime: Literal["auto", "docker", "kubernetes", "process", "simulated"] = Field(default="auto")
    edge_home: Path = Field(default=Path(".tendril/edge"), description="where the outbox and the process runtime live")
    edge_cpu: float | None = Field(default=None, gt=0, le=CPU_LIMIT, description="cores of each edge")
    edge_memory_bytes: int | None = Field(default=None, gt=0, le=MEMORY_LIMIT_BYTES, description="memory of each edge")
    edge_power_w: float = Field(default=_POWER_W, gt=0, le=POWER_LIMIT_W, description="watts of each edge")
    edge_power_file: Path | None = Field(
        default=None, description="a JSON file that says how much of that there is now, and is expected; read every 5 s"
    )
    edge_labels: Annotated[dict[str, str], NoDecode] = Field(
        default={}, description="labels of each edge, as a JSON object"
    )
    edge_gpus: Annotated[Countables | None, NoDecode] = Field(
        default=None, description="GPUs of each edge by type, as a JSON object"
    )
    edge_countables: Annotated[Countables | None, NoDecode] = Field(
        default=None, description="other things that each edge has a number of, by name, as a JSON object"
    )
    edge_carbon_g_per_kwh: FiniteFloat | None = Field(
        default=None, ge=0, le=10_000, description="grams of CO2 for a kilowatt-hour of its power"
    )
    edge_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="networks that jobs may ask for beside none, with commas between"
    )
    edge_images: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("*",), description="patterns of the full names of the images that may run, with commas between"
    )
    edge_image_digests: bool = Field(default=False, description="whether images run by digest only")
    edge_registry_auth: Path | None = Field(
        default=None, description="registries' credentials, as docker's config.json"
    )
    edge_root: bool = Field(default=False, description="whether containers may run as root, without capabilities")
    edge_pids: int = Field(default=512, ge=16, le=2**22, description="the most processes and threads of a step")
    edge_tmp_bytes: int = Field(
        default=2**30, ge=4096, le=MEMORY_LIMIT_BYTES, description="the most that /tmp may hold"
    )
    edge_swap_bytes: int = Field(default=0, ge=0, le=MEMORY_LIMIT_BYTES, description="the most swap of a chunk")
    edge_engine_log_bytes: int = Field(
        default=2**21, ge=2**16, le=2**40, description="what the engine keeps of each step's output"
    )
    edge_log_bytes: int = Field(
        default=LIMIT_BYTES,
        ge=4096,
        le=LIMIT_BYTES,
        description="the most of an attempt's output that goes into its log",
    )
    edge_log_lines: int = Field(default=LIMIT_LINES, ge=4, le=LIMIT_LINES, description="the most of its lines")
    edge_log_hold_s: FiniteFloat = Field(
        default=HOLD_S, ge=0, description="how long an ended attempt's container stays for a hub that is not reached"
    )
    edge_artifact_bytes: int = Field(
        default=LIMIT_ARTIFACTS_BYTES,
        ge=0,
        le=ARTIFACTS_LIMIT * ARTIFACT_LIMIT_BYTES,
        description="the most of an attempt's artifacts, together",
    )
    edge_inputs_bytes: int = Field(
        default=LIMIT_INPUTS_BYTES, ge=0, le=MEMORY_LIMIT_BYTES, description="how many bytes of inputs are kept on disk"
    )
    edge_artifact_hold_s: FiniteFloat = Field(
        default=ARTIFACT_HOLD_S, gt=0, description="how long an attempt waits for the hub to take or give its files"
    )
    edge_step_user: str = Field(default="nobody", description="who runs the process runtime's steps when we are root")
    edge_sandbox: bool = Field(default=True, description="whether they run in bubblewrap where that is installed")

    edge_kubernetes_namespace: str = Field(
        default="tendril",
        pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        description="the namespace of the cluster where Jobs are made",
    )
    edge_kubernetes_image: str = Field(
        default="docker.io/library/busybox:stable-musl",
        min_length=1,
        description="an image with a static /bin/busybox, whose programs stand over the steps of Jobs",
    )

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

    @field_validator("edge_labels", "edge_gpus", "edge_countables", mode="before")
    @classmethod
    def _read(cls, given: object) -> object:
        try:
            return msgspec.json.decode(given) if isinstance(given, str) else given
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

    @field_validator("edge_networks", "edge_images", mode="before")
    @classmethod
    def _split(cls, listed: object) -> object:
        if not isinstance(listed, str):
            return listed
        return tuple(word for part in listed.split(",") if (word := part.strip()))

    @field_validator("edge_registry_auth")
    @classmethod
    def _is_a_configuration(cls, path: Path | None) -> Path | None:
        """It is read anew for each pull; that it cannot be read at all is better told at the start."""
        try:
            if path is not None:
                msgspec.json.decode(path.read_bytes(), type=dict[str, object])
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from error
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise ValueError("the file is no JSON object") from error
        return path

    @property
    def creds(self) -> Path:
        """The file of its credential."""
        return self.edge_creds or self.edge_home / "agent.creds"

    @property
    def nats(self) -> Access:
        answered = inbox(self.edge_site, self.edge_name)
        return Access(self.tendril_nats_url, self.creds, self.tendril_nats_ca, answered)

    def join_token(self) -> Token | None:
        """What it may join by, if anything. Raises `Invalid`, which shows none of it."""
        if self.edge_join_token is not None:
            return Token.of(self.edge_join_token.get_secret_value())
        if self.edge_join_token_file is None:
            return None
        try:
            check_private(self.edge_join_token_file)
            return Token.of(self.edge_join_token_file.read_text(encoding="ascii"))
        except (OSError, UnicodeError) as error:
            raise Invalid(f"the token {self.edge_join_token_file} cannot be read: {error}") from error

    @property
    def policy(self) -> Policy:
        return Policy(
            networks=self.edge_networks,
            images=self.edge_images,
            digests=self.edge_image_digests,
            root=self.edge_root,
            pids=self.edge_pids,
            tmp_bytes=self.edge_tmp_bytes,
            swap_bytes=self.edge_swap_bytes,
            log_bytes=self.edge_engine_log_bytes,
            registry_auth=self.edge_registry_auth,
        )

    def with_capacity(self, cpu: float, memory_bytes: int) -> Self:
        """The same, where a capacity that is not declared is an equal part of this one and not of the host's."""
        return self.model_copy(
            update={
                "edge_cpu": self.edge_cpu or cpu / self.edge_count,
                "edge_memory_bytes": self.edge_memory_bytes or memory_bytes // self.edge_count,
            }
        )

    @property
    def edges(self) -> list[str]:
        return hosted_edges(self.edge_name, self.edge_count)

    @cached_property
    def cpu(self) -> float:
        return self.edge_cpu or (os.cpu_count() or 1) / self.edge_count

    @cached_property
    def memory_bytes(self) -> int:
        return self.edge_memory_bytes or psutil.virtual_memory().total // self.edge_count
