"""docs/fronts.md against the code: its documents, names and bounds."""

import json
import re

from datamodel.scheduling.secrets import USES_LIMIT
from datamodel.secrets.ports import SECRETS_LIMIT
from datamodel.secrets.value import KEYS_LIMIT, LIMIT_BYTES
from gateway.fronts import credentials, hades, jobscheduler, nexus
from gateway.fronts.given import parsed
from gateway.fronts.keeping import LOOKED_AT
from gateway.settings import FRONTS
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/fronts.md").read_text()


def test_its_build_is_one() -> None:
    (text,) = re.findall(r"--data '(.+?)'\n```", PAGE, re.DOTALL)
    build = hades.build_of(parsed(json.dumps(json.loads(text)).encode(), hades.HadesBuild), "id")
    assert build.values == {"GIT_TOKEN": "tr0ub4dor"}


def test_it_tells_what_becomes_of_every_field() -> None:
    named = {name for shape in (hades.HadesBuild, hades.HadesStep) for name in shape.model_fields} - {"image"}
    assert not [name for name in sorted(named) if f"`{name}`" not in PAGE]


def test_it_tells_every_front_end_label_and_annotation() -> None:
    told = {*FRONTS, hades.PRIORITY, hades.ID, hades.NAME, hades.TIMESTAMP}
    told |= {jobscheduler.NAME, nexus.JOB_ID, nexus.CREATION_TIME}
    assert not [name for name in sorted(told) if f"`{name}`" not in PAGE]


def test_it_tells_which_names_are_credentials() -> None:
    (listed,) = re.findall(r"by its name \((.+?) anywhere in it\)", PAGE, re.DOTALL)
    names = re.findall(r"`(\w+)`", listed)
    assert len(names) == 11
    assert all(credentials.names_credential(f"A_{name.upper()}_B") for name in names)


def test_it_tells_the_bounds() -> None:
    for told in (
        f"{hades.CPU_DEFAULT} cores and {hades.MEMORY_DEFAULT_BYTES // 2**20} MiB",
        f"at most {USES_LIMIT} credentials, a job {KEYS_LIMIT} and {LIMIT_BYTES // 1024} KiB",
        f"looks at {LOOKED_AT} others",
        f"{SECRETS_LIMIT:,} secrets at most",
    ):
        assert told in PAGE, told
