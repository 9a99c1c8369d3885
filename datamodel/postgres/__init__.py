"""The store on Postgres, through asyncpg.

Open first `tables.py` (what is kept), then `append.py` (one transaction of the log) and `store.py` (the port).
"""
