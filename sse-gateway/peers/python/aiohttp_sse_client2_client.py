import asyncio
import ssl

from aiohttp import ClientSession, ClientTimeout, TCPConnector
from aiohttp_sse_client2 import client as sse

from record import CA_FILE, STREAM_URL, Recorder, write


async def main():
    connector = TCPConnector(ssl=ssl.create_default_context(cafile=CA_FILE))
    recorder = Recorder()
    # Half of it is the limit of a line.
    session = ClientSession(connector=connector, timeout=ClientTimeout(total=None), read_bufsize=1 << 21)
    async with session:
        async with sse.EventSource(STREAM_URL, session=session, on_error=lambda: write({"error": "error"})) as source:
            async for event in source:
                recorder.event(event.type or "message", event.data, event.last_event_id)


asyncio.run(main())
