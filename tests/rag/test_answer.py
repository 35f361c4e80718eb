from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import pytest
from chat_server import ChatServer, serving
from PIL import Image
from rag_doubles import RELEVANCE, MemoryStore, ScriptedEngine, WordEmbedder, chunk, rows

from indexing.records import Chunk
from indexing.store import Row
from indexing.store.protocol import Filter
from llava_model.serving.engine import Turn
from rag.answer import Answerer, yes
from rag.errors import GeneratorUnreachableError
from rag.events import Answer, AnswerTable, ComputedAnswer, Event, Looking, Retrieved, Token
from rag.generate import chat_model, token_counter
from rag.langchain import LlaveroChatModel
from rag.prompt import REFUSAL, Chances
from rag.relevance import LateInteraction
from rag.retrieve import Retriever
from rag.settings import AnswerSettings, GeneratorSettings, PromptSettings, RagSettings
from rag.wording import phrase

CHUNKS = (
    chunk("Family ticket 22 euros\nThe family ticket costs 22 euros.", file="visit.pdf", page=2, boxed=True),
    chunk("The brass sextant is kept in case 4.", file="collection.xlsx"),
    chunk("lighthouse beacon", file="lighthouse.png", kind="image", image="thumbs/l.jpg"),
)
QUESTION = "What does a family ticket cost?"


SETTINGS = RagSettings(relevance=RELEVANCE, prompt=PromptSettings(instructions="tiny", max_passages=4))


def retriever(chunks: Sequence[Chunk] = CHUNKS, settings: RagSettings = SETTINGS) -> Retriever:
    embedder = WordEmbedder()
    return Retriever(MemoryStore(rows(*chunks)), embedder, settings, LateInteraction(embedder))


def answerer(engine: ScriptedEngine, settings: RagSettings | None = None, chunks: Sequence[Chunk] = CHUNKS) -> Answerer:
    return Answerer(
        retriever(chunks),
        LlaveroChatModel(engine=engine),
        count_tokens=engine.count_tokens,
        context_tokens=engine.context_tokens,
        sees_images=engine.sees_images,
        load_image=lambda of: Image.new("RGB", (8, 8)),
        settings=settings or SETTINGS,
    )


def asked(script: str, question: str = QUESTION, **more) -> tuple[list[Event], Answer, ScriptedEngine]:
    engine = ScriptedEngine(script, sees_images=more.pop("sees_images", False))
    events = list(answerer(engine, more.pop("settings", None)).ask(question, **more))
    assert isinstance(events[-1], Answer)
    return events, events[-1], engine


def test_search_words_and_answer_come_in_this_order() -> None:
    events, answer, _ = asked("The family ticket costs 22 euros [1].")
    assert isinstance(events[0], Retrieved) and all(isinstance(each, Token) for each in events[1:-1])
    assert "".join(each.text for each in events[1:-1] if isinstance(each, Token)) == answer.text


def test_the_citation_points_at_the_line_of_the_page() -> None:
    _, answer, _ = asked("The family ticket costs 22 euros [1].")
    (citation,) = answer.citations
    assert (citation.path, citation.page, citation.verified) == ("/library/visit.pdf", 2, True)
    assert set(citation.boxes) <= {line.box for line in CHUNKS[0].lines}
    assert answer.hits[citation.marker - 1].chunk == CHUNKS[0]
    assert not answer.refused and answer.supported and answer.model == "scripted"


def test_what_is_surely_not_there_is_refused_before_the_model_is_asked() -> None:
    events, answer, engine = asked("never said", "Who conducts trombone orchestras?")
    assert engine.asked == [] and len(events) == 2
    assert answer.refused and answer.text == phrase("nothing_found", "Who conducts trombone orchestras?")
    assert (answer.citations, answer.model, answer.prompt) == ((), "", ())


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("Wer dirigiert eigentlich das Posaunenorchester?", "Nichts in der Bibliothek beantwortet das."),
        ("¿Quién dirige entonces la orquesta de trombones?", "Nada en la biblioteca responde a esto."),
        ("谁指挥长号乐团？", "Nothing in the library answers this."),
        ("?", "Nothing in the library answers this."),
    ],
)
def test_a_refusal_is_said_in_the_language_of_the_question(question: str, words: str) -> None:
    assert phrase("nothing_found", question) == words


@pytest.mark.parametrize("script", ["Not in the evidence.", "", "   "])
def test_a_model_that_finds_nothing_refuses_without_sources(script: str) -> None:
    _, answer, engine = asked(script)
    assert engine.asked and answer.refused and answer.citations == () and not answer.supported
    assert answer.text == phrase("not_in_evidence", QUESTION) and answer.hits


def test_an_invented_answer_has_no_sources() -> None:
    _, answer, _ = asked("It was built by Napoleon in 1799 [1].")
    assert not any(citation.verified for citation in answer.citations)


def judged(engine: ScriptedEngine, refuses: float, again: Chances | None = None, **more) -> Answer:
    """The answer of a model that begins to refuse with this probability, and that is asked for it. `again`: how likely
    it says a reply once more."""
    settings = replace(SETTINGS, answer=AnswerSettings(weights=(0.0, 0.2, 1.0), least_confidence=0.5))
    *_, answer = Answerer(
        retriever(),
        LlaveroChatModel(engine=engine),
        count_tokens=engine.count_tokens,
        context_tokens=2048,
        sees_images=engine.sees_images,
        load_image=lambda of: None,
        settings=settings,
        next_words=lambda turns, words: [refuses] if words == [REFUSAL] else [0.5, 0.4, 0.02, 0.02],
        chances=again,
    ).ask(QUESTION, **more)
    assert isinstance(answer, Answer)
    return answer


def test_a_model_that_would_refuse_is_not_made_to_write() -> None:
    engine = ScriptedEngine("never said")
    answer = judged(engine, 0.97)
    assert answer.refused and engine.asked == [] and answer.confidence < 0.5


def test_where_search_and_model_together_say_that_there_is_an_answer_the_model_does_not_begin_to_refuse() -> None:
    engine = ScriptedEngine("The family ticket costs 22 euros [1].")
    answer = judged(engine, 0.4)
    assert engine.options["not_first"] == (REFUSAL,) and not answer.refused and answer.confidence >= 0.5


@pytest.mark.parametrize(("least", "ticked"), [(0.95, True), (0.05, False)])
def test_what_the_model_would_not_say_again_from_the_quote_alone_gets_no_tick(least: float, ticked: bool) -> None:
    asked: list[tuple[str, str]] = []

    def again(turns: Sequence[Turn], reply: str) -> list[float]:
        asked.append((turns[-1].text, reply))
        return [0.99, least, 0.98]

    answer = judged(ScriptedEngine("The family ticket costs 22 euros [1]."), 0.1, again)
    assert [citation.verified for citation in answer.citations] == [ticked]
    ((shown, reply),) = asked
    assert reply == "The family ticket costs 22 euros" and QUESTION in shown
    assert "The family ticket costs 22 euros." in shown and "Family ticket 22 euros" not in shown  # the quote alone


def test_about_a_picture_of_ones_own_the_model_may_still_refuse() -> None:
    engine = ScriptedEngine("Not in the evidence.", sees_images=True)
    answer = judged(engine, 0.97, images=[Image.new("RGB", (8, 8))])
    assert engine.options["not_first"] == () and answer.refused


def test_a_rambling_model_is_cut_and_closed() -> None:
    _, answer, engine = asked("The family ticket costs 22 euros [1].\nQuestion: " + "more and more " * 200)
    assert answer.text == "The family ticket costs 22 euros [1]." and engine.closed and not engine.finished


def test_giving_up_an_answer_stops_the_model() -> None:
    engine = ScriptedEngine("word after word " * 100)
    events = answerer(engine).ask(QUESTION)
    while not isinstance(next(events), Token):
        pass
    events.close()
    assert engine.closed and not engine.finished


def test_the_prompt_that_was_read_comes_with_the_answer() -> None:
    _, answer, engine = asked("x")
    assert [(turn.role, turn.text) for turn in answer.prompt] == [(turn.role, turn.text) for turn in engine.asked[0]]
    assert answer.prompt_tokens == engine.count_tokens(answer.prompt)


def test_times_grow_from_search_over_first_word_to_the_end() -> None:
    _, answer, _ = asked("The family ticket costs 22 euros [1].")
    spent = answer.milliseconds
    assert set(spent) == {"retrieve", "first_token", "total"}
    assert 0 < spent["retrieve"] <= spent["first_token"] <= spent["total"]


def test_a_follow_up_is_searched_with_what_it_is_about() -> None:
    history = [
        Turn(role="user", text="Where is the brass sextant kept?"),
        Turn(role="assistant", text="In case 4 [1]."),
    ]
    events, _, engine = asked("In case 4 [1].", "And is it locked there?", history=history)
    assert isinstance(events[0], Retrieved) and events[0].retrieval.hits[0].chunk == CHUNKS[1]
    assert "brass sextant" in engine.asked[0][-1].text


def test_a_filter_reaches_the_search() -> None:
    _, answer, _ = asked("x", filter=Filter(kinds=("image",)))
    assert {hit.chunk.kind for hit in answer.hits} <= {"image"}


def test_a_seeing_model_is_asked_about_the_users_picture_though_nothing_was_found() -> None:
    picture = Image.new("RGB", (8, 8))
    settings = replace(SETTINGS, prompt=PromptSettings(instructions="capable"))
    _, answer, engine = asked(
        "A trombone.", "Who plays this trombone?", images=[picture], sees_images=True, settings=settings
    )
    assert len(engine.asked) == 1 and len(engine.asked[0][-1].images) == 1
    assert not answer.supported and answer.citations == ()


def test_a_blind_model_is_not_asked_about_pictures_without_words() -> None:
    engine = ScriptedEngine("never said")
    silent = chunk("", file="silent.png", kind="image", image="t.jpg")
    pixels = WordEmbedder.preprocess.crop(Image.new("RGB", (9, 9)))
    row = Row(chunk=silent, clip=WordEmbedder().embed_images(pixels[None]).vectors_BD[0])
    asking = Answerer(
        Retriever(MemoryStore([row]), WordEmbedder(), SETTINGS),
        LlaveroChatModel(engine=engine),
        count_tokens=engine.count_tokens,
        context_tokens=2048,
        sees_images=False,
        load_image=lambda of: None,
        settings=SETTINGS,
    )
    *_, answer = asking.ask("", images=[Image.new("RGB", (9, 9))])
    assert (
        isinstance(answer, Answer)
        and answer.refused
        and answer.text == phrase("nothing_to_read", "")
        and engine.asked == []
    )


def test_a_picture_alone_is_asked_what_it_shows() -> None:
    settings = replace(SETTINGS, prompt=PromptSettings(instructions="capable"))
    picture = Image.new("RGB", (9, 9), (16, 0, 0))
    _, _, engine = asked("A beacon [1].", "", images=[picture], sees_images=True, settings=settings)
    assert engine.asked[0][-1].text.endswith("Question: What does the picture show?")


def test_answers_come_from_a_server_by_address_too() -> None:
    with serving(ChatServer(reply="The family ticket costs 22 euros [1].")) as server:
        generator = GeneratorSettings(url=server.url, model="llava")
        by_address = Answerer(
            retriever(),
            chat_model(generator),
            count_tokens=token_counter(generator),
            context_tokens=generator.context_tokens,
            sees_images=False,
            load_image=lambda of: None,
            settings=replace(SETTINGS, prompt=PromptSettings(instructions="capable"), generator=generator),
        )
        *_, answer = by_address.ask(QUESTION)
    assert isinstance(answer, Answer) and answer.model == "llava" and answer.citations[0].verified
    assert "<evidence" in server.requests[0]["messages"][-1]["content"]


def test_a_dead_server_is_an_error_of_ours() -> None:
    generator = GeneratorSettings(url="http://127.0.0.1:9/v1", model="llava")
    dead = Answerer(
        retriever(),
        chat_model(generator),
        count_tokens=token_counter(generator),
        context_tokens=8192,
        sees_images=False,
        load_image=lambda of: None,
        settings=SETTINGS,
    )
    with pytest.raises(GeneratorUnreachableError):
        list(dead.ask(QUESTION))


def test_no_prompt_is_sent_to_a_tracer_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(ChatServer()) as tracer:
        for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING_V2"):
            monkeypatch.setenv(name, "true")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", tracer.url)
        monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
        created: list[Sequence[object]] = []
        monkeypatch.setattr("langsmith.client.Client.create_run", lambda *a, **k: created.append(a))
        _, answer, _ = asked("The family ticket costs 22 euros [1].")
    assert answer.citations and created == [] and tracer.requests == []


class Overviewing:
    """Knows one answer about all files, and how likely a question is one of these."""

    def __init__(self, likely: float, found: bool = True) -> None:
        self.likely, self.found, self.tried = likely, found, 0

    def likelihood(self, question: str) -> float:
        return self.likely

    def events(self, question: str, filter: Filter) -> Generator[Looking, None, ComputedAnswer | None]:
        self.tried += 1
        yield Looking(done=0, of=1)
        table = AnswerTable(columns=("",), rows=(("a.txt",),), markers=(1,))
        return ComputedAnswer(text="3 of them.", citations=(), hits=(), table=table) if self.found else None


@pytest.mark.parametrize(
    ("likely", "script", "found", "text", "tried"),
    [
        (0.9, "The family ticket costs 22 euros [1].", True, "3 of them.", 1),
        (0.9, "The family ticket costs 22 euros [1].", False, "The family ticket costs 22 euros [1].", 1),
        (0.3, "The family ticket costs 22 euros [1].", True, "The family ticket costs 22 euros [1].", 0),
        (0.3, REFUSAL, True, "3 of them.", 1),
        (0.3, REFUSAL, False, "The files that were found do not say this.", 1),
        (0.01, REFUSAL, True, "The files that were found do not say this.", 0),
    ],
)
def test_a_question_about_all_files_is_answered_over_them_and_one_that_may_be_before_it_is_refused(
    likely: float, script: str, found: bool, text: str, tried: int
) -> None:
    engine, overview = ScriptedEngine(script), Overviewing(likely, found)
    answering = answerer(engine)
    answering._overview = overview
    *_, answer = answering.ask(QUESTION)
    assert isinstance(answer, Answer) and answer.text == text and overview.tried == tried
    assert (answer.table is not None) == (text == "3 of them.")


def test_times_are_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    asking, now = answerer(ScriptedEngine("22 euros [1].")), [0.0]

    def a_second_each() -> Iterator[Event]:
        for event in asking.ask(QUESTION):
            yield event
            now[0] += 1.0

    monkeypatch.setattr("rag.answer.time.perf_counter", lambda: now[0])
    *_, answer = a_second_each()
    assert isinstance(answer, Answer) and answer.milliseconds["first_token"] == 1000.0
    assert answer.milliseconds["total"] % 1000 == 0 and answer.milliseconds["total"] < 10_000


def test_a_long_sentence_is_said_again_up_to_its_twelfth_word() -> None:
    asked: list[str] = []

    def again(turns: Sequence[Turn], reply: str) -> list[float]:
        asked.append(reply)
        return [0.9]

    judged(ScriptedEngine("As the board at the entrance says, the family ticket costs 22 euros [1]."), 0.1, again)
    judged(ScriptedEngine("The family ticket costs 22 euros [1]."), 0.1, again)
    assert {len(reply.split()) for reply in asked} <= {6, 12}


def test_a_model_that_says_neither_yes_nor_no_says_no() -> None:
    assert yes(lambda turns, words: [0.0] * 4, []) == 0.0
    assert yes(lambda turns, words: [0.2, 0.1, 0.05, 0.05], []) == pytest.approx(0.75)
