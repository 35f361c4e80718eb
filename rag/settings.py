"""Every choice of this package, where it is made once, with its bounds and where its value comes from.

RagSettings = RetrievalSettings + RelevanceSettings + PromptSettings + AnswerSettings + CitationSettings
    (+ GeneratorSettings)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp
from types import MappingProxyType
from urllib.parse import urlsplit

from claims.settings import MOST_WEIGHT, CitationSettings, log_odds, within
from indexing.records import CHANNELS, Channel


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalSettings:
    """How the channels are searched and fused."""

    weights: Mapping[Channel, float] = field(
        default_factory=lambda: MappingProxyType({"clip": 0.3, "text": 1.0, "bm25": 1.0})
    )
    """Say of each channel in gathering candidates by reciprocal ranks; 0 leaves it out."""

    picture_weight: float = 1.0
    """Say of the picture given with a question, beside its words' channels."""

    rank_constant: float = 60.0
    """The k of reciprocal-rank fusion, 1 / (k + rank): small trusts first places, large spreads trust."""

    depth: int = 40
    """How many chunks each channel may name."""

    rerank: int = 8
    """How many of the first hits are read word by word (late interaction); 0 leaves it out."""

    per_file: int = 4
    """Chunks of one file before the next file's chunks come first; what is over waits at the end, nothing is lost."""

    apart: bool = False
    """Whether pictures that are nearly the same are hits of their own; else the first names the others."""

    def __post_init__(self) -> None:
        unknown = set(self.weights) - set(CHANNELS)
        if unknown:
            raise ValueError(f"unknown channels {sorted(unknown)} in weights; there are {', '.join(CHANNELS)}")
        for channel, weight in self.weights.items():
            within(f"weight of {channel}", weight, 0.0)
        within("picture_weight", self.picture_weight, 0.0)
        within("rank_constant", self.rank_constant, 0.0)
        within("depth", self.depth, 1, 1000)
        within("rerank", self.rerank, 0)
        within("per_file", self.per_file, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class RelevanceSettings:
    """How likely a hit answers the question: three logistic functions of what the channels say, each kit's own.

    `recipes/calibrate.py` fits them on questions with and without their source in the library, and prints what they do
    on others. These defaults are the pocket kit's; another kit's stand in its file.
    """

    seen: tuple[float, float, float] = (-6.25, 4.35, 13.4)
    """Of words before they were read: constant, cosine of question and passage, share of the question's words."""

    read: tuple[float, float, float] = (-15.25, -5.03, 29.43)
    """Of words that were read: constant, cosine, late interaction (mean over the question's words of the best)."""

    looks: tuple[float, float, float, float] = (-3.55, 12.34, 0.43, 4.0)
    """Of pictures: constant, cosine of the question and the picture, cosine with what it was recognised as, share of
    the question's words that stand in that."""

    threshold: float = 0.1
    """Probability under which a hit surely does not answer."""

    def __post_init__(self) -> None:
        within("threshold", self.threshold, 0.0, 1.0)
        for name in ("seen", "read", "looks"):
            for value in getattr(self, name):
                within(name, value, -MOST_WEIGHT, MOST_WEIGHT)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptSettings:
    """How much evidence a model gets to read, and in which words it is asked."""

    instructions: str = "small"
    """`tiny`, `small`, `reader` (a model that GROUND taught to read) or `capable`, the texts in rag/instructions, or a
    file of one's own."""

    example: bool = False
    """Whether a worked example stands before the question; a model that GROUND has trained needs none."""

    evidence_tokens: int = 450
    """Most tokens of evidence, pictures counted."""

    max_evidence: int = 6
    """Most chunks that evidence is taken from."""

    max_passages: int = 0
    """Most sentences, rows and lines shown, of all evidence together; 0: whole chunks. A model under 200 million
    parameters is confused by more than a few: it wrote the right answer to 11, 14, 10 and 11 of 24 questions when
    shown 1, 2, 3 and 4."""

    beside: int = 2
    """Most chunks that are shown beside the likeliest one, from its page: a heading alone answers nothing."""

    max_pictures: int = 1
    """Most evidence pictures shown to a model that sees."""

    history_tokens: int = 200
    """Most tokens of earlier turns; the oldest are left out first."""

    def __post_init__(self) -> None:
        within("evidence_tokens", self.evidence_tokens, 16)
        within("max_evidence", self.max_evidence, 1)
        within("max_passages", self.max_passages, 0)
        within("beside", self.beside, 0)
        within("max_pictures", self.max_pictures, 0)
        within("history_tokens", self.history_tokens, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSettings:
    """How long the model may write, when it is taken to refuse, and when its claims count as supported."""

    max_new_tokens: int = 96
    """Most tokens of an answer."""

    steps: int = 0
    """How often a capable model, by address, may call a tool (search again, open a page, list files, read fields)
    before it answers; 0: never."""

    asks_model: bool = False
    """Whether the model in process is asked for its own judgement: how likely it begins to refuse, and whether the
    answer answers, yes or no. For a model that GROUND taught both."""

    weights: tuple[float, float, float] = (0.0, 1.0, 0.0)
    """Of `confidence`: constant, log-odds that search gives, log-odds that the model does not begin to refuse."""

    least_confidence: float = 0.0
    """Confidence under which the answer is refused before it is written."""

    least_whole_collection: float = 0.55
    """The probability (`aggregation.scope`) from which a question is about the whole collection; chosen on development
    questions for at most 0.5 % of those that one passage answers."""

    least_when_refused: float = 0.1
    """The same where passages do not answer: what may be a question about all files is tried as one before it is
    refused. 1.1 % of the development questions that one passage answers are as likely."""

    def __post_init__(self) -> None:
        within("max_new_tokens", self.max_new_tokens, 1)
        within("steps", self.steps, 0)
        within("least_confidence", self.least_confidence, 0.0, 1.0)
        within("least_whole_collection", self.least_whole_collection, 0.0, 1.0)
        within("least_when_refused", self.least_when_refused, 0.0, 1.0)
        for weight in self.weights:
            within("weights", weight, -MOST_WEIGHT, MOST_WEIGHT)

    def confidence(self, found: float, replies: float) -> float:
        """0..1: how likely the evidence answers, where search says `found` and the model replies with `replies`."""
        constant, search, model = self.weights
        return 1 / (1 + exp(-(constant + search * log_odds(found) + model * log_odds(replies))))


@dataclass(frozen=True, kw_only=True, slots=True)
class GeneratorSettings:
    """An OpenAI-compatible server that answers instead of the model in process."""

    url: str
    """Its base address, with /v1 where it has one."""

    model: str
    """The model's name there."""

    api_key_env: str = ""
    """Environment variable that holds the key; "" sends none."""

    timeout_seconds: float = 120.0
    """How long to wait for the connection and for each piece of the answer."""

    sees_images: bool = False
    """Whether pictures are sent along."""

    context_tokens: int = 8192
    """How much the model can read and write, by its card."""

    image_tokens: int = 800
    """What one picture is counted as; servers differ, this is LLaVA-1.5's 576 with room."""

    temperature: float = 0.0
    """0 always takes the likeliest word."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"generator url is '{self.url}', it must look like http://host:port/v1")
        if parts.username or parts.password:
            raise ValueError("the generator url carries a password; name a variable with api_key_env instead")
        if not self.model:
            raise ValueError(f"no model is named for the generator at {self.url}")
        within("timeout_seconds", self.timeout_seconds, 0.01)
        within("context_tokens", self.context_tokens, 256)
        within("image_tokens", self.image_tokens, 0)
        within("temperature", self.temperature, 0.0, 2.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class RagSettings:
    """All of it. The defaults suit the pocket kit on two CPU cores."""

    retrieval: RetrievalSettings = field(default_factory=RetrievalSettings)
    """The channels and their fusion."""

    relevance: RelevanceSettings = field(default_factory=RelevanceSettings)
    """When nothing in the library answers."""

    prompt: PromptSettings = field(default_factory=PromptSettings)
    """What the model reads."""

    answer: AnswerSettings = field(default_factory=AnswerSettings)
    """What it may write, and what is believed of it."""

    citations: CitationSettings = field(default_factory=CitationSettings)
    """When a sentence gets its tick."""

    generator: GeneratorSettings | None = None
    """None: the model in process."""
