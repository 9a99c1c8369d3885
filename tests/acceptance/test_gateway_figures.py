"""The figures of the gateway: what stands beside it answers the same, and all of them are measured."""

import pytest

from sim.bench.gateway import figures
from sim.bench.stack import stack
from sim.bench.turns import CLIENTS


@pytest.mark.timeout(300)
async def test_the_gateway_is_measured_beside_what_answers_the_same() -> None:
    async with stack(edges=2) as system:
        found = await figures(system, groups=2, jobs=3, rounds=1, turn_s=0.1)
    assert found.keys() == {"restGet", "restList", "graphqlPage"}
    for measured in found.values():
        assert measured.keys() == {f"at{clients}" for clients in CLIENTS}
        for figure in measured.values():
            assert figure["gatewayPerS"]["least"] > 0
            assert figure["bareP99Ms"]["most"] > 0
            assert figure["gatewayCpuUs"]["most"] > 0
            assert figure["percent"]["least"] > 0
