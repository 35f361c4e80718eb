"""The client that behaves. While somebody else attacks, it asks, and must be answered in time."""

import threading
import time
from dataclasses import dataclass, field

from asking import GOOD, Attack
from servers import Server
from wire import PATIENCE_SECONDS, exchange, post

WITHIN_SECONDS = 20.0


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
        statuses: list[int] = []
        data = attack.with_headers(self.headers)
        attacker = threading.Thread(target=lambda: statuses.append(status_of(self.server.port, data)), daemon=True)
        attacker.start()
        faults = self.faults()
        attacker.join(PATIENCE_SECONDS)
        if not statuses:
            return [*faults, f"the attack had no answer within {PATIENCE_SECONDS:.0f} s"]
        return faults if statuses[0] in attack.right else [*faults, f"the answer was {statuses[0] or 'no answer'}"]


def status_of(port: int, data: bytes) -> int:
    """0 where there was no answer."""
    try:
        return exchange(port, data)[0]
    except OSError:
        return 0
