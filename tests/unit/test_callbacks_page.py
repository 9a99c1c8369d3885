"""docs/callbacks.md against the code: its job, the document that is sent, its reasons, settings and bounds."""

import json
import re
from datetime import UTC, datetime
from typing import get_args

from datamodel.node import Node
from datamodel.parts import normal_spec
from datamodel.scheduling.callbacks import CALLBACKS_LIMIT, NOTICES_BYTES, URL_LIMIT, Told
from datamodel.scheduling.jobs import Job
from reconcilers.callbacks import LINES, WORKERS
from reconcilers.calling import ports
from reconcilers.calling.signing import LEAST_BYTES, MOST_BYTES
from reconcilers.planning.callbacks import FORMAT, Terms, body_of, noted, sealed
from reconcilers.settings import Settings
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/callbacks.md").read_text()
README = (ROOT / "README.md").read_text()
JOB, DOCUMENT = (json.loads(text) for text in re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL))


def test_its_job_is_one_and_its_document_is_what_is_sent() -> None:
    data = DOCUMENT["data"]
    spec = normal_spec(Job, {name: value for name, value in JOB.items() if name != "name"} | {"chunks": 8})
    status = {"phase": "succeeded", "startedAt": data["startedAt"], "finishedAt": data["finishedAt"]}
    status |= {"chunks": {"succeeded": 8}, "outputs": data["outputs"]}
    now = datetime(2030, 1, 1, tzinfo=UTC)
    job = Node(data["job"], data["uid"], "Job", {}, spec, status, {}, (), 1, data["version"], 1, now)
    (notice,) = sealed(noted(job, status, now), data["version"])
    sent = json.loads(body_of(job, notice))
    assert {**sent, "id": DOCUMENT["id"]} == DOCUMENT
    assert sent["format"] == FORMAT
    assert re.fullmatch(r"evt_[0-9a-f]{32}", DOCUMENT["id"])
    assert re.fullmatch(r"evt_[0-9a-f]{32}", sent["id"])


def test_it_tells_every_state_reason_and_setting() -> None:
    states = get_args(Told.model_fields["state"].annotation)
    reasons = {getattr(ports, name) for name in vars(ports) if name.isupper()}
    reasons |= {"Refused", "Redirected", "Gone", "SecretMissing", "SecretUnusable", "SecretUnavailable"}
    named = [name for name in Settings.model_fields if name.startswith("callbacks_")]
    told = {*states, *reasons, *(f"TENDRIL_{name.upper()}" for name in named)}
    assert len(told) == 3 + 12 + 6
    assert not [name for name in sorted(told) if f"`{name}`" not in PAGE]
    suffixes = [name.removeprefix("callbacks_").upper() for name in named]
    assert not [
        name for name in suffixes if f"`…_{name}`" not in README and f"`TENDRIL_CALLBACKS_{name}`" not in README
    ]


def test_it_tells_the_defaults() -> None:
    for name, field in Settings.model_fields.items():
        if name.startswith("callbacks_"):
            (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `TENDRIL_{name.upper()}`")]
            shown = {"": "none", False: "false"}.get(field.default) or f"{field.default}".removesuffix(".0")
            assert row.rstrip("| ").rpartition("| ")[2].strip("`") == shown


def test_it_tells_the_bounds() -> None:
    terms = Terms(30, 86_400.0)
    for told in (
        f"at most {URL_LIMIT:,} characters",
        f"at most {CALLBACKS_LIMIT} callbacks",
        f"{LEAST_BYTES} to {MOST_BYTES} bytes",
        f"again: {terms.first_s:g} s later",
        f"{NOTICES_BYTES // 1024} KiB have room",
        f"has {WORKERS} jobs at a time that call, and {LINES} calls",
    ):
        assert told in PAGE, told
    assert terms.most_s == 3600.0
