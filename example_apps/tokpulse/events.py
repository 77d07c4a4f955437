"""The events of a store as server-sent events."""

import asyncio
from collections.abc import AsyncIterator

from starlette.concurrency import run_in_threadpool

from example_apps.tokpulse import storage
from example_apps.tokpulse.storage import Store

INTERVAL_SECONDS = 0.1


async def server_sent(store: Store) -> AsyncIterator[str]:
    """Yield the number of records that a store has sold, for as long as somebody reads."""
    while True:
        sold = await run_in_threadpool(storage.count_sales, store.id)
        yield f"event: sales\ndata: {sold}\n\n"
        await asyncio.sleep(INTERVAL_SECONDS)
