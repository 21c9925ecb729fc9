// Two of Go's SSE clients. The argument is the name of the library.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	tmaxmax "github.com/tmaxmax/go-sse"
)

var (
	streamURL = os.Getenv("STREAM_URL")
	token     = os.Getenv("ANSWER_TOKEN")
	handle    string
	client    *http.Client
	output    = json.NewEncoder(os.Stdout)
)

func main() {
	output.SetEscapeHTML(false)
	pem, err := os.ReadFile(os.Getenv("CA_FILE"))
	check(err)
	authorities := x509.NewCertPool()
	authorities.AppendCertsFromPEM(pem)
	client = &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: authorities},
		ForceAttemptHTTP2: true,
	}}
	run := map[string]func() error{"r3labs": runR3labs, "tmaxmax": runTmaxmax, "launchdarkly": runLaunchDarkly}[os.Args[1]]
	if err := run(); err != nil {
		write(map[string]any{"error": err.Error()})
	}
}

func runR3labs() error {
	source := r3labs.NewClient(streamURL, r3labs.ClientMaxBufferSize(1<<20))
	source.Connection = client
	source.ReconnectNotify = func(err error, _ time.Duration) { write(map[string]any{"error": err.Error()}) }
	return source.SubscribeRaw(func(event *r3labs.Event) {
		record(string(event.Event), string(event.Data), string(event.ID))
	})
}

func runTmaxmax() error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, streamURL, http.NoBody)
	check(err)
	source := tmaxmax.Client{
		HTTPClient: client,
		OnRetry:    func(err error, _ time.Duration) { write(map[string]any{"error": err.Error()}) },
	}
	connection := source.NewConnection(request)
	connection.Buffer(nil, 1<<20)
	connection.SubscribeToAll(func(event tmaxmax.Event) {
		record(event.Type, event.Data, event.LastEventID)
	})
	return connection.Connect()
}

func runLaunchDarkly() error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, streamURL, http.NoBody)
	check(err)
	stream, err := launchdarkly.SubscribeWithRequestAndOptions(request, launchdarkly.StreamOptionHTTPClient(client),
		launchdarkly.StreamOptionErrorHandler(func(err error) launchdarkly.StreamErrorHandlerResult {
			write(map[string]any{"error": err.Error()})
			return launchdarkly.StreamErrorHandlerResult{}
		}))
	if err != nil {
		return err
	}
	for event := range stream.Events {
		record(event.Event(), event.Data(), event.Id())
	}
	return nil
}

func record(event, data, id string) {
	if event == "" {
		event = "message"
	}
	write(map[string]any{"event": event, "data": data, "id": id})
	if event == "stream" {
		var stream struct{ Handle string }
		check(json.Unmarshal([]byte(data), &stream))
		handle = stream.Handle
	}
	if event == "challenge" && token != "" {
		answer()
	}
}

func answer() {
	request, err := http.NewRequest(http.MethodPost, os.Getenv("ANSWER_URL"), http.NoBody)
	check(err)
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/x-challenge-response")
	request.Header.Set("Stream-Handle", handle)
	token = ""
	response, err := client.Do(request)
	check(err)
	response.Body.Close()
	write(map[string]any{"answered": response.StatusCode})
}

func write(record map[string]any) { check(output.Encode(record)) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
