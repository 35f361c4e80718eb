"""What a camera writes beside the pixels (EXIF): when and where a picture was taken, and with what.

    taken = "2019-07-14T10:32:05+02:00", latitude = "48.858400", longitude = "2.294500", camera = "Canon EOS 80D"

A key is missing where the camera did not say, or said nonsense.
"""

import math
import re
import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from PIL import ExifTags, Image

from indexing.errors import pass_on

_OFFSET = re.compile(r"[+-]\d\d:\d\d")
_UNREADABLE = re.compile("[\x00-\x1f\x7f\ufffd]+")
_LONGEST = 100
_BAD_EXIF = (
    SyntaxError,
    struct.error,
    KeyError,
    ValueError,
    TypeError,
    OSError,
    AttributeError,
    ArithmeticError,
    EOFError,
)
"""What Pillow's parser raises for EXIF that is damaged."""


def photo_metadata(image: Image.Image) -> dict[str, str]:
    """`taken`, `latitude` and `longitude`, `camera`. Asked before the picture is decoded, since Pillow closes a TIFF
    then; never raises for bad EXIF."""
    try:
        exif = image.getexif()
        camera = _camera(exif)
        found = {
            "taken": _taken(exif, exif.get_ifd(ExifTags.IFD.Exif), by_camera=bool(camera)),
            **_place(exif.get_ifd(ExifTags.IFD.GPSInfo)),
            "camera": camera,
        }
    except _BAD_EXIF as error:
        pass_on(error)
        return {}
    return {key: value for key, value in found.items() if value}


def _taken(exif: Mapping[int, Any], details: Mapping[int, Any], *, by_camera: bool) -> str:
    """The moment of the exposure; the file's own date where a camera wrote no other."""
    base = ExifTags.Base
    offset = _text(details.get(base.OffsetTimeOriginal)) or _text(details.get(base.OffsetTime))
    changed = exif.get(base.DateTime) if by_camera else None
    for value in (details.get(base.DateTimeOriginal), details.get(base.DateTimeDigitized), changed):
        try:
            moment = datetime.strptime(_text(value)[:19], "%Y:%m:%d %H:%M:%S")
        except ValueError:
            continue
        return moment.isoformat() + (offset if _OFFSET.fullmatch(offset) else "")
    return ""


def _place(gps: Mapping[int, Any]) -> dict[str, str]:
    tags = ExifTags.GPS
    latitude = _degrees(gps.get(tags.GPSLatitude), _text(gps.get(tags.GPSLatitudeRef)), most=90.0, negative="S")
    longitude = _degrees(gps.get(tags.GPSLongitude), _text(gps.get(tags.GPSLongitudeRef)), most=180.0, negative="W")
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):  # a receiver that saw no satellite
        return {}
    return {"latitude": f"{latitude:.6f}", "longitude": f"{longitude:.6f}"}


def _degrees(value: Any, reference: str, *, most: float, negative: str) -> float | None:
    """Degrees, minutes and seconds as one number."""
    if not isinstance(value, tuple) or not 1 <= len(value) <= 3:
        return None
    degrees: float = sum(float(part) / 60**index for index, part in enumerate(value))
    if not math.isfinite(degrees) or abs(degrees) > most:
        return None
    return -degrees if reference.upper().startswith(negative) else degrees


def _camera(exif: Mapping[int, Any]) -> str:
    """Maker and model; many models begin with their maker's name."""
    make, model = _text(exif.get(ExifTags.Base.Make)), _text(exif.get(ExifTags.Base.Model))
    first = make.split()[0].lower() if make else ""
    return model if first and model.lower().startswith(first) else f"{make} {model}".strip()


def _text(value: Any) -> str:
    words = value.decode("utf-8", "replace") if isinstance(value, bytes) else value if isinstance(value, str) else ""
    return " ".join(_UNREADABLE.sub(" ", words).split())[:_LONGEST]
