"""The client that behaves. While somebody else attacks, it asks, and must be answered in time."""

import threading
import time
from dataclasses import dataclass, field

from asking import GOOD, Attack
from servers import Server
from wire import PATIENCE_SECONDS, exchange, post

WITHIN_SECONDS = 10.0
_START_SECONDS = 0.1
"""So much the attack is ahead: what it sent is being read when the good client comes."""


@dataclass
class GoodClient:
    """Of one server, with the headers it needs; remembers how long it had to wait at worst."""

    server: Server
    headers: dict[str, str] = field(default_factory=dict)
    worst_seconds: float = 0.0

    def faults(self) -> list[str]:
        """It asks once."""
        began = time.monotonic()
        try:
            status, _ = exchange(self.server.port, post(GOOD, **self.headers))
        except OSError as error:
            return [f"a good client was not answered: {error}"]
        seconds = time.monotonic() - began
        self.worst_seconds = max(self.worst_seconds, seconds)
        if status != 200:
            return [f"a good client got {status}"]
        return [f"a good client waited {seconds:.0f} s"] if seconds > WITHIN_SECONDS else []

    def faults_beside(self, attack: Attack) -> list[str]:
        """It asks while the attack is under way; the attack's own faults are told too."""
        statuses, sent = list[int](), threading.Event()
        data, port = attack.with_headers(self.headers), self.server.port
        attacker = threading.Thread(target=lambda: statuses.append(status_of(port, data, sent)), daemon=True)
        attacker.start()
        sent.wait(PATIENCE_SECONDS)
        time.sleep(_START_SECONDS)
        faults = self.faults()
        attacker.join(PATIENCE_SECONDS)
        if not statuses:
            return [*faults, f"the attack had no answer within {PATIENCE_SECONDS:.0f} s"]
        return faults if statuses[0] in attack.right else [*faults, f"the answer was {statuses[0] or 'no answer'}"]


def status_of(port: int, data: bytes, sent: threading.Event | None = None) -> int:
    """0 where there was no answer; `sent` is set when the server has been given everything."""
    sent = sent or threading.Event()
    try:
        return exchange(port, data, on_sent=sent.set)[0]
    except OSError:
        return 0
    finally:
        sent.set()
