"""ScienceQA as LLaVA's paper trains and asks it ("QCM-LEA"): the reasoning first, then the answer.

    Which is a mammal?                              A lecture. A solution.
    Context: N/A                              →     The answer is B.
    Options: (A) an eagle (B) a bat

The lecture and the solution are the set's own. Source: the paper's section 5.2 and LLaVA's
`convert_sqa_to_llava.py`, whose prompts leave out the word "Question:"; pictures stand first, as its trainer puts them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from llava_model.data.schema import Sample, parse_sample
from llava_model.evaluation import scienceqa
from llava_model.evaluation.asking import Ask, Task
from llava_model.evaluation.benchmarks import Benchmark
from llava_model.evaluation.records import read_document
from llava_model.evaluation.scienceqa import COLUMNS, OPTIONS, picture_of, read_questions

MAX_NEW_TOKENS = 1024  # of LLaVA's `model_vqa_science.py`


def prompt_of(record: Mapping[str, Any]) -> str:
    """The question, its context ("N/A" without one) and its options in brackets."""
    options = " ".join(f"({letter}) {choice}" for letter, choice in zip(OPTIONS, record["choices"], strict=False))
    context = str(record.get("hint") or "").strip() or "N/A"
    return _single_spaced(f"{record['question']}\nContext: {context}\nOptions: {options}")


def reply_of(record: Mapping[str, Any]) -> str:
    """Lecture and solution, as far as there are any, and the answer's letter."""
    reasons = [str(record.get(part) or "").strip() for part in ("lecture", "solution")]
    return _single_spaced(" ".join([*filter(None, reasons), f"The answer is {OPTIONS[record['answer']]}."]))


def ask_of(name: str, record: Mapping[str, Any], folder: Path, split: str) -> Ask:
    """The question as a model that was trained on `samples` gets it."""
    images = picture_of(name, record, folder, split)
    return Ask(name=name, prompt=prompt_of(record), images=images, max_new_tokens=MAX_NEW_TOKENS)


def task(data: Path, limit: int | None = None) -> Task:
    """ScienceQA asked of a model for the reasoning before the answer."""
    return scienceqa.task(data, limit, ask=ask_of)


def samples(data: Path, split: str) -> Iterator[Sample]:
    """A split's problems as samples for the TASK stage, pictures below the folder of problems.json.

    Problems without an answer or choices are left out, as in scoring. Raises UnscorableError, OSError.
    """
    file = data / "problems.json" if data.is_dir() else data
    questions, _ = read_questions(data, split)
    records = read_document(file)
    for position, name in enumerate(questions):
        images = picture_of(name, records[name], file.parent, split)
        record = {
            "id": name,
            "images": [image.relative_to(file.parent).as_posix() for image in images],
            "messages": [
                {"role": "user", "content": "<image>\n" * len(images) + prompt_of(records[name])},
                {"role": "assistant", "content": reply_of(records[name])},
            ],
        }
        yield parse_sample(record, root=file.parent, position=position)


def _single_spaced(text: str) -> str:
    return text.replace("  ", " ").strip()


def _cells(values: Mapping[str, Any]) -> dict[str, float | None]:
    return dict(values["columns"])


BENCHMARK = Benchmark(
    name="scienceqa",
    title="ScienceQA",
    score=scienceqa.score,
    task=scienceqa.task,
    columns=COLUMNS,
    cells=_cells,
    digits=2,
    reasoning_task=task,
    samples=samples,
)
