"""`llavero model generate` as a person and a script use it."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run
from generating_world import coco
from PIL import Image
from writing_server import serving

from rag.prompt import REFUSAL
from ui.cli import model_generate

COMMAND = ("model", "generate")


def test_coco_in_llavas_json_out_and_a_report(run: Run, tmp_path: Path) -> None:
    captions, instances = coco(tmp_path, 3)
    with serving() as server:
        outcome = run(
            "--coco", captions, "--instances", instances, "--images", tmp_path / "images", "--endpoint", server.url,
            "--model", "m", "--out", tmp_path / "out", "--json", "--price-in", 1, "--price-out", 2, "--kinds",
            "detail,complex",
        )  # fmt: skip
    assert outcome.code == 0 and outcome.document["made"] == 6
    assert outcome.document["cost"] == pytest.approx(6 * 200 / 1e6) and outcome.document["tokens"]["total"] == 900
    assert len(json.loads((tmp_path / "out/train.json").read_text())) == 6


def test_faults_of_the_input_are_listed_with_their_ids_and_the_exit_code_says_so(run: Run, tmp_path: Path) -> None:
    captions, _ = coco(tmp_path, 3)
    (tmp_path / "images/2.png").unlink()
    with serving() as server:
        outcome = run(
            "--coco", captions, "--images", tmp_path / "images", "--endpoint", server.url, "--model", "m",
            "--out", tmp_path / "out", "--kinds", "detail",
        )  # fmt: skip
    assert outcome.code == 3 and "not there; left out: 2" in outcome.err and "2 samples made" in outcome.out


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "--coco"),
        (("--coco", "c.json", "--csv", "t.csv"), 2, "one of"),
        (("--csv", "t.csv", "--instances", "i.json"), 2, "--coco"),
        (("--csv", "t.csv", "--kinds", "poem"), 2, "poem"),
        (("--csv", "t.csv", "--language", "tlh"), 2, "tlh"),
        (("--csv", "t.csv"), 1, "LLAVERO_GENERATE_KEY"),
        (("--csv", "t.csv", "--endpoint", "http://127.0.0.1:9/v1"), 1, "--model"),
        (("--csv", "t.csv", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m", "--max-cost", "1"), 1, "--price-in"),
        (("--csv", "/nowhere/t.csv", "--endpoint", "http://127.0.0.1:9/v1", "--model", "m"), 1, "/nowhere/t.csv"),
    ],
)
def test_what_cannot_work_stops_before_anything_is_sent(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run(*words)
    assert outcome.code == code and said in outcome.err and "Traceback" not in outcome.err
    assert not (tmp_path / "generated").exists()


def test_brief_captions_need_no_model(run: Run, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "caption"], ["a.png", "A black square."]])
    outcome = run("--csv", tmp_path / "t.csv", "--kinds", "brief", "--out", tmp_path / "out", "--json")
    (sample,) = json.loads((tmp_path / "out/train.json").read_text())
    assert outcome.code == 0 and sample["conversations"][1]["value"] == "A black square."
    assert "<image>" in sample["conversations"][0]["value"]


def test_a_library_gives_answers_with_regions_refusals_and_two_sides_that_share_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llava_model.synthesis.sources import Item, PictureSource, TextLine

    items = []
    for number in range(4):
        Image.new("RGB", (30, 30), (number * 60, 255 - number * 50, 9)).save(tmp_path / f"{number}.png")
        lines = (
            TextLine(text=f"Bill {number}", box=(0.1, 0.1, 0.9, 0.2)),
            TextLine(text="Total 17.00 EUR", box=(0.1, 0.5, 0.9, 0.6)),
        )
        items.append(Item(id=f"bill-{number}", image=f"{number}.png", lines=lines, held_out=number == 3))
    monkeypatch.setattr(model_generate, "_from_library", lambda *words: PictureSource(items=tuple(items), problems=()))
    with serving() as server:
        outcome = run(
            "--from-library", "--library", tmp_path, "--endpoint", server.url, "--model", "m", "--json",
            "--out", tmp_path / "out", "--kinds", "reading",
        )  # fmt: skip
    train = json.loads((tmp_path / "out/train.json").read_text())
    held_out = json.loads((tmp_path / "out/held_out.json").read_text())
    assert [one["id"] for one in train] == [f"bill-{n}-reading" for n in range(3)] and len(held_out) == 1
    said = [turn["value"] for turn in train[0]["conversations"] if turn["from"] == "gpt"]
    assert said == ["The total is 17.00 EUR.", "[0.100, 0.500, 0.900, 0.600]", REFUSAL]
    assert train[0]["evidence"] == [{"turn": 1, "boxes": [[0.1, 0.5, 0.9, 0.6]], "lines": ["Total 17.00 EUR"]}]
    assert [one["turn"] for one in train[0]["unanswerable"]] == [5]
    assert outcome.document["leaks"] == [] and outcome.code == 0


def test_a_document_on_both_sides_is_found(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from llava_model.synthesis.sources import Item, PictureSource, TextLine

    items = []
    for number in range(2):
        Image.new("RGB", (30, 30), "teal").save(tmp_path / f"{number}.png")
        lines = (TextLine(text="Total 17.00 EUR", box=(0.1, 0.5, 0.9, 0.6)), TextLine(text=f"Total {number} 17.00 EUR"))
        items.append(Item(id=f"bill-{number}", image=f"{number}.png", lines=lines, held_out=number == 1))
    monkeypatch.setattr(model_generate, "_from_library", lambda *words: PictureSource(items=tuple(items), problems=()))
    with serving() as server:
        outcome = run(
            "--from-library", "--library", tmp_path, "--endpoint", server.url, "--model", "m", "--json",
            "--out", tmp_path / "out", "--kinds", "reading",
        )  # fmt: skip
    assert outcome.code == 3 and {leak["kind"] for leak in outcome.document["leaks"]} >= {"leaked-picture"}
    assert "leak: bill-0-reading" in outcome.err


def test_ground_questions_come_from_the_librarys_own_values_without_a_text_model(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from indexing.records import Chunk

    texts = ("Lowe Books\nDate: 5/3/2018\nTotal: RM 31.00", "Dahl Motors\nClerk: Amina\nTotal: RM 88.50")
    chunks = [
        Chunk(content_hash=f"{number:064}", path=f"/f/bill-{number}.txt", kind="text", ordinal=0, text=text)
        for number, text in enumerate(texts)
    ]
    monkeypatch.setattr(model_generate, "_chunks", lambda library: ("pocket", chunks))
    monkeypatch.setattr(model_generate, "_token_counter", lambda kit: lambda turns: 10)
    words = ("--from-library", "--library", tmp_path, "--kinds", "ground", "--held-out", "0.5", "--out", tmp_path / "o")
    outcome = run(*words, "--json")
    assert outcome.code == 0 and set(outcome.document["files"]) == {
        str(tmp_path / "o" / name) for name in ("train.jsonl", "held_out.jsonl")
    }
    for name in ("train.jsonl", "held_out.jsonl"):
        records = [json.loads(line) for line in (tmp_path / "o" / name).read_text().splitlines()]
        assert len({record["source"] for record in records}) == 1
        assert all(record["answers"] or record["messages"][-1]["content"] == REFUSAL for record in records)


def test_a_library_without_values_says_what_else_can_be_done(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_generate, "_chunks", lambda library: ("pocket", []))
    monkeypatch.setattr(model_generate, "_token_counter", lambda kit: lambda turns: 10)
    outcome = run("--from-library", "--library", tmp_path, "--kinds", "ground", "--out", tmp_path / "o")
    assert outcome.code == 1 and "--endpoint" in outcome.err and not (tmp_path / "o").exists()
    assert run("--csv", "t.csv", "--kinds", "ground").code == 2


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys, contextlib\nfrom ui.cli import main as cli\n"
        "sys.argv = ['llavero', 'model', 'generate', '--help']\n"
        "with contextlib.suppress(SystemExit): cli.main()\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'numpy', 'httpx')))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60).returncode == 0
