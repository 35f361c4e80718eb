#!/bin/sh
# What the container runs: the weights once into their volume, then the page, or with the word `api` the interface alone
# over a folder of libraries.
set -eu
llavero kit install "${LLAVERO_KIT:-pocket}"
if [ "${1:-ui}" = api ]; then
  exec llavero api --root "${LLAVERO_ROOT:-/data/libraries}" --host "${LLAVERO_ADDRESS:-0.0.0.0}" \
    --port "${LLAVERO_API_PORT:-8765}" ${LLAVERO_KEYS:+--keys "$LLAVERO_KEYS"}
fi
exec llavero ui --address "${LLAVERO_ADDRESS:-0.0.0.0}" --port "${LLAVERO_PORT:-8501}" --no-browser \
  ${LLAVERO_API_PORT:+--api-port "$LLAVERO_API_PORT"} ${LLAVERO_KEYS:+--keys "$LLAVERO_KEYS"}
