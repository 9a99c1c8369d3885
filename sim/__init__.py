"""Load for Tendril, its measurements, and its trials: it uses the system as its users do, through the public API.

Belongs here: the job requester, fleets of simulated edges, the benchmarks, faults and who judges what they do. Does not:
anything that the product needs.

Open first `requester.py` (who asks for jobs), then `bench/` (what is measured and how) and `chaos/` (what is survived).
"""
