"""When a model's words count as an expected answer: containment after both are written in one way.

Both sides: NFKC, lower case, no white space (two numbers side by side stay two), no currency mark beside a number, no
leading zeros of a whole number. An expected answer that holds a letter is then looked for by its letters and digits
alone. One of digits and signs (`9.00`, `25/12/2018`) is looked for as it is, and it may not be a part of a longer
number or date.
"""

import re
import unicodedata

from claims.markers import take_markers

_CURRENCY = r"(?:rm|myr|eur|usd|gbp|chf|euros?|dollars?|[€$£¥])"


def normal(text: str) -> str:
    """The one writing that the module's docstring tells.

    >>> normal("RM 09.00 on 05 MAR 2018")
    '9.00on5mar2018'
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = re.sub(rf"{_CURRENCY}\s*(?=\d)|(?<=\d)\s*{_CURRENCY}(?![a-z])", "", folded)
    bare = re.sub(r"(?<![\d.,])0+(?=\d)", "", bare)
    return re.sub(r"\s+", "", re.sub(r"(?<=\d)\s+(?=\d)", "|", bare))  # two numbers side by side stay two


def holds(answer: str, accepted: str) -> bool:
    """Whether the accepted answer is contained in this one.

    >>> holds("The total is RM31.00 [1].", "31.00"), holds("It is 131.00.", "31.00")
    (True, False)
    """
    answer, wanted = take_markers(answer)[0], normal(accepted)
    if any(sign.isalpha() for sign in wanted):
        return _letters(wanted) in _letters(normal(answer)) if _letters(wanted) else False
    if not wanted:
        return False
    return re.search(rf"(?<!\d)(?<!\d[.,/:-]){re.escape(wanted)}(?![.,/:-]?\d)", normal(answer)) is not None


def _letters(text: str) -> str:
    return "".join(sign for sign in text if sign.isalnum())
