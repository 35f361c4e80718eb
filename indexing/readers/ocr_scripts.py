"""Lines in scripts that RapidOCR's recogniser does not know (Cyrillic, Greek, Arabic, Devanagari, Korean …), read by
Tesseract where it is installed: `pip install llavero[tesseract]`, and its language data of the system, such as Debian's
tesseract-ocr-script-cyrl. No package of PP-OCR's recognisers for these scripts can be installed by name.

The script is the one whose recogniser is surest of a few lines and names letters of that script. Where none is,
Tesseract's own script detection (tesseract-ocr-osd) names it, for the note.
"""

import os
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexing.errors import pass_on

Pixels = npt.NDArray[np.uint8]
Read = tuple[str, float]
"""A line's words, and how sure Tesseract is of them, 0..1."""

SCRIPTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Cyrillic": ("CYRILLIC", ("Cyrillic", "rus", "ukr", "bul", "srp", "bel", "mkd", "kaz", "mon")),
    "Greek": ("GREEK", ("Greek", "ell")),
    "Arabic": ("ARABIC", ("Arabic", "ara", "fas", "urd")),
    "Devanagari": ("DEVANAGARI", ("Devanagari", "hin", "mar", "nep", "san")),
    "Korean": ("HANGUL", ("Hangul", "kor")),
    "Hebrew": ("HEBREW", ("Hebrew", "heb", "yid")),
    "Thai": ("THAI", ("Thai", "tha")),
    "Bengali": ("BENGALI", ("Bengali", "ben", "asm")),
    "Tamil": ("TAMIL", ("Tamil", "tam")),
    "Telugu": ("TELUGU", ("Telugu", "tel")),
    "Georgian": ("GEORGIAN", ("Georgian", "kat")),
    "Armenian": ("ARMENIAN", ("Armenian", "hye")),
}
"""What people call a script → how Unicode names its letters, and Tesseract's data for it: the whole script's, or that
of languages written in it."""
_OSD = {"Han": "", "Latin": "", "Japanese": "", "Fraktur": "Fraktur", "Hangul": "Korean"}
"""Tesseract's names that are not ours; "" for scripts that the other recogniser knows."""
_FOLDERS = (
    "/usr/share/tesseract-ocr/5/tessdata",
    "/usr/share/tesseract-ocr/4.00/tessdata",
    "/usr/share/tessdata",
    "/usr/local/share/tessdata",
    "/opt/homebrew/share/tessdata",
)
_TRIED = 3
"""Lines from which the script is told."""
_LEAST_SURE = 0.6
"""A line of less is left unread."""
SURE_OF_SCRIPT = 0.8
"""How sure a recogniser has to be of a few lines, times the share of letters that are of its script: the right ones
have 0.9, others name letters of their own with up to 0.75."""
_CERTAIN = 0.85
"""From here on no other script is tried."""
_last = [""]
_LEAST_OSD = 1.0
_LINE_HEIGHT, _BORDER = 48, 10


def read_other_scripts(crops: Sequence[Pixels]) -> list[Read | None]:
    """Straight BGR lines that were not read → the words of each, None where they cannot be read after all."""
    if not crops or not installed():
        return [None] * len(crops)
    longest = sorted(crops, key=lambda crop: -crop.shape[1] / crop.shape[0])[:_TRIED]
    likeness, script = surest_script(longest)
    if likeness < SURE_OF_SCRIPT:
        return [None] * len(crops)
    return [read if read[1] >= _LEAST_SURE else None for read in _recognised(script, crops)]


def surest_script(crops: Sequence[Pixels]) -> tuple[float, str]:
    """How sure the surest recogniser is of these few lines, 0..1, and its script; (0.0, "") without any. The one of the
    page before is asked first."""
    best = (0.0, "")
    if not crops:
        return best
    for script in sorted(installed(), key=lambda each: each != _last[0]):
        best = max(best, (_likeness(script, crops[:_TRIED]), script))
        if best[0] >= _CERTAIN:
            break
    _last[0] = best[1]
    return best


def script_of(image_HWC: Pixels) -> str:
    """What Tesseract's script detection calls the script of an RGB page, in our words; "" where it is not installed, is
    not sure, or names a script that the other recogniser knows."""
    folder = _folder()
    if folder is None or not (folder / "osd.traineddata").is_file():
        return ""
    from PIL import Image
    from tesserocr import PSM, PyTessBaseAPI

    try:
        with PyTessBaseAPI(path=str(folder), lang="osd", psm=PSM.OSD_ONLY) as api:
            api.SetImage(Image.fromarray(image_HWC))
            found = api.DetectOrientationScript()
    except RuntimeError as error:  # data that it cannot read
        pass_on(error)
        return ""
    if not found or found["script_conf"] < _LEAST_OSD:
        return ""
    name = str(found["script_name"])
    return _OSD.get(name, name)


@cache
def installed() -> Mapping[str, str]:
    """Scripts that can be read here → Tesseract's name for the data; empty without Tesseract."""
    folder = _folder()
    if folder is None:
        return {}
    there = {file.stem for place in (folder, folder / "script") for file in place.glob("*.traineddata")}
    found: dict[str, str] = {}
    for script, (_, (whole, *languages)) in SCRIPTS.items():
        known = [whole] if whole in there else [language for language in languages if language in there]
        if known:
            prefix = "" if (folder / f"{known[0]}.traineddata").is_file() else "script/"
            found[script] = "+".join(f"{prefix}{each}" for each in known)
    return found


@cache
def _folder() -> Path | None:
    """Where the language data lies; None where there is none, or no tesserocr."""
    if find_spec("tesserocr") is None:
        return None
    named = os.environ.get("TESSDATA_PREFIX", "")
    return next((Path(each) for each in (named, *_FOLDERS) if each and Path(each).is_dir()), None)


@cache
def _recogniser(script: str) -> Any:
    """Stays open: opening takes as long as ten lines."""
    from tesserocr import OEM, PSM, PyTessBaseAPI

    return PyTessBaseAPI(path=str(_folder()), lang=installed()[script], psm=PSM.SINGLE_LINE, oem=OEM.LSTM_ONLY)


def _recognised(script: str, crops: Sequence[Pixels]) -> Iterator[Read]:
    from PIL import Image, ImageOps

    for crop_HWC in crops:
        line = Image.fromarray(np.ascontiguousarray(crop_HWC[:, :, ::-1])).convert("L")
        width = max(1, round(line.width * _LINE_HEIGHT / line.height))
        line = line.resize((width, _LINE_HEIGHT), Image.Resampling.LANCZOS)
        background = int(np.median(np.asarray(line)))
        try:
            api = _recogniser(script)
            api.SetImage(ImageOps.expand(line, _BORDER, fill=background))
            text, confidence = " ".join(api.GetUTF8Text().split()), api.MeanTextConf() / 100
        except RuntimeError as error:  # data that it cannot read
            pass_on(error)
            text, confidence = "", 0.0
        yield text, confidence if text else 0.0


def _likeness(script: str, crops: Sequence[Pixels]) -> float:
    """How sure its recogniser is of the lines, times the share of letters that are of the script."""
    unicode_name = SCRIPTS[script][0]
    read = list(_recognised(script, crops))
    letters = [char for text, _ in read for char in text if char.isalpha()]
    share = sum(unicodedata.name(char, "").startswith(unicode_name) for char in letters) / max(1, len(letters))
    return share * sum(confidence for _, confidence in read) / len(read)
