"""Load for Tendril, and its measurements: it uses the system as its users do, through the public API.

Belongs here: the job requester, fleets of simulated edges, the benchmarks. Does not: anything that the product needs.

Open first `requester.py` (who asks for jobs), then `bench/` (what is measured and how).
"""
