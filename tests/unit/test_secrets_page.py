"""docs/secrets.md against the code: its example, its variables, its bounds."""

import json
import re

from agents.secrets.masks import LEAST_BYTES, LEAST_LINE_BYTES, PIECE_BYTES
from datamodel.parts import normal_spec
from datamodel.scheduling.handover import HANDED_LIMIT_BYTES
from datamodel.scheduling.jobs import Job
from datamodel.scheduling.secrets import SECRETS_LIMIT, USES_LIMIT
from datamodel.secrets import ports, value
from datamodel.secrets.opening import KeepingSettings, RevealingSettings
from reconcilers.handover import ASKS_LIMIT
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/secrets.md").read_text()


def test_its_job_is_one() -> None:
    (text,) = re.findall(r"```json\n(.+?)```", PAGE, re.DOTALL)
    document = json.loads(text)
    assert document.pop("name")
    uses = normal_spec(Job, document)["steps"][0]["secrets"]
    assert [use.get("env", use.get("file")) for use in uses] == ["TOKEN", "key.pem"]


def test_it_tells_every_variable() -> None:
    named = {*KeepingSettings.model_fields, *RevealingSettings.model_fields}
    assert not [name for name in sorted(named) if f"`TENDRIL_{name.upper()}`" not in PAGE]


def test_it_tells_the_bounds() -> None:
    for told in (
        f"{value.LIMIT_BYTES // 1024} KiB in all, {value.KEYS_LIMIT} keys",
        f"{ports.SECRETS_LIMIT:,} |",
        f"{USES_LIMIT} values; of all steps of a job, {SECRETS_LIMIT} secrets",
        f"{HANDED_LIMIT_BYTES // 1024} KiB; more",
        f"{ASKS_LIMIT:,} of an agent",
        f"fewer than {LEAST_BYTES} bytes",
        f"line of {LEAST_LINE_BYTES} bytes or more",
        f"beyond {PIECE_BYTES} bytes",
    ):
        assert told in PAGE, told
