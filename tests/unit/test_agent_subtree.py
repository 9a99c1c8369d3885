"""Which part of the graph an agent follows: however many edges it has, few filters, and nothing of another's."""

from hypothesis import given
from hypothesis import strategies as st

from agents.subtree import FILTERS_LIMIT, Subtree
from datamodel.names import is_within
from datamodel.ports import FeedItem, Message, Restarted, Synced
from datamodel.scheduling.wire import hosted_edges

_counts = st.integers(min_value=1, max_value=3 * FILTERS_LIMIT)


def _attempt(edge: str, site: str = "s") -> str:
    return f"/desired-config/sites/{site}/edges/{edge}/attempts/j.0.1"


@given(_counts)
def test_all_attempts_of_its_edges_are_followed_and_its_own(count: int) -> None:
    edges = hosted_edges("g", count)
    subtree = Subtree("s", edges)
    assert len(subtree.prefixes) <= FILTERS_LIMIT
    for edge in edges:
        assert any(is_within(_attempt(edge), prefix) for prefix in subtree.prefixes)
        assert subtree.is_own(_attempt(edge))


@given(_counts)
def test_nothing_of_another_edge_or_site_is_delivered(count: int) -> None:
    edges, taken = hosted_edges("g", count), list[FeedItem]()
    others = [
        _attempt("h"),
        _attempt(f"g-{count}"),
        _attempt(edges[0], site="t"),
        f"/desired-config/sites/s/edges/{edges[0]}",
        "/desired-config/sites/s",
        f"/inventory/sites/s/edges/{edges[0]}",
    ]
    deliver = Subtree("s", edges).own(taken.append)
    own = _message(_attempt(edges[-1]))
    items: list[FeedItem] = [Restarted(), *map(_message, others), own, Synced()]
    for item in items:
        deliver(item)
    assert taken == [Restarted(), own, Synced()]


def test_few_edges_are_followed_one_by_one_and_a_large_group_by_its_site() -> None:
    assert Subtree("s", ["e"]).prefixes == ["/desired-config/sites/s/edges/e/attempts"]
    assert Subtree("s", hosted_edges("g", 5_000)).prefixes == ["/desired-config/sites/s/edges"]


def _message(path: str) -> Message:
    return Message(path, "u", "Attempt", 1)
