"""Every choice of this package, where it is made once, with its bounds and where its value comes from.

RagSettings = RetrievalSettings + RelevanceSettings + PromptSettings + AnswerSettings (+ GeneratorSettings)
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from indexing.records import CHANNELS, Channel


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} is {value}, it must lie between {low} and {high}")


@dataclass(frozen=True, kw_only=True, slots=True)
class RetrievalSettings:
    """How the channels are searched and fused.

    Chosen on the sample collection's 40 questions and 50 scanned receipts with our own OCR (company and date as the
    query), expected source first: with coverage_weight 0 / 0.3 / 0.6 at the other defaults, sample 32 / 38 / 39 of 40
    and receipts 22 / 46 / 48 of 50; rank_constant 10, 20 and 60 differ by at most two. The clip weight hardly matters
    between 0.2 and 0.5; the values for picture questions hardly matter between 1 and 2.5, 0.25 and 1, 0 and 0.4.
    """

    weights: Mapping[Channel, float] = field(
        default_factory=lambda: MappingProxyType({"clip": 0.3, "text": 1.0, "bm25": 1.0})
    )
    """Say of each channel in the fusion; 0 leaves it out."""

    picture_weights: Mapping[Channel, float] = field(
        default_factory=lambda: MappingProxyType({"clip": 1.5, "text": 1.0, "bm25": 0.5})
    )
    """The same where the question asks for a picture ("is there a photo of …")."""

    picture_coverage_weight: float = 0.2
    """`coverage_weight` where the question asks for a picture: a picture holds few words."""

    words_penalty: float = 0.5
    """Factor on what is no picture where the question asks for one; 1 leaves it out."""

    picture_weight: float = 1.0
    """Say of the picture given with a question, beside its words' channels."""

    rank_constant: float = 60.0
    """The k of reciprocal-rank fusion, 1 / (k + rank): small trusts first places, large spreads trust."""

    depth: int = 40
    """How many chunks each channel may name."""

    coverage_weight: float = 0.6
    """Share of the reranker (how much of the question's words, numbers and dates a chunk holds); 0 leaves it out."""

    per_file: int = 4
    """Chunks of one file before the next file's chunks come first; what is over waits at the end, nothing is lost."""

    def __post_init__(self) -> None:
        for weights in (self.weights, self.picture_weights):
            unknown = set(weights) - set(CHANNELS)
            if unknown:
                raise ValueError(f"unknown channels {sorted(unknown)} in weights; there are {', '.join(CHANNELS)}")
            for channel, weight in weights.items():
                _within(f"weight of {channel}", weight, 0.0, 100.0)
        _within("picture_weight", self.picture_weight, 0.0, 100.0)
        _within("rank_constant", self.rank_constant, 0.0, 10_000.0)
        _within("depth", self.depth, 1, 1000)
        _within("coverage_weight", self.coverage_weight, 0.0, 1.0)
        _within("picture_coverage_weight", self.picture_coverage_weight, 0.0, 1.0)
        _within("words_penalty", self.words_penalty, 0.0, 1.0)
        _within("per_file", self.per_file, 1, 1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class RelevanceSettings:
    """When a hit counts as an answer to the question, and when nothing does.

    Fitted by logistic regression on the sample questions, 100 questions about receipts, 15 unanswerable questions
    near the sample's subjects and 55 far from them. At the threshold: 1 of 140 answerable questions refused; of the
    unanswerable ones 6 of 15 near and 5 of 55 far were let through to the model (with each question left out of
    the fit at threshold 0.5: 3 of 65 refused, 5 of 15 and 4 of 55 let through).
    """

    bias: float = -9.5
    """Log-odds that a chunk answers when no evidence speaks for it."""

    coverage: float = 14.2
    """Log-odds for a chunk that holds all of the question's content words, by their rarity."""

    words: float = 0.65
    """Log-odds for each deviation above the library's background in the text space. 0.54 when the background was
    measured with 15 questions, whose spread came out a fifth smaller by chance."""

    looks: float = 1.9
    """Log-odds for each deviation of a picture above the library's background in the clip space."""

    label_words: float = 1.1
    """The same as `words` for a picture whose words are labels. This and `label_looks` were chosen for the pocket kit
    on questions about 107 pictures of GCompris, 99 for things that are there, 72 for things that are not: 42 and 3
    let through, 41 to 44 and 3 for both between 1.0 and 1.3. This pair refuses none of the sample's pictures and
    lets through no more than before of what the sample does not hold (6 of 15)."""

    label_looks: float = 1.1
    """The same as `looks` for a picture whose words are labels."""

    strange: float = -9.0
    """Log-odds for a file that speaks of nothing that the question names. From -6 to -12 none of the sample's questions
    is refused by it."""

    threshold: float = 0.3
    """Probability from which a hit counts as relevant."""

    def __post_init__(self) -> None:
        _within("threshold", self.threshold, 0.0, 1.0)
        for name in ("bias", "coverage", "words", "looks", "label_words", "label_looks", "strange"):
            _within(name, getattr(self, name), -50.0, 50.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptSettings:
    """How much evidence a model gets to read, and in which words it is asked."""

    style: str = "short"
    """`short`: few words and worked examples, for models under a billion parameters; `full`: rules and fences."""

    examples: bool = True
    """`short`: whether a worked example stands before the question; a model that GROUND has trained needs none, and it
    costs 71 tokens a request."""

    evidence_tokens: int = 220
    """Most tokens of evidence, pictures counted. Two CPU cores read about 300 tokens a second of a 135M model."""

    max_evidence: int = 6
    """Most chunks that evidence is taken from."""

    max_passages: int = 2
    """`short`: most sentences, rows and lines shown, of all evidence together. The 135M model wrote the right answer
    to 11, 14, 10 and 11 of the sample's 24 questions about texts when shown 1, 2, 3 and 4: more numbers to choose from
    confuse it. The answer stood in what was shown for 17, 21, 21 and 21."""

    least_gain: float = 0.15
    """`short`: what a passage must add to be shown, 0..1; others' numbers only confuse a small model."""

    later_file: float = 0.25
    """`short`: what a passage must add more for each file that its own stands behind the first hit's."""

    max_pictures: int = 1
    """Most evidence pictures shown to a model that sees."""

    history_tokens: int = 0
    """Most tokens of earlier turns; the oldest are left out first. A small model copies its earlier answers, and what
    a follow-up question is about stands in its question line anyway."""

    def __post_init__(self) -> None:
        if self.style not in ("short", "full"):
            raise ValueError(f"style is '{self.style}', it must be short or full")
        _within("evidence_tokens", self.evidence_tokens, 16, 1_000_000)
        _within("max_evidence", self.max_evidence, 1, 100)
        _within("max_passages", self.max_passages, 1, 1000)
        _within("least_gain", self.least_gain, 0.0, 1.0)
        _within("later_file", self.later_file, 0.0, 10.0)
        _within("max_pictures", self.max_pictures, 0, 100)
        _within("history_tokens", self.history_tokens, 0, 1_000_000)

    @classmethod
    def for_grounded_models(cls) -> "PromptSettings":
        """For a small model that the GROUND stage has trained: it knows the form of an answer without an example, and
        has learned from words of evidence alone, pictures as their labels, among more of them than an untrained one
        can bear: of 150 questions about receipts 2 passages hold the answer to 64, 6 passages to 123."""
        return cls(examples=False, max_pictures=0, max_passages=6, least_gain=0.05)

    @classmethod
    def for_capable_models(cls, context_tokens: int) -> "PromptSettings":
        """For models of several billion parameters: more evidence, half of what the model can read."""
        budget = max(16, min(context_tokens // 2, 6000))
        return cls(style="full", evidence_tokens=budget, max_evidence=8, max_pictures=3, history_tokens=1000)


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerSettings:
    """How long the model may write and when its claims count as supported."""

    max_new_tokens: int = 96
    """Most tokens of an answer."""

    attributed_share: float = 0.75
    """Share of what a sentence adds to the question (and all its numbers) that the one evidence must hold which
    Llavero cites for a sentence without a right marker."""

    def __post_init__(self) -> None:
        _within("max_new_tokens", self.max_new_tokens, 1, 100_000)
        _within("attributed_share", self.attributed_share, 0.5, 1.0)


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
        _within("timeout_seconds", self.timeout_seconds, 0.01, 86_400.0)
        _within("context_tokens", self.context_tokens, 256, 100_000_000)
        _within("image_tokens", self.image_tokens, 0, 1_000_000)
        _within("temperature", self.temperature, 0.0, 2.0)


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

    generator: GeneratorSettings | None = None
    """None: the model in process."""
