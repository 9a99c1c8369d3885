"""PostGraphile (npm), which makes a GraphQL schema of Postgres' tables, for comparison with the gateway's page of jobs.

Open first `shown.sql`, what somebody would show it of the tables; `server.py` runs it.
"""
