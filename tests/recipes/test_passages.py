"""Passages out of unpacked packages."""

import zipfile
from pathlib import Path

from recipes.small.passages import LONGEST, MOST, SHORTEST, Prose, drawn, passages

ENGLISH = (
    "The old harbour lies below the town. Fishermen built it of grey stone and mended it after every winter. When the "
    "railway came, most of the ships went elsewhere, and the long quay was given to the sailing school. Today two "
    "ferries leave from there in the summer, and the fish market is held on the first day of every week."
)
GERMAN = (
    "Der alte Hafen liegt unterhalb der Stadt. Fischer bauten ihn aus grauem Stein und besserten ihn nach jedem Winter "
    "aus. Als die Eisenbahn kam, fuhren die meisten Schiffe anderswohin, und der lange Kai wurde der Segelschule "
    "überlassen. Heute legen dort im Sommer zwei Fähren ab, und am ersten Tag jeder Woche findet der Fischmarkt statt."
)


def sky(packages: Path, name: str, licence: str, text: str = ENGLISH) -> None:
    folder = packages / "stellarium-data/usr/share/stellarium/skycultures" / name
    folder.mkdir(parents=True)
    (folder / "info.ini").write_text(f"[info]\nname = {name}\n{licence}\nauthor = Nobody\n", encoding="utf-8")
    (folder / "description.en.utf8").write_text(f"<h1>{name}</h1><p>{name}. {text}</p>", encoding="utf-8")


def test_a_sky_whose_licence_forbids_changes_or_sale_or_is_not_stated_is_left_out(tmp_path: Path) -> None:
    for name, licence in {
        "free": "license = CC BY-SA 4.0 International Public License", "gpl": "license = GNU GPL v2.0",
        "fixed": "license = CC BY-ND 4.0 International Public License", "unsold": "license = CC BY-NC 4.0",
        "both": "license = CC BY-NC-ND 4.0 International Public license", "untold": "",
    }.items():  # fmt: skip
        sky(tmp_path, name, licence)
    assert {each.document for each in passages(tmp_path)} == {"sky/free", "sky/gpl"}


def test_a_text_and_its_translation_are_of_one_document(tmp_path: Path) -> None:
    archive = tmp_path / "0ad-data/usr/share/games/0ad/mods/public/public.zip"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("l10n/de.public-civilizations.po", f'msgid "{ENGLISH}"\nmsgstr "{GERMAN}"\n')
    for language, code in (("en-us", "en-US"), ("de", "de")):
        folder = tmp_path / f"libreoffice-help-{language}/usr/share/libreoffice/help/{code}/text/swriter/guide"
        folder.mkdir(parents=True)
        text = (ENGLISH if language == "en-us" else GERMAN).replace("two", "three").replace("zwei", "drei")
        (folder / "quay.html").write_text(f"<html><body><p>{text}</p></body></html>", encoding="utf-8")
    found = list(passages(tmp_path))
    assert [(each.language, each.document) for each in found if each.document.startswith("libre")] == [
        ("en", "libreoffice-help/quay.html"), ("de", "libreoffice-help/quay.html"),
    ]  # fmt: skip
    told = [each for each in found if each.document.startswith("0ad/")]
    assert {each.language for each in told} == {"en", "de"} and len({each.document for each in told}) == 1
    assert all(SHORTEST <= len(each.text.split()) <= LONGEST for each in found)


def test_of_a_large_collection_only_so_many_are_drawn_and_the_same_for_a_seed() -> None:
    def some(collection: str, language: str) -> list[Prose]:
        return [
            Prose(language=language, document=f"{collection}/{at}", title="", text=f"{language} {at}")
            for at in range(400)
        ]

    found = [*some("libreoffice-help", "en"), *some("libreoffice-help", "de"), *some("sky", "en")]
    kept = drawn(found, 1)
    assert kept == drawn(found, 1) != drawn(found, 2)
    assert len(kept) == 2 * MOST["libreoffice-help"] + 400
