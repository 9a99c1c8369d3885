"""Hades: the document of its `POST /build` (version 1.0 and what came to it since), as a job and the values to be kept secret.

Written from `shared/payload/payload.go`, `docs/api.md` and `HadesScheduler/docker` in github.com/ls1intum/hades.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated
from urllib.parse import parse_qsl, urlsplit

import msgspec
from pydantic import AwareDatetime, Field, StringConstraints, field_validator
from pydantic_core import PydanticCustomError

from datamodel.errors import Invalid
from datamodel.kinds import Document
from datamodel.scheduling.callbacks import URL_LIMIT
from datamodel.scheduling.steps import STEPS_LIMIT, TIMEOUT_LIMIT_S
from datamodel.secrets.value import KEYS_LIMIT, LIMIT_BYTES
from gateway.fronts.credentials import has_credential, is_credential, names_credential
from gateway.fronts.given import NO_ZERO, Given, Text, label_of

PRIORITY, ID = "hades.tum.de/priority", "hades.tum.de/id"
"""Labels of the job; the first one is what Hades has on its pods."""
NAME, TIMESTAMP = "hades.tum.de/name", "hades.tum.de/timestamp"
"""Annotations of the job."""
CPU_DEFAULT, MEMORY_DEFAULT_BYTES = 0.5, 512 * 2**20
"""Of a job whose steps name no limit. Hades runs such without one, or with its executor's; here everything has one."""

_UNITS = {"m": 2**20, "g": 2**30}
_LOW, _HIGH = 1, 3
_NO_TIME = 1
"""The year of what Go takes for no time."""
_BEGIN = 'cd "$SHARED_DIR"\n'
"""Before each script: Hades' steps run in the shared directory."""

_Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,119}$")]
_Value = Annotated[str, StringConstraints(max_length=32_768, pattern=NO_ZERO)]
_Metadata = Annotated[
    dict[_Variable, _Value] | None, Field(description="variables; what looks like a credential becomes a secret")
]
_Uuid = Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
_Memory = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,9}[GgMm])?$"), Field(description="as 512M or 2G")]


class HadesStep(Given):
    """One container. Steps run in the order in which they stand."""

    id: Annotated[int, Field(ge=0, description="rises with each step, where it is given")] = 0
    name: Text = ""
    image: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    script: Annotated[str, StringConstraints(max_length=65_000)] = ""
    metadata: _Metadata = None
    cpu_limit: Annotated[int, Field(ge=0, description="cores; the most that a step names is what the job has")] = 0
    memory_limit: _Memory = ""
    memory_swap: Annotated[_Memory, Field(description="memory and swap together")] = ""
    pids_limit: Annotated[int, Field(ge=0)] = 0
    network: Annotated[Text, Field(description="the same in all steps that name one")] = ""
    continue_on_error: bool = False


class HadesBuild(Given):
    """A job as Hades' clients send it."""

    id: Annotated[_Uuid | None, Field(description="a label of the job; the job has an id of its own")] = None
    name: Annotated[Text, Field(min_length=1)]
    timestamp: AwareDatetime | None = None
    priority: Annotated[int, Field(description="a label of the job: nothing here has a priority")] = _HIGH
    metadata: _Metadata = None
    steps: Annotated[list[HadesStep], Field(min_length=1, max_length=STEPS_LIMIT)]
    timeout_seconds: Annotated[int, Field(ge=0, le=int(TIMEOUT_LIMIT_S), description="0: none")] = 0
    callback_url: Annotated[
        str,
        Field(
            max_length=URL_LIMIT, description="a callback of the job: it is told how it ended, and not sent its logs"
        ),
    ] = ""

    @field_validator("callback_url")
    @classmethod
    def _is_public(cls, url: str) -> str:
        """It is in the log, so it must not open anything."""
        if not url:
            return url
        try:
            parts = urlsplit(url)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable():
            raise PydanticCustomError("url", "an absolute http or https URL")
        pairs = [pair for part in (parts.query, parts.fragment) for pair in parse_qsl(part)]
        if "@" in parts.netloc or has_credential(url) or any(names_credential(name) for name, _ in pairs):
            raise PydanticCustomError("url", "a URL with a credential in it would be in the log")
        return url


class HadesBuildAccepted(msgspec.Struct, frozen=True):
    """`job_id` is the name of the job, in the group `default`."""

    message: str
    job_id: str


class Build(msgspec.Struct, frozen=True):
    """A job's flat document, the values by key that its steps take from the secret of that name, and the places in what was
    sent by those in the document. It shows no value."""

    document: Document
    secret: str
    values: Mapping[str, str]
    places: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Build({self.secret})"


def build_of(given: HadesBuild, job_id: str) -> Build:
    """The job of this name that a document describes. Raises `Invalid` where one job here cannot be that."""
    _check_order(given)
    secret, values = f"hades-{job_id}", dict[str, str]()
    places = {"/steps": "/steps", "/limits/timeoutS": "/timeout_seconds"}
    steps = [_step(given, at, job_id, secret, values, places) for at in range(len(given.steps))]
    _check_credentials(steps, values, places)
    amounts: Document = {"/requests/cpu": CPU_DEFAULT, "/requests/memoryBytes": MEMORY_DEFAULT_BYTES}
    for place, field, found in (
        ("/requests/cpu", "cpu_limit", _most(given, lambda step: step.cpu_limit)),
        ("/requests/memoryBytes", "memory_limit", _most(given, lambda step: _bytes(step.memory_limit))),
        ("/limits/pids", "pids_limit", _most(given, lambda step: step.pids_limit)),
        ("/limits/swapBytes", "memory_swap", _swap(given)),
        ("/network", "network", _network(given)),
    ):
        if found is not None:
            at, amounts[place] = found
            places[place] = f"/steps/{at}/{field}"
    if given.timeout_seconds:
        amounts["/limits/timeoutS"] = given.timeout_seconds
    document: Document = {"name": job_id, "labels": _labels(given), "annotations": _annotations(given), "steps": steps}
    document["retries"] = 0
    if given.callback_url:
        document["callbacks"] = [{"url": given.callback_url}]
        places["/callbacks"] = "/callback_url"
    for place, amount in amounts.items():
        *part, name = place[1:].split("/")
        (document.setdefault(part[0], {}) if part else document)[name] = amount
    return Build(document, secret, values, places)


def accepted(given: HadesBuild, job_id: str) -> HadesBuildAccepted:
    """The answer."""
    told = (
        f"; the callback_url hears of its end, its logs: /v1/jobs/default/{job_id}/logs" if given.callback_url else ""
    )
    return HadesBuildAccepted(f"Successfully enqueued job{told}", job_id)


def _step(
    given: HadesBuild, at: int, job_id: str, secret: str, values: dict[str, str], places: dict[str, str]
) -> Document:
    """A step, with its variables; adds to the values and places those of its own."""
    sent, place = given.steps[at], f"/steps/{at}"
    own, common = sent.metadata or {}, given.metadata or {}
    told = {"UUID": job_id, "JOB_NAME": given.name}  # as Hades does, whatever the metadata says
    env = dict(told)
    uses: list[Document] = []
    for name, value in {**common, **own}.items():
        if name in told:
            continue
        origin = f"{place}/metadata/{name}" if name in own else f"/metadata/{name}"
        if is_credential(name, value):
            key = name if values.get(name, value) == value else f"{at + 1}.{name}"
            values[key] = value
            places[f"{place}/secrets/{len(uses)}"] = origin
            uses.append({"secret": secret, "key": key, "env": name})
        else:
            env[name] = value
            places[f"{place}/env/{name}"] = origin
    places |= {place: place, f"{place}/name": f"{place}/name"}
    places |= {f"{place}/{field}": f"{place}/{field}" for field in ("image", "script")}
    places |= {f"{place}/{field}": f"{place}/metadata" for field in ("env", "secrets")}
    return {
        "name": f"{at + 1}-{label_of(sent.name, 'step')}",
        "image": sent.image,
        **({"script": _BEGIN + sent.script} if sent.script else {}),
        "env": env,
        **({"secrets": uses} if uses else {}),
        "readOnlyRoot": False,
        "continueOnError": sent.continue_on_error,
    }


def _check_order(given: HadesBuild) -> None:
    ids = [step.id for step in given.steps]
    for at in range(1, len(ids)):
        if any(ids) and ids[at] <= ids[at - 1]:
            raise Invalid("the ids of steps rise in the order in which they stand, and run", field=f"/steps/{at}/id")


def _check_credentials(steps: Sequence[Document], values: Mapping[str, str], places: Mapping[str, str]) -> None:
    """Raises `Invalid` naming the credential with which they are too many, or too large, for one secret."""
    keys: set[str] = set()
    size = 0
    for at, step in enumerate(steps):
        for number, use in enumerate(step.get("secrets", ())):
            if use["key"] in keys:
                continue
            keys.add(use["key"])
            size += len(values[use["key"]].encode())
            if len(keys) > KEYS_LIMIT or size > LIMIT_BYTES:
                told = f"a job has at most {KEYS_LIMIT} credentials, and {LIMIT_BYTES} bytes of them in all"
                raise Invalid(told, field=places[f"/steps/{at}/secrets/{number}"])


def _most(given: HadesBuild, amount: Callable[[HadesStep], int]) -> tuple[int, int] | None:
    """Which step names the most of something, and how much; None where no step names any."""
    amounts = [amount(step) for step in given.steps]
    return (amounts.index(max(amounts)), max(amounts)) if any(amounts) else None


def _swap(given: HadesBuild) -> tuple[int, int] | None:
    """The most swap beside the memory that a step names, and which step does; None where none names any."""
    found: list[tuple[int, int]] = []
    for at, step in enumerate(given.steps):
        if not step.memory_swap:
            continue
        swap = _bytes(step.memory_swap) - _bytes(step.memory_limit)
        if not step.memory_limit or swap < 0:
            raise Invalid("memory and swap together, at least the memory_limit", field=f"/steps/{at}/memory_swap")
        found.append((at, swap))
    return max(found, key=lambda named: named[1], default=None)


def _network(given: HadesBuild) -> tuple[int, str] | None:
    """The network that steps name, and the first one that does; None where none names any but the executor's own."""
    named = [(at, step.network) for at, step in enumerate(given.steps) if step.network not in ("", "default")]
    for at, network in named:
        if network != named[0][1]:
            raise Invalid("the steps of a job are on one network", field=f"/steps/{at}/network")
    return named[0] if named else None


def _bytes(amount: str) -> int:
    return int(amount[:-1]) * _UNITS[amount[-1].lower()] if amount else 0


def _labels(given: HadesBuild) -> dict[str, str]:
    """Hades has three priorities; it takes what is below for the lowest and what is above for the highest."""
    labels = {PRIORITY: str(min(max(given.priority, _LOW), _HIGH))}
    if given.id is not None and set(given.id) != set("0-"):
        labels[ID] = given.id.lower()
    return labels


def _annotations(given: HadesBuild) -> dict[str, str]:
    told = {NAME: given.name, TIMESTAMP: _time(given.timestamp)}
    return {name: value for name, value in told.items() if value}


def _time(at: datetime | None) -> str:
    return at.isoformat() if at is not None and at.year > _NO_TIME else ""
