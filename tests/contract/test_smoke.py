from tests.graph import *
from datamodel.verify import verify
async def test_x(store):
    await new_edge(store)
    j = await new_job(store, chunks=3)
    a = await place(store, j)
    await report(store, a, phase="succeeded")
    r = await verify(store)
    print(r)
    assert r.clean, str(r)
