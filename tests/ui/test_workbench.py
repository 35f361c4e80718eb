import threading
from pathlib import Path

from ui.settings import Settings
from ui.workbench import Workbench


def test_parts_asked_for_by_many_threads_at_once_are_made_once_and_nobody_waits_forever(tmp_path: Path) -> None:
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True)
    got: dict[str, list[object]] = {"embedder": [], "answerer": [], "retriever": [], "store": []}
    threads = [
        threading.Thread(target=lambda name=name: got[name].append(getattr(bench, name)), daemon=True)
        for name in list(got) * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    bench.close()
    assert all(len(made) == 3 and len(set(map(id, made))) == 1 for made in got.values())
    assert got["retriever"][0] is got["answerer"][0].retriever


def test_a_picture_outside_the_library_is_never_opened(tmp_path: Path) -> None:
    from PIL import Image

    from indexing.records import Chunk

    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    bench = Workbench.open(Settings.load(tmp_path / "library", environ={}), create=True)
    chunk = Chunk(content_hash="0" * 64, path="/x", kind="image", ordinal=0, image="../secret.png")
    assert bench.picture(chunk) is None
    bench.close()
