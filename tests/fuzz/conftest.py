"""In a long run, a property is looked at again and again, each time with other examples, until its time is over."""

from time import monotonic

import pytest
from hypothesis import is_hypothesis_test

from tests.fuzz.budget import LONG, LONG_S


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Says that it has made the call, where it has."""
    if not LONG or not is_hypothesis_test(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    end_s = monotonic() + LONG_S
    while monotonic() < end_s:
        pyfuncitem.obj(**arguments)
    return True
