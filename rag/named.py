"""What does a question name? "Who is the king of Norway?" names Norway: what says nothing of it is no answer.

Only English questions are read so: other languages write capitals where English does not.
"""

import re

from rag.terms import STOP_WORDS, content_terms

_ASKS = re.compile(r"\b(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|has|have|had|can)\b")
_WORD = re.compile(r"[^\W\d_][\w’'.&-]*")
_DAYS_AND_MONTHS = frozenset(
    content_terms(
        "Monday Tuesday Wednesday Thursday Friday Saturday Sunday January February March April May June July August "
        "September October November December"
    )
)  # papers write them as numbers


def named(question: str) -> tuple[str, ...]:
    """Content terms of the proper names in an English question, each once: words with a capital that do not begin it.

    >>> named("How much did Noor Haddad pay in March?")
    ('noor', 'haddad')
    """
    words = _WORD.findall(question)
    lower = [word for word in words if word.islower()]
    if not _ASKS.search(question.lower()) or not any(word in STOP_WORDS for word in lower):
        return ()
    capitals = " ".join(word for word in words[1:] if word[0].isupper() and word.lower() not in STOP_WORDS)
    return tuple(term for term in content_terms(capitals) if term not in _DAYS_AND_MONTHS)
