import ld_eventsource
import ld_eventsource.actions as actions
import ld_eventsource.config as config
import urllib3

from record import CA_FILE, STREAM_URL, Recorder, write

pool = urllib3.PoolManager(ca_certs=CA_FILE)
recorder = Recorder(lambda url, headers: pool.request("POST", url, headers=headers).status)
client = ld_eventsource.SSEClient(
    connect=config.ConnectStrategy.http(STREAM_URL, pool=pool),
    error_strategy=config.ErrorStrategy.always_continue(),
)
for item in client.all:
    if isinstance(item, actions.Event):
        recorder.event(item.event, item.data, item.last_event_id)
    elif isinstance(item, actions.Fault):
        write({"error": str(item.error)})
