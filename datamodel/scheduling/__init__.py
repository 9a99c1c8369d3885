"""The job-scheduling model: the kinds of the three planes. It is the first user of the graph, not its owner.

Open first `model.py` (the tree), then `jobs.py` (what people ask for), `attempts.py` (what an edge should run and how its
end is counted) and `edges.py` (what was discovered).
"""
