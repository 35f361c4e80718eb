"""The lines that calendars (RFC 5545) and address cards (RFC 6350) are made of; no library reads both.

item1.TEL;TYPE=work,voice:+39 06 1234    →    Property(name="TEL", parameters={"TYPE": "work,voice"}, value=…)
"""

import quopri
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_LONGEST_NAME = 500  # characters of a name with its parameters
_LINE = re.compile(r'(?:[\w-]+\.)?([\w-]+)((?:;[^":;]*(?:"[^"]*"[^":;]*)*)*):(.*)')
_PARAMETER = re.compile(r';([^=;"]*)=?((?:"[^"]*"|[^;"])*)')
_ESCAPED = re.compile(r"\\(.)")
_PARTS = re.compile(r"(?<!\\);")


@dataclass(frozen=True, kw_only=True, slots=True)
class Property:
    """One line; name and parameters in capitals."""

    name: str
    parameters: Mapping[str, str]
    value: str

    @property
    def text(self) -> str:
        """The value as a person wrote it, with line breaks."""
        return _unescaped(self._decoded()).strip()

    @property
    def parts(self) -> list[str]:
        """The parts of a name or an address that say something."""
        return [part for each in _PARTS.split(self._decoded()) if (part := " ".join(_unescaped(each).split()))]

    @property
    def type(self) -> str:
        """What kind of telephone number or address: "work, voice"; "" where nothing is said."""
        kinds = self.parameters.get("TYPE", "").lower().replace('"', "").split(",")
        return ", ".join(kind for kind in kinds if kind and kind not in ("pref", "internet", "voice"))

    def _decoded(self) -> str:
        if self.parameters.get("ENCODING", "").upper() != "QUOTED-PRINTABLE":
            return self.value
        data = quopri.decodestring(self.value.encode("latin-1", "replace"))
        try:
            return data.decode(self.parameters.get("CHARSET", "utf-8"))
        except (LookupError, ValueError):
            return data.decode("utf-8", "replace")


@dataclass(frozen=True, kw_only=True, slots=True)
class LineGroup:
    """What stands between BEGIN and END, without what is between them inside of it."""

    name: str
    properties: tuple[Property, ...]

    def first(self, *names: str) -> str:
        """The text of the first property that has any, in the order of the names."""
        found = (each.text for name in names for each in self.properties if each.name == name)
        return next(filter(None, found), "")


def entries(text: str, wanted: frozenset[str]) -> Iterator[LineGroup]:
    """The wanted ones in the order in which they end; one that the file's end cuts off is kept."""
    open_ones: list[tuple[str, list[Property]]] = []
    for line in _unfolded(text):
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        name, value = found[1].upper(), found[3]
        if name == "BEGIN":
            open_ones.append((value.strip().upper(), []))
        elif name == "END" and open_ones:
            yield from _closed(*open_ones.pop(), wanted)
        elif open_ones:
            open_ones[-1][1].append(Property(name=name, parameters=_parameters(found[2]), value=value))
    while open_ones:
        yield from _closed(*open_ones.pop(), wanted)


def _closed(name: str, properties: list[Property], wanted: frozenset[str]) -> Iterator[LineGroup]:
    if name in wanted:
        yield LineGroup(name=name, properties=tuple(properties))


def _unfolded(text: str) -> Iterator[str]:
    """Long lines are broken before a space or, in old cards, after an equals sign."""
    parts: list[str] = []
    for line in text.splitlines():
        if parts and line[:1] in (" ", "\t"):
            parts.append(line[1:])
        elif parts and parts[-1].endswith("=") and "QUOTED-PRINTABLE" in parts[0][:_LONGEST_NAME].upper():
            parts[-1] = parts[-1][:-1]
            parts.append(line)
        else:
            yield "".join(parts)
            parts = [line]
    yield "".join(parts)


def _parameters(text: str) -> dict[str, str]:
    """In old cards a kind stands alone: `TEL;WORK:` is `TEL;TYPE=WORK:`."""
    found: dict[str, str] = {}
    for each in _PARAMETER.finditer(text):
        name, value = each[1].upper(), each[2].strip('"')
        alone = "=" not in each[0]
        if alone and name in ("QUOTED-PRINTABLE", "BASE64"):
            name, value = "ENCODING", name
        elif alone:
            name, value = "TYPE", name
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], text)
