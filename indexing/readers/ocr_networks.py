"""The OCR's networks, as RapidOCR's wheel brings them: detection, direction, recognition; each on one thread.

Legend: H W pixels, C colours (BGR here, as the networks were trained); a quad is four corners (x, y) in pixels,
clockwise from top left.
"""

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Quad = npt.NDArray[np.float32]

SIDE = 1280
"""Longer side for the detector. On 10 of the receipts: 960 finds 87.6 % of the words in 0.17 s of CPU,
1280 88.7 % in 0.26 s, 1600 88.6 % in 0.41 s; the wheel's own setting 89.0 % in 0.59 s."""
BORDER = 16
"""Pixels around the picture: the detector misses lines that touch the border."""
_LINE_HEIGHT, _LINE_WIDTH = 48, 320
"""Of a line as the recogniser sees it, in pixels; shorter ones are padded."""
tiny_is_zero = False
"""Whether numbers below 1e-38 count as zero. The detector's weights hold so many of them that some processors take four
times as long for it (136 ms a look instead of 36). ONNX Runtime sets this for all that the thread computes from the
process's first session on, so only a reader's process turns it on, where nothing else is computed."""


def text_map(small_HWC: Pixels) -> npt.NDArray[np.float32]:
    """How likely each pixel of a BGR picture is text, (H, W); H and W are multiples of 32."""
    input_1CHW = (small_HWC[None].transpose(0, 3, 1, 2) / np.float32(127.5) - 1).astype(np.float32)
    text_HW: npt.NDArray[np.float32] = np.asarray(_detector().run(None, {"x": input_1CHW})[0], np.float32)[0, 0]
    return text_HW


def detected(image_HWC: Pixels) -> npt.NDArray[Any]:
    """Quads of the text lines in a BGR picture, (N, 4, 2); RapidOCR calls it an error when there are none."""
    from rapidocr.main import RapidOCRError

    try:
        _, found = _engine().detect_and_crop(image_HWC, {})
    except RapidOCRError:
        return np.empty((0, 4, 2), np.float32)
    return np.asarray(found.boxes)


def recognised(crops: Sequence[Pixels]) -> list[tuple[str, float]]:
    """The words on each straight BGR line, and how sure the network is of them (0..1)."""
    return [_recognised(crop) for crop in crops]


def _recognised(crop_HWC: Pixels) -> tuple[str, float]:
    """As RapidOCR does it, line by line: padding to the longest line costs time and words."""
    network, characters = _recogniser()
    height, width = crop_HWC.shape[:2]
    wide = math.ceil(_LINE_HEIGHT * width / height)
    input_1CHW = np.zeros((1, 3, _LINE_HEIGHT, max(_LINE_WIDTH, int(_LINE_HEIGHT * width / height))), np.float32)
    wide = min(wide, input_1CHW.shape[3])
    resized_HWC = cv2.resize(crop_HWC, (wide, _LINE_HEIGHT))
    input_1CHW[0, :, :, :wide] = resized_HWC.transpose(2, 0, 1) / np.float32(127.5) - 1
    scores_TV = np.asarray(network.run(None, {"x": input_1CHW})[0])[0]
    best_T = scores_TV.argmax(axis=1)
    kept_T = (best_T != 0) & (np.diff(best_T, prepend=-1) != 0)  # 0 is the blank between two letters
    text = "".join(characters[each] for each in best_T[kept_T])
    return text, float(scores_TV.max(axis=1)[kept_T].mean()) if text else 0.0


def upside_down(crops: Sequence[Pixels]) -> bool:
    """The small direction model's vote; it is wrong now and then, so the recogniser has the last word."""
    _, found = _engine().cls_and_rotate([crop.copy() for crop in crops])
    votes = found.cls_res or []
    return sum(1 for label, score in votes if label == "180" and score > 0.7) * 2 > len(crops)


def straightened(image_HWC: Pixels, quad: Quad) -> Pixels:
    """The quad cut out of an RGB picture and made straight, BGR."""
    width, height = (max(1, round(side)) for side in size_of(quad))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad, target)
    straight = cv2.warpPerspective(
        image_HWC, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.ascontiguousarray(straight[:, :, ::-1])


def size_of(quad: Quad) -> tuple[float, float]:
    """Width and height in pixels."""
    width = max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[2] - quad[3]))
    height = max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2]))
    return float(width), float(height)


@cache
def _detector() -> Any:
    """RapidOCR's detection network by itself: it is loaded in a fifth of the time that all of RapidOCR takes."""
    return _session("*_det_*.onnx")


@cache
def _recogniser() -> tuple[Any, list[str]]:
    """RapidOCR's recognition network by itself, too: a first look at a sign needs no more. The letters that it knows
    stand in its file; after them it knows a space."""
    network = _session("*_rec_*.onnx")
    return network, ["", *network.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]


@cache
def _session(pattern: str) -> Any:
    """One of the wheel's networks, on one thread."""
    import onnxruntime
    import rapidocr

    models = Path(str(rapidocr.__file__)).parent / "models"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if tiny_is_zero:
        options.add_session_config_entry("session.set_denormal_as_zero", "1")
    (network,) = models.glob(pattern)
    return onnxruntime.InferenceSession(str(network), options, providers=["CPUExecutionProvider"])


@cache
def _engine() -> Any:
    """One engine for the process, one thread: the pool runs as many workers as there are cores."""
    if tiny_is_zero:
        _session("*_cls_*.onnx")  # the smallest: the first session decides
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            "Global.log_level": "critical",
            "Det.limit_side_len": SIDE,
            "Det.limit_type": "max",
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )
