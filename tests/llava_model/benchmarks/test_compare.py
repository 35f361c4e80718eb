"""Published rows, a user's rows beside them, and the page."""

import json
import re
from pathlib import Path
from typing import Any

from PIL import Image

from llava_model.benchmarks import compare, find, names, score
from llava_model.benchmarks.compare import published, row_of


def test_every_published_row_has_a_source_and_only_columns_of_its_table() -> None:
    for benchmark in map(find, names()):
        for row in (*published(benchmark.name), *published(benchmark.coco_table)):
            assert re.search(r"arXiv \d{4}\.\d{5}", row.source)
            assert row.values and set(row.values) <= set(benchmark.columns), row.model


def test_the_papers_averages_are_those_of_its_subjects_questions() -> None:
    """Natural, social and language science have 2252, 889 and 1100 test questions: their mean is the average."""
    for row in published("scienceqa"):
        if len(row.values) < 9:
            continue
        values = [row.values[name] or 0.0 for name in ("NAT", "SOC", "LAN", "AVG")]
        mean = (2252 * values[0] + 889 * values[1] + 1100 * values[2]) / 4241
        assert abs(mean - values[3]) < 0.05, (row.model, mean)


def reviewed(path: Path, two: float, **more: Any) -> Path:
    lines = [
        {"question_id": n, "category": f"llava_bench_{c}", "content": "why", "tuple": [8.0, two], **more}
        for n, c in enumerate(("conv", "detail", "complex"))
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_a_users_row_stands_beside_the_published_ones_in_the_same_columns(tmp_path: Path) -> None:
    result = score("llava-bench", reviewed(tmp_path / "mine.jsonl", 6))
    cells = compare.table("llava-bench", [*published("llava-bench"), row_of("mine", result, "mine.jsonl")])
    assert cells[0] == ["model", "conv", "detail", "complex", "overall"]
    assert ["LLaVA", "57.3±1.9", "52.5±6.3", "81.7±1.8", "67.3±2.0"] in cells
    assert cells[-1] == ["mine", "75.0", "75.0", "75.0", "75.0"]


def test_the_page_holds_pictures_answers_and_judgements_and_reaches_nothing(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (900, 600), "red").save(tmp_path / "images/0.png")
    questions = [
        {"question_id": n, "text": f"What is {n}?", "image": "0.png" if n == 0 else "lost.png"} for n in (0, 1)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(one) + "\n" for one in questions))
    attack = "<script>alert(1)</script><img src=http://evil.example/x>"
    (tmp_path / "a.jsonl").write_text(json.dumps({"question_id": 0, "text": attack}) + "\n")
    reviews = reviewed(tmp_path / "r.jsonl", 6)
    entry = compare.read_entry("<b>m</b>", tmp_path / "a.jsonl", reviews)
    shown = compare.read_shown(tmp_path / "q.jsonl", tmp_path / "images")
    rows = [row_of("m", score("llava-bench", reviews), "r.jsonl")]
    page = compare.page("llava-bench", rows, shown, [entry])
    assert "<script" not in page and "<img src=http" not in page and "<b>m</b>" not in page
    assert "&lt;script&gt;" in page and "8 : 6" in page and "no answer" in page and "lost.png" in page
    assert page.count("data:image/jpeg;base64,") == 1 and len(page) < 30_000
    assert not re.search(r"<[^>]*(src|href)='?https?:", page)


def test_samples_serve_as_questions_with_their_reference(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "<image>\nWhat?"}, {"role": "assistant", "content": "A cat."}]
    (tmp_path / "s.jsonl").write_text(json.dumps({"id": "a", "images": ["p.png"], "messages": turns}) + "\n")
    (one,) = compare.read_shown(tmp_path / "s.jsonl", None)
    assert (one.text, one.reference, one.picture) == ("What?", "A cat.", tmp_path / "p.png")
