#!/bin/sh
# From a folder of files to a model that was trained on them, with scores on held-out files before and after.
#
#   sh examples/walkthrough.sh                        the sample collection
#   sh examples/walkthrough.sh ~/Documents/office     your own files
#
#   WORK=build/walkthrough    where everything lies; run it again and it goes on where it was
#   LLAVERO=.venv/bin/llavero
#   EPOCHS=2
#   WRITER=none               which text model also writes questions about the pages: none; kit (the pocket model behind
#                             `llavero serve`); or an address, WRITER=http://127.0.0.1:8000/v1 MODEL=NAME
#
# docs/howto/walkthrough.md explains each step and shows what it printed.
set -eu
FILES=${1:-examples/sample/collection}
WORK=${WORK:-build/walkthrough}
LLAVERO=${LLAVERO:-.venv/bin/llavero}
EPOCHS=${EPOCHS:-2}
WRITER=${WRITER:-none}
export LLAVERO_LIBRARY="$WORK/library"
export OMP_WAIT_POLICY=PASSIVE TOKENIZERS_PARALLELISM=false
mkdir -p "$WORK"

step() { printf '\n== %s\n' "$1" >&2; }
some_failed() { [ "$1" -eq 3 ] || exit "$1"; }   # 3: done, and what could not be used was listed

step "1. Index the files"
"$LLAVERO" index "$FILES" || some_failed $?

step "2. Questions with evidence from labelled values and tables; half of the documents are held out"
"$LLAVERO" model generate --from-library --kinds ground --held-out 0.5 --out "$WORK/ground"
DATA="--data $WORK/ground/train.jsonl"

if [ "$WRITER" != none ]; then
  step "2b. Questions about pages by a text model"
  if [ "$WRITER" = kit ]; then
    "$LLAVERO" serve --untrained --port 8137 & SERVER=$!
    trap 'kill $SERVER 2>/dev/null || true' EXIT
    until "$LLAVERO" model generate --help >/dev/null && curl -sf http://127.0.0.1:8137/v1/models >/dev/null; do
      kill -0 $SERVER || exit 1
      sleep 1
    done
    WRITER=http://127.0.0.1:8137/v1
    MODEL=$(curl -sf $WRITER/models | sed 's/.*"id": *"\([^"]*\)".*/\1/')
  fi
  "$LLAVERO" model generate --from-library --kinds reading --held-out 0.5 --endpoint "$WRITER" --model "$MODEL" \
    --concurrency 1 --timeout 600 --out "$WORK/reading" || some_failed $?
  [ "$(wc -c < "$WORK/reading/train.json")" -lt 10 ] || DATA="$DATA --data $WORK/reading/train.json"
fi

step "3. Check the samples, and that nothing held out stands in them"
"$LLAVERO" model validate "$WORK/ground/train.jsonl" --against "$WORK/ground/held_out.jsonl" \
  --language "$("$LLAVERO" kit path pocket)/language" || some_failed $?

step "4. Before: the kit's own weights on the held-out documents"
"$LLAVERO" model evaluate ground --data "$WORK/ground/held_out.jsonl" --out "$WORK/before.jsonl"

step "5. Train on from the kit's weights"
# shellcheck disable=SC2086  # DATA is a list of options
"$LLAVERO" model train ground --preset pocket-cpu --start kit $DATA --image-root "$WORK/library" \
  --epochs "$EPOCHS" --batch 8 --rate 2e-4 --out "$WORK/run"

step "6. After: the trained weights on the same questions"
"$LLAVERO" model evaluate ground --data "$WORK/ground/held_out.jsonl" --checkpoint "$WORK/run" --out "$WORK/after.jsonl"

step "7. Before and after"
"$LLAVERO" model compare ground "before=$WORK/before.jsonl" "after=$WORK/after.jsonl" \
  --references "$WORK/ground/held_out.jsonl" --questions "$WORK/ground/held_out.jsonl" --html "$WORK/compare.html"
