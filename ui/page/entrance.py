"""Pages for people who are not signed in: a few lines each, which load nothing and say nothing of the library."""

from functools import cache
from pathlib import Path

from ui.page import safe_html

_HERE = Path(__file__).parent
_STYLE = """
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 16px/1.5 system-ui, sans-serif;
  background: light-dark(#fbfaf7, #15191b); color: light-dark(#22262a, #e6e4de); }
main { max-width: 26rem; padding: 2rem; overflow-wrap: anywhere; }
svg { height: 2rem; width: auto; }
h1 { font-size: 1.3rem; margin: 1.4rem 0 0.4rem; }
p { margin: 0 0 1.2rem; color: light-dark(#666c70, #a3aaad); }
a { display: inline-block; padding: 0.55rem 1.1rem; border-radius: 10px; text-decoration: none;
  background: #1d6b66; color: #ffffff; }
a:focus-visible { outline: 3px solid light-dark(#22262a, #e6e4de); outline-offset: 2px; }
"""


def welcome() -> str:
    """Nobody is signed in."""
    return _page("Sign in to Llavero", "Questions and sources are shown to people who are signed in.", "Sign in")


def not_allowed(who: str, reason: str) -> str:
    """Somebody whom no rule lets in. Both words may be others' text."""
    named = f"“{who}” is signed in there, and may not use this library" if who else "You may not use this library"
    return _page("Not for this account", f"{named}: {reason}. Ask whoever runs it.", "Sign in as somebody else")


def failed() -> str:
    """The provider sent somebody back without saying who it is."""
    return _page("Signing in did not work", "The provider did not say who you are. The server's log has more.", "Again")


def provider_silent() -> str:
    """Nobody can sign in now."""
    words = "The provider of identities cannot be reached, or does not know this page. The server's log has more."
    return _page("Signing in is not possible now", words, "Try again")


def _page(title: str, words: str, link: str) -> str:
    inside = [_logo(), safe_html.tag("h1", title), safe_html.tag("p", words), f'<a href="/sign-in">{link}</a>']
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    body = safe_html.wrap("body", [safe_html.wrap("main", inside)])
    return f'<!doctype html><html lang="en"><head>{head}<style>{_STYLE}</style></head>{body}</html>'


@cache
def _logo() -> str:
    return (_HERE / "logo.svg").read_text(encoding="utf-8")
