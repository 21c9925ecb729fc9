import ssl

import httpx
from httpx_sse import connect_sse

from record import CA_FILE, STREAM_URL, Recorder

with httpx.Client(verify=ssl.create_default_context(cafile=CA_FILE), http2=True, timeout=None) as client:
    recorder = Recorder(lambda url, headers: client.post(url, headers=headers).status_code)
    with connect_sse(client, "GET", STREAM_URL) as source:
        for event in source.iter_sse():
            recorder.event(event.event, event.data, event.id)
