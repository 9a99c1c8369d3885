"""When a program that has lost its server tries again: soon, then later, and never at one moment with others."""

from urllib.parse import urlparse

from nats.aio.client import Server

from datamodel.feed.bus import AGAIN_S, next_try

FIRST_S, LAST_S = AGAIN_S


def server(failures: int, name: str = "hub") -> Server:
    return Server(uri=urlparse(f"tls://{name}:4222"), reconnects=failures)


def delays(failures: int) -> list[float]:
    return [next_try([server(failures)], {})[1] for _ in range(2000)]


def test_the_longest_wait_doubles_to_its_bound() -> None:
    for failures, most_s in enumerate((FIRST_S, 2 * FIRST_S, 4 * FIRST_S, LAST_S, LAST_S)):
        found = delays(failures)
        assert 0 <= min(found) < most_s / 20
        assert most_s * 0.95 < max(found) <= most_s
    assert max(delays(10_000)) <= LAST_S


def test_who_lose_their_server_together_come_back_at_all_moments() -> None:
    found = delays(5)
    for tenth in range(10):
        share = sum(tenth <= 10 * delay / LAST_S < tenth + 1 for delay in found) / len(found)
        assert 0.05 < share < 0.15


def test_the_server_that_has_failed_least_is_tried_next() -> None:
    chosen, _ = next_try([server(3, "a"), server(1, "b"), server(2, "c")], {})
    assert chosen.uri.hostname == "b"
