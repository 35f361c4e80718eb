#!/bin/sh
# What the container runs: the weights once into their volume, then the page.
set -eu
llavero kit install "${LLAVERO_KIT:-pocket}"
exec llavero ui --address "${LLAVERO_ADDRESS:-0.0.0.0}" --port "${LLAVERO_PORT:-8501}" --no-browser \
  ${LLAVERO_API_PORT:+--api-port "$LLAVERO_API_PORT"} ${LLAVERO_KEYS:+--keys "$LLAVERO_KEYS"}
