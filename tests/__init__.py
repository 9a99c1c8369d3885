"""The tests, in suites by what they need: unit, contract, integration, acceptance, scenarios, fuzz, architecture.

Belongs here: what several suites use. Open first `conftest.py` (the fixtures), then `services.py` (what they give).
"""
