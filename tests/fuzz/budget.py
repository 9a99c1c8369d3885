"""How long the fuzzing looks: a little and always the same in every run of the tests, much and at random in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

LONG = os.environ.get("TENDRIL_FUZZ") == "long"
LONG_S = 8.0
"""How long each property is looked at in a long run; a round that has begun is finished."""
_TIMES = 4
"""A round's examples are as many times those of a short run: the later ones of a round are larger than the first."""


def budget(examples: int, *, steps: int = 50) -> settings:
    """Settings of a property, with the number of its examples (of a state machine: of so many steps) in a short run."""
    return settings(
        max_examples=examples * _TIMES if LONG else examples,
        stateful_step_count=steps,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
    )
