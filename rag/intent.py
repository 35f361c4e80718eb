"""Is a picture wanted? Then its subject is searched, not the words that ask for it, and pictures come first.

"Do we have a photo of a rocket being launched?" → subject: a rocket being launched
"""

import re
from dataclasses import dataclass

_PICTURE = r"(?:photo(?:graph)?|picture|image|drawing|painting|illustration|sketch|diagram|snapshot|clip ?art)s?"
_ASKS = re.compile(rf"\b{_PICTURE}\b(?! (?:number|no\b|library|collection|album))", re.IGNORECASE)
# What stands around the subject: "is there a … of", "find the … with", "which … shows"
_AROUND = re.compile(
    rf"""^\s*(?:please\s+)?(?:
        (?:is|are)\s+there\s+(?:any|an?|some)?
      | (?:do|have)\s+(?:we|you|i)\s+(?:have|got|get)?\s*(?:any|an?|some)?
      | (?:can|could)\s+(?:you|i|we)\s+(?:show|find|see|get)\s+(?:me|us)?\s*(?:an?|the|some)?
      | (?:show|find|give|get|search\s+for|look\s+for)\s+(?:me|us)?\s*(?:an?|the|all|some|every)?
      | i\s*(?:am|['’]m)\s+looking\s+for\s+(?:an?|the|some)?
      | where\s+(?:is|are)\s+(?:an?|the)?
      | (?:which|what)(?=\s+(?:of\s+(?:our|the|these|my)\s+)?{_PICTURE}\b)
      | an?\b | the\b
    )?\s*
    (?:(?:of\s+)?(?:our|the|these|my)\s+)?
    (?:{_PICTURE}\s*(?:that|which)?\s*(?:of|with|showing|shows?|from|depicting|depicts?|contain(?:s|ing)|in\s+which|where)?\s*
       (?:there\s+(?:is|are)\b)?)?""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Intent:
    """What a question looks for."""

    wants_picture: bool
    subject: str  # the question itself where no picture is wanted


def read_intent(question: str) -> Intent:
    """Whether the question asks for a picture, and of what.

    >>> read_intent("Find the picture with the red parrot")
    Intent(wants_picture=True, subject='the red parrot')
    >>> read_intent("What does a family ticket cost?").wants_picture
    False
    """
    if not _ASKS.search(question):
        return Intent(wants_picture=False, subject=question)
    subject = _AROUND.sub("", question, count=1).strip().rstrip("?!. ")
    return Intent(wants_picture=True, subject=subject or question)
