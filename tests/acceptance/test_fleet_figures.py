"""The figures of fleets, in small: what edges hold and send is held to its bar, and what a busy machine decides is measured."""

from sim.bench import fleet_latency, fleet_links
from sim.bench.fleet import held_by


async def test_a_thousand_edges_cost_little_and_hold_nobody_up() -> None:
    found = await held_by(1_000, 2, idle_s=3.0)
    fleet = found["fleet"]
    assert fleet["edges"] == 1_000
    # Two agents' programs themselves are 110 KiB for each of so few; every one of 10,000 may have 200 KiB in all.
    assert fleet["idleKibPerEdge"] < 200.0 + 110.0
    assert found["hubRestarted"]["edgesTouched"] == 0, "nobody is judged by a hub that has heard nothing yet"
    assert found["answerWhileRegisteringMs"]["count"] > 0
    assert found["fleetBusy"]["chunks"] == 2_000


async def test_an_idle_edge_sends_less_than_an_average_node_of_kubernetes() -> None:
    found = await fleet_links.traffic(group=200, seconds=12.0)
    assert found["bytesPerMinuteAlone"] < found["kubernetesNodeOnAverage"]
    assert found["bytesPerMinuteTogether"] < 1.3 * found["bytesPerMinuteAlone"], "however many edges there are"


async def test_what_ends_during_a_cut_is_committed_once_the_link_is_back() -> None:
    found = await fleet_links.caught_up(chunks=300, edges=10, work_s=6.0)
    assert found["chunks"] == 300
    assert found["reports"] >= 300
    assert found["seconds"] < 3 * fleet_links.CATCH_UP_BAR_S


async def test_the_api_shows_what_an_edge_reports() -> None:
    found = await fleet_latency.latency(rate=200, seconds=3.0, chunks=200)
    assert found["count"] == 600
    assert 0 < found["p50"] <= found["p99"] <= found["max"]
