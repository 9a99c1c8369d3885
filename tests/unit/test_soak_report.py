"""What a soak says: verdicts, what is not judged, and a page that needs nothing else."""

import math
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sim.load.arrivals import Phase
from sim.load.tally import Tally
from sim.soak.chart import HEIGHT, POINTS_MOST, WIDTH, chart
from sim.soak.report import report
from sim.soak.series import EXCEPTIONS, MEASURES, MIB, Samples, Series

VOID = {"meta", "br", "line", "polyline"}


def series(name: str, values: list[float], every_s: float = 30.0) -> Series:
    found = Series(name)
    for number, value in enumerate(values):
        found.add(number * every_s, value)
    return found


LEAK = [(100 + number / 2) * MIB for number in range(120)]
"""A megabyte a minute."""
FLAT = [100 * MIB + (number % 3) * MIB / 4 for number in range(120)]


def test_series_are_judged_by_their_measure() -> None:
    assert series("memory: gateway", LEAK).verdict == "growing"
    assert series("memory: gateway", FLAT).verdict == "flat"
    assert series("memory: gateway", LEAK[:10]).verdict == "short"
    assert series("memory RSS: gateway", LEAK).verdict == "not judged"
    assert series("open files: gateway", [50 + number / 10 for number in range(120)]).verdict == "growing"
    assert series("latency p99: running", [80.0 + number % 7 for number in range(120)]).verdict == "flat"


def test_what_grows_by_design_is_not_judged_and_says_why() -> None:
    for name in ("memory: nats-server", "log: events", "size: events", "rows: idempotency", "feed: messages"):
        found = series(name, LEAK)
        assert found.verdict == "not judged"
        assert "by design" in found.result()["why"]
    assert series("feed: surplus messages", LEAK).verdict == "growing"
    assert series("feed: bytes per message", LEAK).verdict == "growing"


def test_whatever_is_not_judged_has_a_reason() -> None:
    assert all(measure.why for measure in (*MEASURES.values(), *EXCEPTIONS.values()) if measure.tolerance is None)


def test_samples_of_programs_that_come_later_begin_later() -> None:
    samples = Samples()
    samples.add(1.0, {"memory: gateway": 1.0})
    samples.add(2.0, {"memory: gateway": 2.0, "memory: agents late": 5.0})
    assert list(samples.series["memory: gateway"].times_s) == [1.0, 2.0]
    assert list(samples.series["memory: agents late"].times_s) == [2.0]


class Page(HTMLParser):
    """Checks that what is opened is closed, and keeps the addresses and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def result(*all_series: Series, problems: tuple[str, ...] = ()) -> dict[str, Any]:
    tally = Tally(Phase("soak", 10, 60))
    for number in range(100):
        for latencies in tally.latencies.values():
            latencies.add(number / 10, number / 1000)
    tally.errors["submit: <503>"] = 2
    return {
        "began": "2026-01-01T00:00:00+00:00",
        "minutes": 60.0,
        "warmupMinutes": 2.0,
        "ratePerS": 10.0,
        "warmupRatePerS": 20.0,
        "seed": 1,
        "machine": {"cores": 2, "memoryBytes": 2**33, "python": "3.12.1", "tendril": "0.1.0"},
        "problems": list(problems),
        "notes": [],
        "load": [tally.result(10.0)],
        "series": [one.result() for one in all_series],
    }


def test_the_page_shows_every_series_and_loads_nothing() -> None:
    text = report(
        result(
            series("memory: <gateway>", FLAT),
            series("memory: reconcilers", LEAK),
            series("log: events", LEAK),
            problems=("memory: reconcilers grows",),
        )
    )
    page = Page(text)
    assert page.addresses == []
    assert not re.search(r"https?:|@import|url\(|<script", text)
    assert text.count("<svg") == 3
    assert "memory: <gateway>" in page.texts, "names are escaped"
    said = " ".join(page.texts)
    assert "Something is the matter" in said
    assert "submit: <503> (2)" in said
    assert text.index("memory: reconcilers</td>") < text.index("memory: &lt;gateway&gt;</td>"), "what grows comes first"
    assert "Nothing grows that must be flat" in " ".join(Page(report(result(series("memory: g", FLAT)))).texts)


def points(svg: str) -> list[tuple[float, float]]:
    line = ET.fromstring(svg).find("polyline")
    assert line is not None
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


@pytest.mark.parametrize("values", [[5.0], [0.0] * 50, [1e9 + n for n in range(100)], [-3.0, 4.0], LEAK])
def test_a_chart_stays_in_its_frame(values: list[float]) -> None:
    drawn = points(chart(list(range(len(values))), values, "a & b"))
    assert len(drawn) == len(values)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in drawn)


def test_a_long_series_is_thinned_and_keeps_its_peaks() -> None:
    values = [math.sin(number / 50) for number in range(10_000)]
    values[4321] = 9.0
    drawn = points(chart(list(range(10_000)), values, "long"))
    assert len(drawn) <= POINTS_MOST + 2
    assert sum(y < HEIGHT / 4 for _, y in drawn) == 1, "the one peak"


def test_no_samples_are_no_chart() -> None:
    assert chart([], [], "nothing") == ""
