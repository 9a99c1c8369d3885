"""docs/edge-agent.md against the code: its numbers, its words, its files."""

import re

from agents import health, link, outbox, sqlite_journal
from agents.runtimes.process import lease
from agents.runtimes.reasons import LEASE_OVER, UNSUPPORTED
from datamodel.scheduling import leases, windows
from datamodel.scheduling.edges import Edge
from sim.chaos.machine import ROOT

PAGE = (ROOT / "docs/edge-agent.md").read_text()
FLOWING = " ".join(PAGE.split())


def test_its_numbers_are_those_of_the_code() -> None:
    assert f"after {link.FIRST_S:g} s all the same" in FLOWING
    assert health.CHECK_S == 5.0
    assert "every five seconds whether its disk" in FLOWING
    assert f"has {sqlite_journal.ROOM_BYTES // 2**20} MiB left" in FLOWING
    assert outbox.LIMIT_REPORTS == 1_000_000
    assert "a million reports wait" in FLOWING
    assert f"after {health.PATIENCE_S:g} s, as its `spec.trouble`" in FLOWING
    assert windows.BOOT_BITS == 32
    assert "32 bits of chance" in FLOWING
    assert lease.LOOK_S == 0.5
    assert "looks twice a second" in FLOWING
    assert leases.GUARD_S == 2.0
    assert "two seconds after the lease's end" in FLOWING
    assert leases.RENEWALS == 3
    assert "asks three times within that time" in FLOWING


def test_it_tells_every_version_and_its_words() -> None:
    assert [int(found) for found in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)] == [*windows.SPEAKS]
    for word in (LEASE_OVER, UNSUPPORTED, leases.ask_subject("SITE", "AGENT"), leases.answer_subject("SITE", "AGENT")):
        assert f"`{word}`" in PAGE
    assert any(f"`{column.name}`" in PAGE and column.path == "status.clone.host" for column in Edge.columns)


def test_what_it_points_at_is_there() -> None:
    for path in re.findall(r"`(tests/[a-z_/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for page, anchor in re.findall(r"\]\(([a-z-]*\.?m?d?)#([a-z-]+)\)", PAGE):
        text = (ROOT / "docs" / page).read_text() if page else PAGE
        titles = [
            title.lower().replace(" ", "-").replace(",", "") for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        ]
        assert anchor in titles, anchor
