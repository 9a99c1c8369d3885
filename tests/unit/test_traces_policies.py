"""Policies and orders beside each other, on the beginnings of the synthetic traces."""

from sim.bench.policies import BAR_PERCENT, TOLD, compared


async def test_each_trace_has_its_figures_by_policy_and_order() -> None:
    found = await compared(jobs=60)
    bars = {name: found.pop(f"{name}/bar") for name in ("mixed", "groups")}
    policies = ("bestFit", "firstFit", "spread", "powerAware")
    expected = [f"{name}/{policy}/fairShare" for name in ("mixed", "groups") for policy in policies]
    assert sorted(found) == sorted([*expected, "groups/bestFit/priority", "groups/bestFit/arrival"])
    for name, bar in bars.items():
        of_bound = found[f"{name}/bestFit/fairShare"]["ofBoundPercent"]
        assert bar == {"barPercent": BAR_PERCENT, "held": of_bound >= BAR_PERCENT}
    assert all(figures.keys() <= set(TOLD) and figures["ofBoundPercent"] <= 100 for figures in found.values())
