"""The store on Postgres, through asyncpg.

Open first `tables.py` (what is kept), then `append.py` (the two ways through a transaction of the log), `remembered.py` (by
what one of them decides) and `store.py` (the port).
"""
