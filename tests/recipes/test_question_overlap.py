"""The made-up documents may not ask what Llavero is measured with."""

import ast
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from recipes.pocket.documents import KINDS, make_clean
from recipes.pocket.documents.languages import language
from recipes.pocket.documents.patterns import parsed as parsed_pattern
from recipes.pocket.documents.wordings import Wording, parsed
from recipes.pocket.question_overlap import Overlap, content, of_entry, of_questions, of_template
from recipes.small.draw import wording
from recipes.small.reading_pen import reading
from recipes.small.reading_tasks import cases
from recipes.small.whole_collection import draw, whole_collection

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "examples" / "sample"
OF_UNIT_TESTS = 0.8
"""Nobody is measured with the questions of unit tests, and many are of the commonest forms ("Which company issued the
receipt over 28.60?"): only the same question is too near."""
DOCUMENTS = 120
CASES = 2000


def sample_questions() -> list[dict[str, object]]:
    files = [*sorted(SAMPLE.glob("questions*")), *sorted(SAMPLE.glob("unanswerable*"))]
    return [json.loads(row) for file in files for row in file.read_text(encoding="utf-8").splitlines() if row.strip()]


def questions_of_tests() -> Iterator[str]:
    """Every question in the tests' sources with at least three content words; shorter ones are of no one thing."""
    for file in sorted((ROOT / "tests").rglob("*.py")):
        if file.parent == Path(__file__).parent:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if re.fullmatch(r"[^\n{}<>]{8,200}\?", text) and len(content(text)) > 2:
                yield text


SAMPLED = [str(each["question"]) for each in sample_questions()]
ANSWERS = [str(each["answer"]) for each in sample_questions() if "answer" in each]
TESTED = sorted(set(questions_of_tests()) - set(SAMPLED))


@pytest.fixture(scope="module", params=sorted(file.parent.name for file in (ROOT / "recipes").rglob("facts.txt")))
def code(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def wordings(code: str) -> Iterator[Wording]:
    spoken = language(code)
    for template in (*spoken.documents.values(), *spoken.tables.values()):
        yield from parsed(template["asks"]) if "asks" in template else ()
    for facts in spoken.facts.values():
        yield from facts


def told(found: list[Overlap]) -> str:
    return "\n".join(f"{each.measure} {each.share:.2f}: {each.made!r} says what {each.asked!r} asks" for each in found)


def test_no_question_about_a_made_up_document_is_one_of_the_sample_or_of_the_tests(code: str) -> None:
    made = set[str]()
    for kind in KINDS:
        for seed in range(DOCUMENTS):
            document = make_clean(kind, random.Random(seed), code=code)
            made.update(document.absent, (asked.question for asked in document.asks))
    found = [each for one in made for asked in SAMPLED for each in of_questions(one, asked)]
    found += [each for one in made for asked in TESTED for each in of_questions(one, asked, limit=OF_UNIT_TESTS)]
    assert not found, told(found)


def test_no_picture_shows_what_the_sample_asks_for(code: str) -> None:
    spoken = language(code)
    things = [*spoken.documents["picture"]["labels"], *spoken.words["plain_thing"].split("|")]
    found = [each for thing in things for asked in SAMPLED for each in of_questions(f"a photo of {thing}", asked)]
    assert not found, told(found)


def test_no_template_or_fact_holds_two_words_of_a_question_of_the_sample_and_no_others(code: str) -> None:
    templates = [text for each in wordings(code) for text in (*each.questions, *each.follow_ups, each.statement)]
    templates += [text for each in language(code).tables.values() for text in each.get("absent", ())]
    found = [each for template in templates for asked in SAMPLED for each in of_template(template, asked)]
    assert not found, told(found)


def test_no_statement_tells_what_a_question_of_the_sample_asks(code: str) -> None:
    statements = [fact.statement for facts in language(code).facts.values() for fact in facts]
    found = [each for statement in statements for asked in SAMPLED for each in of_questions(statement, asked)]
    assert not found, told(found)


def test_no_list_holds_a_thing_or_an_answer_of_the_sample(code: str) -> None:
    entries = [entry for pattern in language(code).words.values() for entry in pattern.split("|")]
    found = [each for entry in entries for asked in (*SAMPLED, *ANSWERS) for each in of_entry(entry, asked)]
    assert not found, told(found)


# -- the kit small: recipes/small/*.toml and what is drawn with them ---------------------------------------------------


def texts(value: object) -> Iterator[str]:
    """Every string of a TOML table, with each choice `[a|b]` made in every way."""
    if isinstance(value, str):
        found = re.search(r"\[([^\[\]]*)\]", value)
        for choice in found[1].split("|") if found else ():
            yield from texts(f"{value[: found.start()]}{choice}{value[found.end() :]}" if found else "")
        if not found:
            yield from value.split("|")
    elif isinstance(value, Mapping | Sequence):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from texts(each)


WRITTEN = sorted({text.strip() for file in (reading(), wording()) for text in texts(file)})
NAMELESS = re.compile(r"\{[^{}]*\}")


def test_no_question_of_2000_drawn_cases_is_one_of_the_sample_or_of_the_tests() -> None:
    made = {asked for case in cases(11, CASES) for asked in (case.question, case.earlier) if asked}
    assert len(made) > 0.9 * CASES
    found = [each for one in made for asked in SAMPLED for each in of_questions(one, asked)]
    found += [each for one in made for asked in TESTED for each in of_questions(one, asked, limit=OF_UNIT_TESTS)]
    assert not found, told(found)


def test_no_question_or_statement_of_the_small_recipe_says_what_the_sample_asks_whatever_fills_it() -> None:
    made = [text for text in WRITTEN if text[-1:] in ("?", ".") or "{" in text]
    assert len(made) > 1000
    found = [each for one in made for asked in SAMPLED for each in of_questions(NAMELESS.sub(" ", one), asked)]
    found += [each for one in made for asked in SAMPLED for each in of_template(one, asked)]
    found += [
        each for one in made for asked in TESTED
        for each in of_questions(NAMELESS.sub(" ", one), asked, limit=OF_UNIT_TESTS)
    ]  # fmt: skip
    assert not found, told(found)


def test_no_entry_of_the_small_recipe_is_a_thing_or_an_answer_of_the_sample() -> None:
    entries = [text for text in WRITTEN if "?" not in text]
    found = [each for entry in entries for asked in (*SAMPLED, *ANSWERS) for each in of_entry(entry, asked)]
    assert not found, told(found)


def test_no_picture_of_the_small_recipe_shows_what_the_sample_asks_for() -> None:
    things = [*reading()["names"]["seen"], *reading()["names"]["scenes"].split("|")]
    found = [each for thing in things for asked in SAMPLED for each in of_questions(f"a photo of {thing}", asked)]
    assert not found, told(found)


# -- questions about a whole collection: recipes/small/whole_collection.toml -------------------------------------------


ASKED = sorted({text for language in whole_collection().values() for text in texts(language.get("asked", {}))})


def test_no_question_drawn_about_a_whole_collection_or_one_passage_is_one_of_the_sample_or_of_the_tests() -> None:
    made = {each.question for each in draw(5, 400, {})}
    assert len(made) > 3000
    found = [each for one in made for asked in SAMPLED for each in of_questions(one, asked)]
    found += [each for one in made for asked in TESTED for each in of_questions(one, asked, limit=OF_UNIT_TESTS)]
    assert not found, told(found)


def test_no_wording_about_a_whole_collection_or_one_passage_says_what_the_sample_asks_whatever_fills_it() -> None:
    assert len(ASKED) > 1000
    found = [each for one in ASKED for asked in SAMPLED for each in of_questions(NAMELESS.sub(" ", one), asked)]
    found += [each for one in ASKED for asked in SAMPLED for each in of_template(one, asked)]
    assert not found, told(found)


def test_no_entry_of_the_words_of_these_is_a_thing_or_an_answer_of_the_sample() -> None:
    entries = {each for words in whole_collection().values() for name, text in words.items() if name != "asked"
               for each in texts(text)}  # fmt: skip
    assert len(entries) > 1000
    found = [each for entry in entries for asked in (*SAMPLED, *ANSWERS) for each in of_entry(entry, asked)]
    pictured = {each for words in whole_collection().values() for name in ("seen", "one_seen") if name in words
                for each in texts(words[name])}  # fmt: skip
    found += [each for thing in pictured for asked in SAMPLED for each in of_questions(f"a photo of {thing}", asked)]
    assert not found, told(found)


def test_every_way_of_a_choice_is_looked_at() -> None:
    assert set(texts({"asks": ["[May|Can] I [keep|have] {x}?"], "goods": "rice|tea"})) == {
        "May I keep {x}?", "May I have {x}?", "Can I keep {x}?", "Can I have {x}?", "rice", "tea",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ("How much does a family ticket cost?", "What does a family ticket cost?"),
        ("Where do I find the first-aid kit?", "Where do I find the first-aid box?"),
        ("When did they found the museum?", "When was the founding of the museum?"),
    ],
)
def test_a_paraphrase_is_too_near(made: str, asked: str) -> None:
    assert list(of_questions(made, asked))


def test_a_template_whose_own_words_all_stand_in_a_question_is_too_near() -> None:
    asked = "What did we plan to spend on the boat shed restoration?"
    assert list(of_template("What did we plan to spend <on>?", asked))
    assert not list(of_template("What was the actual cost <of>?", asked))


def test_an_answer_of_the_sample_in_a_list_is_too_near() -> None:
    assert list(of_entry("<number> votes in favour, <number> against", "five votes in favour, two against"))


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ("When was the town church built?", "When was the lighthouse built?"),
        ("How heavy is the laminator?", "How heavy is the Zefira Duo?"),
        ("What is the total of the invoice from Lowe?", "What is the total of the invoice for restoring the lens?"),
        ("Is there a picture of a cello?", "Is there a picture of a cat?"),
    ],
)
def test_the_same_form_about_another_thing_is_not_too_near(made: str, asked: str) -> None:
    assert not list(of_questions(made, asked))
    assert not list(of_template(made, asked))


def test_every_slot_of_the_patterns_can_be_read(code: str) -> None:
    for pattern in language(code).words.values():
        assert parsed_pattern(pattern).options
