"""By which images edges are told apart, and that those that have them come first."""

from collections.abc import Mapping
from typing import Any

import pytest

from datamodel.scheduling.images import image_name, images_of
from datamodel.scheduling.placing import ANYWHERE, Rules
from datamodel.scheduling.scheduler import BEST_FIT, FIRST_FIT, POWER_AWARE, SPREAD
from reconcilers.planning.backlog import PendingJob, Ranking
from reconcilers.planning.fleet import Fleet
from reconcilers.planning.images import SETS_LIMIT, Images
from reconcilers.planning.views import Edge
from tests.placing import backlog, edge, fleet, pending, place, planned, told

BUSYBOX, OTHER = "docker.io/library/busybox:latest", "quay.io/a/b:1"
BY_IMAGE = Rules(images=(BUSYBOX,))


def job(*images: str) -> dict[str, Any]:
    return {"steps": [{"name": f"s{number}", "image": image} for number, image in enumerate(images)]}


def having(number: int, *images: str, **more: Any) -> tuple[Edge, Mapping[str, int]]:
    one, free = edge(number, **more)
    return Edge(one.path, one.site, one.labels, one.capacity, one.carbon, frozenset(images)), free


def test_images_are_told_in_full_and_once() -> None:
    assert images_of(job("quay.io/a/b:1", "busybox", "busybox:latest")) == (BUSYBOX, OTHER)
    assert str(image_name("busybox")) == BUSYBOX


def test_what_nobody_has_and_what_everybody_has_is_nothing_to_go_by() -> None:
    images = Images()
    assert images.preferred(job("busybox")) == ()
    images.put("e", [])
    images.put("f", [OTHER])
    assert images.preferred(job("busybox")) == ()
    images.put("e", [BUSYBOX])
    assert images.preferred(job("busybox")) == (BUSYBOX,)
    assert images.preferred(job("busybox", "quay.io/a/b:1")) == (BUSYBOX, OTHER)
    images.put("f", [OTHER, BUSYBOX])
    assert images.preferred(job("busybox")) == ()
    assert images.preferred(job("busybox", "quay.io/a/b:1")) == (BUSYBOX, OTHER), "only one has both"
    images.drop("f")
    assert images.preferred(job("quay.io/a/b:1")) == ()
    assert images.preferred(job("busybox")) == ()
    images.put("g", [])
    assert images.preferred(job("busybox")) == (BUSYBOX,)


def test_edges_are_told_apart_by_so_many_sets_at_most() -> None:
    images, names = Images(), [f"i{number}" for number in range(SETS_LIMIT + 1)]
    images.put("e", [str(image_name(name)) for name in names])
    images.put("f", [])
    assert [bool(images.preferred(job(name))) for name in names] == [True] * SETS_LIMIT + [False]
    assert images.preferred(job(names[0])), "who was told apart before still is"


@pytest.mark.parametrize("policy", [FIRST_FIT, BEST_FIT, SPREAD, POWER_AWARE])
def test_edges_that_have_the_images_come_first_and_then_the_others(policy: str) -> None:
    """The others suit better by any policy: the first by name, the smallest and the largest."""
    there = fleet(
        having(1), having(2, cpu=9_000), having(3, BUSYBOX, cpu=4_000), having(4, BUSYBOX, cpu=2_000), policy=policy
    )
    found = planned(backlog(pending(1, chunks=9, rules=BY_IMAGE)), there)
    edges = [name for *_, name in told(found.decisions)]
    assert set(edges[:6]) == {"e3", "e4"}
    assert set(edges[6:]) <= {"e1", "e2"}


def test_what_is_declared_preferred_goes_before_images_and_power_that_is_clean() -> None:
    rules = Rules(preferred=(("disk=ssd", 1),), images=(BUSYBOX,))
    there = fleet(
        having(1, BUSYBOX, carbon=10.0),
        having(2, labels={"disk": "ssd"}, carbon=900.0),
        having(3, BUSYBOX, carbon=400.0),
        having(4, carbon=20.0),
        policy=POWER_AWARE,
    )
    found = planned(backlog(pending(1, chunks=4, rules=rules)), there)
    assert [name for *_, name in told(found.decisions)] == ["e2", "e1", "e4", "e3"]


def test_an_edge_that_gets_an_image_comes_first_from_then_on() -> None:
    there = fleet(having(1), having(2))
    assert told(planned(backlog(pending(1, rules=BY_IMAGE)), there).decisions)[0][-1] == "e1"
    there.put(*having(2, BUSYBOX))
    assert told(planned(backlog(pending(1, rules=BY_IMAGE)), there).decisions)[0][-1] == "e2"


def test_a_job_for_which_it_is_all_the_same_goes_anywhere() -> None:
    from tests.unit.test_plan_deadlines import job as node  # noqa: PLC0415 - a job as the graph has it

    one = node()
    for images, rules in ((), ANYWHERE), ((BUSYBOX,), BY_IMAGE):
        found = PendingJob.of(one, 0, (), ranking=Ranking(), group={}, images=images)
        assert found.wanted.rules == rules
        assert (found.wanted.rules is ANYWHERE) == (not images)


def test_what_an_edge_has_may_vary_and_it_stays_where_it_is() -> None:
    there = Fleet(BEST_FIT)
    one, free = having(1, cpu=1_000)
    there.put(one, free)
    there.put(*having(2, cpu=2_000))
    rules = Rules(required="tendril/site=s")
    assert len(planned(backlog(pending(1, chunks=9, rules=rules)), there).decisions) == 3
    less = Edge(one.path, one.site, one.labels, {**one.capacity, "power": 0}, one.carbon)
    there.put(less, {**free, "power": 0})
    assert there.capacity["power"] == 100_000
    assert len(planned(backlog(pending(1, chunks=9, rules=rules)), there).decisions) == 2
    there.take(place(2), pending(1).signature, 2)
    there.know_barren([pending(1, rules=rules).wanted])
    there.put(one, free)
    assert [name for *_, name in told(planned(backlog(pending(1, chunks=9, rules=rules)), there).decisions)] == ["e1"]
