#!/bin/sh
# The pocket LLaVA, from packages to a trained checkpoint: ALIGN → INSTRUCT → GROUND.
#
#     sh recipes/pocket/train.sh [FOLDER]        # build/pocket-run; two CPU cores, about an hour and a half
#
# Stop it anywhere and start it again: every stage goes on from its last checkpoint.
set -eu
cd "$(dirname "$0")/../.."
run=${1:-build/pocket-run}
data=build/pocket-data
python=.venv/bin/python
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}" OMP_WAIT_POLICY=PASSIVE HF_HUB_OFFLINE=1 PYTHONUNBUFFERED=1

[ -f $data/clipart/train.jsonl ] || $python recipes/pocket/make_data.py --data $data
[ -f $data/ground/train.jsonl ] || $python recipes/pocket/make_ground.py --out $data/ground

# Torch compiles the language model's layers: 1.4 times the steps a second on a CPU, for a minute at the start.
stage() {
    name=$1
    shift
    .venv/bin/llavero model train "$name" --preset pocket-cpu --features build/features --checkpoint-every 50 \
        --out "$run/$name" "$@"
}

# The projector's last layer is fitted to the captions in closed form; one step writes the checkpoint.
stage align --warm-start --pooled-grid 2 --most-steps 1 \
    --data $data/easy_vqa/captions.jsonl --data $data/clipart/train.jsonl --data $data/emoji/train.jsonl
# 4,000 pictures, each with all its questions, each question blind to the others.
stage instruct --compile --batch 8 --pass-tokens 820 --start "$run/align" \
    --data $data/easy_vqa/train_independent.jsonl --shown $data/easy_vqa/test_single.jsonl
# Evidence with markers and refusals; a tenth of the pictures again, lest they are forgotten.
stage ground --compile --pass-tokens 1700 --start "$run/instruct" \
    --data $data/ground/train.jsonl --data $data/easy_vqa/train_independent.jsonl:0.1 \
    --shown $data/ground/validation.jsonl
