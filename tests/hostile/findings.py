"""What was tried and what became of it: one finding for each attack, a table by kind, a closing line."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One attack. It held where `fault` is empty; `skipped` says why it could not be tried here."""

    kind: str
    name: str
    fault: str = ""
    skipped: str = ""


@dataclass
class Findings:
    """All of them, in the order in which they came."""

    all: list[Finding] = field(default_factory=list)

    def add(self, kind: str, name: str, fault: str = "", *, skipped: str = "") -> None:
        """One more; a fault is said at once."""
        self.all.append(Finding(kind=kind, name=name, fault=fault, skipped=skipped))
        if fault:
            say(f"FAILED  {kind}: {name}: {fault}")
        if skipped:
            say(f"skipped {kind}: {name}: {skipped}")

    def check(self, kind: str, name: str, faults: Iterable[str]) -> None:
        """One finding for any number of faults."""
        self.add(kind, name, "; ".join(faults))

    @property
    def failed(self) -> int:
        return sum(bool(finding.fault) for finding in self.all)

    @property
    def passed(self) -> int:
        return sum(not finding.fault and not finding.skipped for finding in self.all)

    def table(self) -> list[str]:
        """A line for each kind; skipped ones were not tried."""
        kinds = list(dict.fromkeys(finding.kind for finding in self.all))
        width = max(map(len, kinds), default=4)
        lines = [f"{'kind':{width}s}  tried   held  failed"]
        for kind in kinds:
            tried = [finding for finding in self.all if finding.kind == kind and not finding.skipped]
            failed = sum(bool(finding.fault) for finding in tried)
            lines.append(f"{kind:{width}s}  {len(tried):5d}  {len(tried) - failed:5d}  {failed:6d}")
        return lines


def say(text: str) -> None:
    """One line for the person. Names of hostile files stand in it, so nothing that moves a cursor comes out."""
    shown = "".join(letter if letter.isprintable() and letter.isascii() else ascii(letter)[1:-1] for letter in text)
    sys.stdout.write(shown + "\n")
    sys.stdout.flush()
