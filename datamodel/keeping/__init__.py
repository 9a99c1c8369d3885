"""Keeping: a copy of a whole store in a file, a store from such a file, and a log that does not grow for ever.

What belongs here: the format of files (`archive.py`, open it first), what is done with them, and the commands `tendril backup`,
`restore`, `rebuild` and `compact` (`__main__.py`). What does not: how a database takes events in bulk, which is
`datamodel/postgres/refold.py`, and how it forgets some, which is `datamodel/postgres/segments.py`.
"""
