#!/bin/sh
# Writes the event stream as curl receives it, with an event of its own for its answer. The argument is --http2 or --http1.1.
curl -sN "$1" --cacert "$CA_FILE" "$STREAM_URL" | while IFS= read -r line; do
  printf '%s\n' "$line"
  case $line in
    event:stream) next=stream ;;
    event:challenge) next=challenge ;;
    data:*) [ "$next" != stream ] || handle=$(printf %s "$line" | sed 's/.*"handle":"\([^"]*\)".*/\1/') ;;
    '')
      if [ "$next" = challenge ] && [ -n "$ANSWER_TOKEN" ]; then
        status=$(curl -s -o /dev/null -w '%{http_code}' "$1" --cacert "$CA_FILE" -X POST \
          -H "authorization: Bearer $ANSWER_TOKEN" -H "stream-handle: $handle" \
          -H 'content-type: application/x-challenge-response' "$ANSWER_URL")
        ANSWER_TOKEN=
        printf 'event:answered\ndata:%s\n\n' "$status"
      fi
      next=
      ;;
  esac
done
