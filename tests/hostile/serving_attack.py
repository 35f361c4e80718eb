"""A hundred hostile requests to the real `llavero serve`, and clients that are slow, silent or gone.

Two servers: a tiny model for everybody on this machine, and the pocket kit's for who has a key. Beside each attack a
good client asks, and must be answered within `good_client.WITHIN_SECONDS`.
"""

from argparse import Namespace
from pathlib import Path

import slow_clients
import tiny_model
from asking import GOOD, TOO_MUCH, Attack, attacks
from findings import Findings, say
from good_client import WITHIN_SECONDS, GoodClient
from makers import World
from servers import Server, serving
from traps import Traps

_REQUESTS = 130
_KEY = "a key for this run"


def attack(world: World, traps: Traps, findings: Findings, folder: Path, asked: Namespace) -> None:
    """What is too much is tried on the pocket kit, whose context and vocabulary are of an ordinary size."""
    hostile = [one for one in attacks(world.random, world.address, _REQUESTS) if asked.only in one.kind]
    large = [one for one in hostile if one.kind == TOO_MUCH]
    small = [one for one in hostile if one.kind != TOO_MUCH]
    if small:
        model = folder / GOOD["model"]  # a model is called by its folder's name
        tiny_model.make(model)
        _try_requests(small, traps, findings, folder, model)
    if large or asked.only in slow_clients.KIND:
        _try_with_key(large, traps, findings, folder, slow=asked.only in slow_clients.KIND)


def _try_requests(hostile: list[Attack], traps: Traps, findings: Findings, folder: Path, model: Path) -> None:
    say(f"serving a tiny model: {len(hostile)} hostile requests")
    words = ("serve", "--checkpoint", model, "--port", "0", "--device", "cpu")
    with serving(*words, traps=traps, log=folder / "tiny.log", said="Llavero serves") as server:
        client = GoodClient(server)
        for one in hostile:
            findings.check(one.kind, one.name, client.faults_beside(one))
        _judge(server, client, traps, findings)


def _try_with_key(hostile: list[Attack], traps: Traps, findings: Findings, folder: Path, *, slow: bool) -> None:
    say(f"serving the pocket kit: {len(hostile)} requests that are too much, and slow clients")
    words = ("serve", "--kit", "pocket", "--port", "0", "--device", "cpu", "--api-key-env", "HOSTILE_KEY")
    with serving(*words, traps=traps, log=folder / "pocket.log", said="Llavero serves", HOSTILE_KEY=_KEY) as server:
        client = GoodClient(server, {"Authorization": f"Bearer {_KEY}"})
        for one in hostile:
            findings.check(one.kind, one.name, client.faults_beside(one))
        if slow:
            slow_clients.try_all(client, _KEY, findings)
        _judge(server, client, traps, findings)


def _judge(server: Server, client: GoodClient, traps: Traps, findings: Findings) -> None:
    faults = [*server.faults(), *traps.sprung(), *server.end()]
    findings.check("the server", "no trap sprung, no traceback, and it ends when it is told to", faults)
    say(f"a good client waited {client.worst_seconds:.2f} s at worst, the bound is {WITHIN_SECONDS:.0f} s")
    say(f"peak memory of the server: {server.memory}")
