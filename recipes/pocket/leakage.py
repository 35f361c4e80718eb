"""Which training pictures are too close to held-out ones to be trained on.

Titles alone do not show every series: an artist may be spelled in two ways, moon phases are numbered at the front of
their names, a flag is drawn twice under two names. So a picture also goes when its file name begins like a held-out
one's in the same folder, or when the frozen network can hardly tell the two apart: rather too many than too few.
"""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

LOOK_ALIKE = 0.8  # cosine of standardised inputs; half of the held-out pictures have no neighbour nearer than 0.57


def beginning(name: str) -> str:
    """Folder and first two words of a file name without numbers; "folder/#" for names that begin with a number.

    "animals/fish/dolphin_01" → "animals/fish/dolphin"; "astronomy/03_firstquarter" → "astronomy/#".
    """
    folder, _, stem = name.rpartition("/")
    parts = re.findall(r"[a-z]+|\d+", stem.lower())
    if parts and parts[0].isdigit():
        return f"{folder}/#"
    return f"{folder}/{' '.join([part for part in parts if not part.isdigit()][:2])}"


def too_close(
    names: Sequence[str],
    unit_NP: npt.NDArray[np.float32],
    held_names: Sequence[str],
    held_MP: npt.NDArray[np.float32],
) -> npt.NDArray[np.bool_]:
    """(N,): whether a training picture must be left out, by its name or by its looks; unit vectors are given."""
    beginnings = {beginning(name) for name in held_names}
    by_name_N = np.array([beginning(name) in beginnings for name in names], dtype=bool)
    by_looks_N = (unit_NP @ held_MP.T).max(1) >= LOOK_ALIKE
    left_out_N: npt.NDArray[np.bool_] = by_name_N | by_looks_N
    return left_out_N
