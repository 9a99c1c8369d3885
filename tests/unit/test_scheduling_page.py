"""docs/scheduling.md against the code: its examples, figures and words about what edges say and operators plan."""

import json
import re

import agents.settings
from agents.news import images, power
from agents.news.power_file import FILE_LIMIT_BYTES, power_in
from datamodel.parts import normal_spec
from datamodel.scheduling.forecasts import FORECAST_LIMIT
from datamodel.scheduling.images import IMAGES_CHARACTERS, IMAGES_LIMIT
from datamodel.scheduling.maintenance import WINDOWS_LIMIT
from datamodel.scheduling.service import EdgeConfig, SiteConfig
from reconcilers.placement import Placement
from reconcilers.planning.images import SETS_LIMIT
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs" / "scheduling.md").read_text()
POWER = PAGE.partition("## Power that varies")[2].partition("\n## ")[0]
IMAGES = PAGE.partition("**Images that are there.**")[2].partition("\n## ")[0]
WINDOWS = PAGE.partition("## Maintenance windows")[2].partition("\n## ")[0]


def _example(section: str) -> str:
    found = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_file_of_the_page_is_one() -> None:
    found = power_in(_example(POWER).encode())
    assert (found.available_w, [one.power_w for one in found.forecast]) == (120.0, [80.0, 0.0])


def test_the_windows_of_the_page_are_some_of_edges_and_of_sites() -> None:
    asked = json.loads(_example(WINDOWS))
    for kind in (EdgeConfig, SiteConfig):
        assert len(normal_spec(kind, asked)["maintenance"]) == 2


def test_its_figures_are_those_of_the_code() -> None:
    assert (power.READ_S, power.STEP, power.HOLD_S) == (5.0, 0.01, 300.0), (
        "every five seconds, a hundredth, five minutes"
    )
    assert f"`forecast` ({FORECAST_LIMIT} moments at most, in order; of {FILE_LIMIT_BYTES // 1024} KiB in all)" in POWER
    assert f"the {IMAGES_LIMIT} newest ({IMAGES_CHARACTERS // 1024} KiB of names)" in IMAGES
    assert f"{SETS_LIMIT} sets of images at a time" in IMAGES
    assert (images.READ_S, Placement.resync_s) == (60.0, 300.0), "every minute; every five minutes again"
    assert f"up to {WINDOWS_LIMIT} windows" in WINDOWS


def test_its_settings_are_there() -> None:
    named = re.findall(r"`(EDGE_[A-Z_]+)`", POWER)
    assert "EDGE_POWER_FILE" in named
    assert not [name for name in named if name.lower() not in agents.settings.Settings.model_fields]
