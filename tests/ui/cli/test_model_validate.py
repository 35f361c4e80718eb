"""`llavero model validate` as a person uses it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Run
from PIL import Image

COMMAND = ("model", "validate")


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """Two good samples, one with a picture and one without."""
    Image.linear_gradient("L").save(tmp_path / "0.png")
    path = tmp_path / "train.jsonl"
    _append(path, 1, "0.png")
    _append(path, 2, None)
    return path


def _append(path: Path, name: object, picture: str | None) -> None:
    asked = "<image>\nWhat?" if picture else "What?"
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": f"Answer {name}."}]
    with path.open("a") as file:
        file.write(json.dumps({"id": name, "images": [picture] if picture else [], "messages": turns}) + "\n")


def _tokenizer(folder: Path) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(vocab={c: n for n, c in enumerate(pre_tokenizers.ByteLevel.alphabet())}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|im_end|>").save_pretrained(folder)
    return folder


def test_a_clean_set_ends_with_0_and_says_that_tokens_were_not_counted(run: Run, samples: Path) -> None:
    outcome = run(samples)
    assert outcome.code == 0
    assert "2 samples, 4 turns, 1 pictures (1 different files), 1 samples without a picture" in outcome.out
    assert "No problems, 0 warnings" in outcome.out
    assert "Token checks are skipped" in outcome.err


def test_problems_end_with_3_each_with_its_id_and_reason(run: Run, samples: Path) -> None:
    _append(samples, "lost", "none.png")
    outcome = run(samples)
    assert outcome.code == 3
    assert "1 samples with a missing or broken picture:" in outcome.out
    assert "train.jsonl #2 'lost': has an unusable picture, there is no such file: '" in outcome.out


def test_the_terminal_shows_twenty_and_json_all(run: Run, samples: Path) -> None:
    for number in range(50):
        _append(samples, f"lost{number}", "none.png")
    outcome = run(samples)
    assert outcome.out.count("there is no such file") == 20
    assert "… and 30 more; --json lists all" in outcome.out
    document = run(samples, "--json").document
    assert document["counts"] == {"picture": 50}
    assert [problem["id"] for problem in document["problems"]] == [f"lost{number}" for number in range(50)]
    assert document["problems"][0]["position"] == 2
    assert (document["samples"], document["turns"], document["pictures"], document["text_only"]) == (52, 104, 51, 1)
    assert document["tokens"] is None


def test_tokens_are_drawn_as_bars(run: Run, samples: Path, tmp_path: Path) -> None:
    language = _tokenizer(tmp_path / "language")
    outcome = run(samples, "--language", language, "--template", "chatml", "--tokens-per-image", 100)
    assert outcome.code == 0
    assert "█" in outcome.out
    assert "tokens, " in outcome.out
    assert "skipped" not in outcome.err
    document = run(
        samples, "--language", language, "--template", "chatml", "--max-tokens", 100, "--json"
    ).document  # fmt: skip
    assert document["counts"] == {"too-long": 1, "untrainable": 1}
    assert sum(part["samples"] for part in document["tokens"]["histogram"]) == 2
    assert document["tokens"]["longest"] > 576


def test_warnings_alone_end_with_0(run: Run, samples: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    _append(test, "t", "none.png")
    outcome = run(samples, "--against", test)
    assert outcome.code == 0
    assert "perhaps: 1 parts of the evaluation that could not be read" in outcome.out


def test_a_leak_names_the_evaluations_sample(run: Run, samples: Path, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    _append(test, "t", "0.png")
    document = run(samples, "--against", test, "--json").document
    assert [(problem["kind"], problem["id"]) for problem in document["problems"]] == [("leaked-picture", "1")]
    assert "sample 't'" in document["problems"][0]["reason"]


def test_a_missing_file_ends_with_1_in_one_line(run: Run, tmp_path: Path) -> None:
    outcome = run(tmp_path / "none.json")
    assert (outcome.code, outcome.out) == (1, "")
    assert f"not found at '{tmp_path / 'none.json'}'" in outcome.err
    assert "Traceback" not in outcome.err


def test_names_cannot_steer_the_terminal(run: Run, samples: Path) -> None:
    _append(samples, "\x1b[2J\ud800\nfine", "none.png")
    outcome = run(samples)
    assert outcome.code == 3
    assert "\x1b" not in outcome.out
    assert len([line for line in outcome.out.splitlines() if "half a surrogate pair" in line and "fine" in line]) == 1
    assert run(samples, "--json").code == 3


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['llavero', 'model', 'validate', '--help']\n"
        "from ui.cli import main as cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'transformers', 'numpy', 'PIL') if name in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
