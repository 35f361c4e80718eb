"""Passages of a few sentences, with their titles, out of what Debian packages carry in several languages.

    python -m recipes.small.passages --packages PACKAGES --out passages.jsonl

PACKAGES holds one folder a package, as `dpkg -x` makes it. Manuals are cut where a paragraph begins; what a game tells
of history and what a star map tells of peoples' skies are told to lay readers, as reports and encyclopaedias are. Of
large collections only a drawn part is taken. The texts stay where they are: nothing of them is written into the
repository. A document has one name in all its languages, so that no translation of it lands in another part.
"""

import argparse
import gettext
import io
import json
import random
import re
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from lxml import etree, html

from llava_model.synthesis.prompts import language_of
from recipes.small.prose import LANGUAGES

SHORTEST, LONGEST = 45, 190
"""Words of a passage."""

PAGES: Mapping[str, str] = {
    "debian-handbook": "usr/share/doc/debian-handbook/html/{region}",  # GPL-2+ or CC-BY-SA-3.0
    "gnome-user-docs": "usr/share/help/{code}/gnome-help",  # CC-BY-SA-3.0
    "gnucash-docs": "usr/share/doc/gnucash-docs/gnucash-guide-{code}",  # GFDL-1.1+, no invariant sections
    "debian-history": "usr/share/doc/debian-history/docs",  # GPL-2+
    "anarchism": "usr/share/doc/anarchism/html",  # GPL-2+
    "gimp-help-{code}": "usr/share/gimp/2.0/help/{code}",  # GFDL-1.2+, no invariant sections (gimp-help-common)
    "libreoffice-help-{region_low}": "usr/share/libreoffice/help/{region}/text/swriter/guide",  # MPL-2.0
}
"""Package → the folder of its pages. Licences are those of usr/share/doc/PACKAGE/copyright."""

MOST: Mapping[str, int] = {
    "debian-handbook": 250, "gnome-user-docs": 180, "gnucash-docs": 250, "anarchism": 500, "gimp-help": 250,
    "libreoffice-help": 120,
}  # fmt: skip
"""Passages of one collection in one language that `drawn` takes; of the others it takes all."""

_ENGLISH_ONLY = ("anarchism", "debian-history")
_REGIONS = {"en": "en-US", "es": "es", "de": "de", "fr": "fr"}
_HANDBOOK = {"en": "en-US", "es": "es-ES", "de": "de-DE", "fr": "fr-FR"}
_TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Prose:
    """A passage: its sentences stand in `text`; passages of one `document` are neighbours in the order written."""

    language: str
    document: str
    title: str
    text: str


def passages(packages: Path) -> Iterator[Prose]:
    """Every passage of the folder's packages, each text once."""
    seen: set[str] = set()
    for each in (*_of_pages(packages), *_of_skies(packages), *_of_histories(packages), *_of_help(packages)):
        if each.text not in seen and language_of(each.text) == each.language:
            seen.add(each.text)
            yield each


def drawn(found: Sequence[Prose], seed: int) -> list[Prose]:
    """At most `MOST` passages of a collection in a language, in a drawn order."""
    taken: Counter[tuple[str, str]] = Counter()
    kept: list[Prose] = []
    for each in random.Random(seed).sample(found, len(found)):
        collection = each.document.partition("/")[0]
        taken[collection, each.language] += 1
        if taken[collection, each.language] <= MOST.get(collection, len(found)):
            kept.append(each)
    return kept


def _of_pages(packages: Path) -> Iterator[Prose]:
    for code in LANGUAGES:
        for package, folder in PAGES.items():
            if package in _ENGLISH_ONLY and code != "en":
                continue
            region = (_HANDBOOK if package == "debian-handbook" else _REGIONS)[code]
            names = {"code": code, "region": region, "region_low": region.lower()}
            place = packages / package.format_map(names) / folder.format_map(names)
            if code == "en" and not place.is_dir():
                place = packages / package.format_map(names) / folder.format_map({**names, "code": "C"})
            for file in sorted(place.glob("*")) if place.is_dir() else ():
                if file.suffix in (".html", ".htm", ".page"):
                    yield from _joined(code, f"{package.partition('-{')[0]}/{file.name}", *_paragraphs(file))


def _paragraphs(file: Path) -> tuple[str, list[str]]:
    try:
        tree = etree.parse(str(file)) if file.suffix == ".page" else html.parse(str(file))
    except etree.XMLSyntaxError:
        return "", []
    title, found = "", []
    for node in tree.iter("{*}p", "p", "div", "{*}title", "title", "h1"):
        text = " ".join("".join(node.itertext()).split())
        if etree.QName(node).localname in ("title", "h1"):
            title = title or text
        elif not (node.tag == "div" and node.get("class") != "para") and len(text) > 60 and text[-1] in ".!?":
            found.append(text)
    return title, found


def _of_skies(packages: Path) -> Iterator[Prose]:
    """What Stellarium tells of the skies of peoples, as far as it may be changed and sold (GPL-2, CC-BY-SA)."""
    for folder in sorted((packages / "stellarium-data").glob("usr/share/stellarium/skycultures/*")):
        for code in LANGUAGES if _is_free(folder / "info.ini") else ():
            file = folder / f"description.{code}.utf8"
            if not file.is_file():
                continue
            tree = html.fromstring(f"<div>{file.read_text(encoding='utf-8', errors='replace')}</div>")
            title = " ".join("".join(each.itertext()) for each in tree.iter("h1")) or folder.name
            texts = [" ".join("".join(node.itertext()).split()) for node in tree.iter("p", "li")]
            kept = [text for text in texts if len(text) > 60 and text[-1] in ".!?"]
            yield from _joined(code, f"sky/{folder.name}", title.strip(), kept)


def _is_free(file: Path) -> bool:
    """Whether a sky culture's own licence, "license = CC BY-ND 4.0", forbids neither changes nor sale."""
    stated = re.search(r"^license\s*=\s*(\S.*)$", file.read_text(encoding="utf-8", errors="replace"), re.M)
    return stated is not None and not re.search(r"-N[CD]\b", stated[1])


def _of_histories(packages: Path) -> Iterator[Prose]:
    """What 0 A.D. (CC-BY-SA-3.0) tells of peoples, buildings and persons of antiquity, from its translations."""
    archive = packages / "0ad-data" / "usr/share/games/0ad/mods/public/public.zip"
    if not archive.is_file():
        return
    with zipfile.ZipFile(archive) as held:
        for name in sorted(held.namelist()):
            code = name.removeprefix("l10n/").split(".")[0]
            if name.startswith("l10n/") and name.endswith(".po") and code in ("de", "es", "fr"):
                plain = {_plain(source): _plain(said) for source, said in _entries(held.read(name).decode("utf-8"))}
                yield from _translated("0ad", code, plain)


def _plain(text: str) -> str:
    return " ".join(_TAG.sub(" ", text.replace("\\n", " ").replace('\\"', '"')).split())


def _translated(collection: str, code: str, texts: Mapping[str, str]) -> Iterator[Prose]:
    """The entries of a catalogue of translations; the English ones once, with the German catalogue."""
    for source, said in texts.items():
        document = f"{collection}/{sha256(source.encode()).hexdigest()[:12]}"
        for language, text in ((code, said), *((("en", source),) if code == "de" else ())):
            yield from _joined(language, document, "", [text])


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """(msgid, msgstr) of a .po file."""
    for block in text.split("\n\n"):
        parts: dict[str, list[str]] = {}
        key = ""
        for line in block.splitlines():
            found = re.match(r'(msgid|msgstr)\s+"(.*)"$', line)
            if found:
                key = found[1]
                parts[key] = [found[2]]
            elif key and line.startswith('"') and line.endswith('"'):
                parts[key].append(line[1:-1])
            elif line.startswith("msg"):
                key = ""
        if len(parts) == 2:
            yield "".join(parts["msgid"]), "".join(parts["msgstr"])


def _of_help(packages: Path) -> Iterator[Prose]:
    """Freeciv's help (GPL-2+) in its translations."""
    for code in ("de", "es", "fr"):
        for domain in ("freeciv-core", "freeciv-nations"):
            file = packages / f"freeciv-data/usr/share/locale/{code}/LC_MESSAGES/{domain}.mo"
            if not file.is_file():
                continue
            read = gettext.GNUTranslations(io.BytesIO(file.read_bytes()))
            catalogue = read._catalog  # type: ignore[attr-defined] # the only way to its entries
            texts = {str(source): " ".join(str(said).split()) for source, said in sorted(catalogue.items(), key=str)}
            told = {" ".join(source.split()): said for source, said in texts.items() if _is_told(source, said)}
            yield from _translated(domain, code, told)


def _is_told(*texts: str) -> bool:
    """Whole sentences, without a place where the game fills something in."""
    return all("%s" not in text and "%d" not in text and text.rstrip().endswith(".") for text in texts)


def _joined(language: str, document: str, title: str, paragraphs: list[str]) -> Iterator[Prose]:
    """Neighbouring paragraphs together, until they are as long as a passage."""
    waiting: list[str] = []
    for text in paragraphs:
        waiting.append(text)
        words = sum(len(each.split()) for each in waiting)
        if words > LONGEST:
            waiting = []
        elif words >= SHORTEST:
            yield Prose(language=language, document=document, title=title[:80], text="\n".join(waiting))
            waiting = []


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    found = drawn(list(passages(arguments.packages)), arguments.seed)
    with arguments.out.open("w", encoding="utf-8") as file:
        for each in found:
            file.write(json.dumps(asdict(each), ensure_ascii=False) + "\n")
    counts = {code: sum(each.language == code for each in found) for code in LANGUAGES}
    sys.stdout.write(f"{len(found)} passages: {counts}\n")


if __name__ == "__main__":
    main()
