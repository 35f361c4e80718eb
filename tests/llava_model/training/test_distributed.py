"""Two gloo processes, some of whose passes hold no picture and some nothing at all: no hang, and the same weights."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from forking import Forks
from safetensors.torch import load_file

WORKER = Path(__file__).parents[1] / "training_worker.py"


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    forks = Forks(WORKER)
    yield forks
    forks.close()


def start(forks: Forks, mode: str, processes: int, folder: Path, out: Path, **environment: str) -> None:
    """All processes to the end; a hang is an error."""
    folder.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), **environment}
    if processes > 1:
        common |= {"WORLD_SIZE": str(processes), "ACCELERATE_USE_CPU": "true"}
    ranks = [{**common, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
    forks.start("run", mode, str(folder), str(out), environments=ranks if processes > 1 else [common])
    _, codes = forks.rest()
    assert codes == [0] * processes


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
def test_two_processes_train_what_one_does(mode: str, tmp_path: Path, forks: Forks) -> None:
    start(forks, mode, 2, tmp_path / "data", tmp_path / "two")
    start(forks, {"ddp": "ddp", "fsdp": "whole"}[mode], 1, tmp_path / "data", tmp_path / "one")
    close(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_two_processes_that_were_stopped_go_on_to_the_same_end(tmp_path: Path, forks: Forks) -> None:
    start(forks, "ddp", 2, tmp_path / "data", tmp_path / "whole")
    start(forks, "ddp", 2, tmp_path / "data", tmp_path / "part", STOP_AFTER="1")
    start(forks, "ddp", 2, tmp_path / "data", tmp_path / "part")
    whole = max((tmp_path / "whole").glob("checkpoint-*"))
    part = max((tmp_path / "part").glob("checkpoint-*"))
    for name in ("projector.safetensors", "adapter/adapter_model.safetensors"):
        first, second = load_file(whole / name), load_file(part / name)
        assert all(torch.equal(first[key], second[key]) for key in first)
