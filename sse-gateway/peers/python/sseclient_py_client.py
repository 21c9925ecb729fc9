import requests
import sseclient

from record import CA_FILE, STREAM_URL, Recorder

recorder = Recorder(lambda url, headers: requests.post(url, headers=headers, verify=CA_FILE).status_code)
response = requests.get(STREAM_URL, stream=True, verify=CA_FILE, headers={"accept": "text/event-stream"})
response.raise_for_status()
for event in sseclient.SSEClient(response).events():
    recorder.event(event.event, event.data, event.id)
