"""Is a TIFF a camera's raw picture (DNG, NEF, ARW, CR2 …)? Its tags say so. Of one, the preview in it is read."""

import struct

_DNG_VERSION, _SUB_IFDS, _MAKE, _PHOTOMETRIC = 50706, 330, 271, 262
_SENSOR = (32803, 34892)
"""Photometric interpretations: one colour for each pixel, as the sensor saw it."""
_MOST_TAGS = 500


def is_camera_raw(head: bytes) -> bool:
    """From the first bytes of a TIFF. False where its tags lie further on."""
    if head[8:10] == b"CR":  # Canon's CR2
        return True
    tags = _tags(head)
    if _DNG_VERSION in tags or tags.get(_PHOTOMETRIC) in _SENSOR:
        return True
    return _SUB_IFDS in tags and _MAKE in tags  # Nikon, Sony, Pentax: the sensor's picture hangs below the preview


def _tags(head: bytes) -> dict[int, int]:
    """The first directory's tags with their first 16 bits of value."""
    order = "<" if head[:2] == b"II" else ">"
    try:
        (start,) = struct.unpack_from(order + "I", head, 4)
        (count,) = struct.unpack_from(order + "H", head, start)
        places = range(start + 2, start + 2 + 12 * min(count, _MOST_TAGS), 12)
        entries = [struct.unpack_from(order + "HHIH", head, place) for place in places]
    except struct.error:
        return {}
    return {tag: value for tag, _, _, value in entries}
