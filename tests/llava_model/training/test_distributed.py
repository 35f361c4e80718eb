"""Two gloo processes, some of whose passes hold no picture and some nothing at all: no hang, and the same weights."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

WORKER = Path(__file__).parents[1] / "training_worker.py"


def start(mode: str, processes: int, folder: Path, out: Path, **environment: str) -> None:
    """All processes to the end; a hang is an error."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **environment}
    if processes > 1:
        common |= {"WORLD_SIZE": str(processes), "ACCELERATE_USE_CPU": "true"}
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", str(WORKER), mode, str(folder), str(out)],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} if processes > 1 else common,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(processes)
    ]
    try:
        for process in running:
            _, errors = process.communicate(timeout=150)
            assert process.returncode == 0, errors[-2000:]
    finally:
        for process in running:
            process.kill()


def weights(out: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    (checkpoint,) = out.glob("checkpoint-*")
    for path in sorted(checkpoint.rglob("*.safetensors")):
        found |= load_file(path)
    return found


def close(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> None:
    assert first.keys() == second.keys() and first
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=0, atol=2e-6, msg=name)


@pytest.mark.parametrize("mode", ["ddp", "fsdp"])
def test_two_processes_train_what_one_does(mode: str, tmp_path: Path) -> None:
    start(mode, 2, tmp_path / "data", tmp_path / "two")
    start({"ddp": "ddp", "fsdp": "whole"}[mode], 1, tmp_path / "data", tmp_path / "one")
    close(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_two_processes_that_were_stopped_go_on_to_the_same_end(tmp_path: Path) -> None:
    start("ddp", 2, tmp_path / "data", tmp_path / "whole")
    start("ddp", 2, tmp_path / "data", tmp_path / "part", STOP_AFTER="1")
    start("ddp", 2, tmp_path / "data", tmp_path / "part")
    whole = max((tmp_path / "whole").glob("checkpoint-*"))
    part = max((tmp_path / "part").glob("checkpoint-*"))
    for name in ("projector.safetensors", "adapter/adapter_model.safetensors"):
        first, second = load_file(whole / name), load_file(part / name)
        assert all(torch.equal(first[key], second[key]) for key in first)
