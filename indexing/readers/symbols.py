"""Signs that office files write by their place in a font of pictures → the characters that look like them.

A reader of words sees "þ" where a person sees a ticked box. Only signs that mean something are in the tables; the
others (flowers, hands) are left out as bullets are.
"""

CROSSED, EMPTY_BOX = "☒", "☐"
"""A box that is ticked, in whichever way, and one that is not."""

_WINGDINGS = {
    0x6C: "●", 0x6E: "■", 0x6F: EMPTY_BOX, 0x70: EMPTY_BOX, 0x71: EMPTY_BOX, 0x72: EMPTY_BOX, 0x78: CROSSED,
    0xA8: EMPTY_BOX, 0xFB: "✗", 0xFC: "✓", 0xFD: CROSSED, 0xFE: CROSSED, 0xE0: "→", 0xDF: "←", 0xE1: "↑", 0xE2: "↓",
    0xF0: "⇒", 0x4A: "☺", 0x4C: "☹", 0x28: "☎", 0x2A: "✉",
}  # fmt: skip
_WINGDINGS_2 = {
    0x30: EMPTY_BOX, 0x35: EMPTY_BOX, 0x4F: "✗", 0x50: "✓", 0x51: CROSSED, 0x52: CROSSED, 0x53: CROSSED, 0x54: CROSSED,
    0xA2: "■", 0xA3: EMPTY_BOX, 0x2A: EMPTY_BOX,
}  # fmt: skip
_WEBDINGS = {0x61: "✓", 0x63: EMPTY_BOX, 0x67: "■", 0x72: CROSSED}
_SYMBOL: dict[int, str] = dict(
    zip(
        (*range(0x41, 0x5B), *range(0x61, 0x7B)),
        "ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖαβχδεφγηιϕκλμνοπθρστυϖωξψζ",
        strict=True,
    )
) | {
    0xA3: "≤", 0xA5: "∞", 0xAE: "→", 0xAC: "←", 0xB0: "°", 0xB1: "±", 0xB3: "≥", 0xB4: "×", 0xB8: "÷", 0xB9: "≠",
    0xBB: "≈", 0xB7: "•", 0xC5: "⊕", 0xCE: "∈", 0xD0: "∠", 0xD6: "√", 0xDE: "⇒", 0xE5: "∑", 0xF2: "∫", 0x22: "∀",
    0x24: "∃", 0x2D: "−", 0x5E: "⊥", 0xA2: "′", 0xB2: "″", 0xB6: "∂", 0xD1: "∇", 0x61: "α", 0x25: "%", 0x2B: "+",
}  # fmt: skip
_TABLES: dict[str, dict[int, str]] = {
    "wingdings": _WINGDINGS, "wingdings 2": _WINGDINGS_2, "webdings": _WEBDINGS, "symbol": _SYMBOL,
}  # fmt: skip
_PRIVATE = range(0xF000, 0xF100)
"""Where Unicode has no characters, and office programs put the 256 places of such a font."""


def symbol(font: str, code: str) -> str:
    """The character for a place in a font, given in hex digits ("F0FE"); "" for one that means nothing."""
    try:
        place = int(code, 16)
    except ValueError:
        return ""
    table = _TABLES.get(font.strip().lower())
    if table is None:
        return "" if place in _PRIVATE or not 0x20 <= place < 0x11_0000 or 0xD800 <= place < 0xE000 else chr(place)
    return table.get(place & 0xFF, "")


def symbols_in(font: str, text: str) -> str:
    """Text that was typed in a font of pictures; other text as it is."""
    table = _TABLES.get(font.strip().lower())
    if table is None:
        return text
    return "".join(table.get(ord(char) & 0xFF, "") if _is_placed(char) else char for char in text)


def _is_placed(char: str) -> bool:
    return " " < char <= "\xff" or ord(char) in _PRIVATE
