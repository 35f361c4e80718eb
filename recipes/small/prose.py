"""Sentences of documentation that Debian packages carry in several languages, paragraph by paragraph.

    apt-get download debian-handbook …; dpkg -x each of them into one folder: PACKAGES/<package>/usr/share/…
    paragraphs(PACKAGES, "train")  →  {"en": [["The first sentence.", "The second."], …], "de": …}

A document belongs to one part only. The texts stay where they are: nothing of them is written into the repository.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from lxml import etree, html

LANGUAGES = ("en", "es", "de", "fr")

DOCUMENTS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "train": (
        ("debian-handbook", "usr/share/doc/debian-handbook/html/{region}"),  # GPL-2+ or CC-BY-SA-3.0
        ("gnome-user-docs", "usr/share/help/{code}/gnome-help"),  # CC-BY-SA-3.0
        ("harden-doc", "usr/share/doc/harden-doc/html/{region}"),  # GPL-2
        ("gnucash-docs", "usr/share/doc/gnucash-docs/gnucash-guide-{code}"),  # GFDL-1.1+
        ("debian-history", "usr/share/doc/debian-history/docs"),  # GPL-2+
        ("anarchism", "usr/share/doc/anarchism/html"),  # GPL-2
    ),
    "dev": (("debian-reference-{code}", "usr/share/debian-reference"),),  # GPL-2+
    "test": (
        ("installation-guide-amd64", "usr/share/doc/installation-guide-amd64/{code}"),  # GPL-2
        ("debian-faq-{code}", "usr/share/doc/debian/FAQ/{code}"),  # GPL-2+
        ("debian-faq", "usr/share/doc/debian/FAQ"),
        ("aptitude-doc-{code}", "usr/share/doc/aptitude/html/{code}"),  # GPL-2+
    ),
}
_REGIONS = {"en": "en-US", "es": "es-ES", "de": "de-DE", "fr": "fr-FR"}
_ENGLISH_ONLY = ("anarchism", "debian-history", "debian-faq")
_ENDINGS = (".html", ".htm", ".page")


def paragraphs(packages: Path, part: str) -> dict[str, list[list[str]]]:
    """The sentences of every paragraph of a part ("train", "dev" or "test") by language, each paragraph once."""
    found: dict[str, list[list[str]]] = {}
    for code in LANGUAGES:
        seen: dict[str, None] = {}
        for package, folder in DOCUMENTS[part]:
            if package in _ENGLISH_ONLY and code != "en":
                continue
            place = packages / package.format(code=code) / folder.format(code=code, region=_REGIONS[code])
            if code == "en" and not place.is_dir():
                place = packages / package.format(code="en") / folder.format(code="C", region="en-US")
            for file in sorted(place.glob("*")) if place.is_dir() else ():
                if file.suffix in _ENDINGS:
                    seen |= dict.fromkeys(_of_file(file))
        found[code] = [kept for text in seen if (kept := sentences(text))]
    return found


def _of_file(file: Path) -> Iterator[str]:
    try:
        tree = etree.parse(str(file)) if file.suffix == ".page" else html.parse(str(file))
    except etree.XMLSyntaxError:
        return
    for node in tree.iter("{*}p", "p", "div"):
        if node.tag == "div" and node.get("class") != "para":
            continue
        text = " ".join("".join(node.itertext()).split())
        if 40 < len(text) < 1200:
            yield text


def sentences(text: str) -> list[str]:
    """Whole sentences of 5 to 32 words; headings, commands and what is cut are left out."""
    found, start = [], 0
    for place, sign in enumerate(text):
        after = text[place + 1 : place + 3]
        if sign in ".!?" and (not after or (after[0] == " " and (len(after) < 2 or after[1].isupper()))):
            last = text[start:place].rsplit(" ", 1)[-1]
            if len(last) > 2 or not after:  # not "z. B." and the like
                found.append(text[start : place + 1].strip())
                start = place + 1
    return [each for each in found if 5 <= len(each.split()) <= 32 and each[0].isupper() and len(each) < 260]
