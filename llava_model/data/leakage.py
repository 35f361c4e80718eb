"""Whether a training set holds what an evaluation asks for.

The same picture, byte for byte; a picture that looks the same; the same question with the same answer. Words alone
prove nothing where many pictures are asked the same, so they count as a leak only without pictures or about the same
picture, and as a warning about another one.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llava_model.data.findings import FindingKind
from llava_model.data.pictures import Looks, PictureFacts
from llava_model.data.schema import Sample

Facts = Mapping[Path, PictureFacts]
DigestOf = Callable[[Path], bytes | None]


@dataclass(kw_only=True, slots=True)
class _EvaluationQuestion:
    """One question and answer of the evaluation: who asks it first, about which pictures."""

    sample: str
    without_picture: bool = False
    pictures: set[Path] = field(default_factory=set)


class EvaluationSet:
    """What must not be in the training set. First all samples are added, then the pictures' facts."""

    def __init__(self) -> None:
        self.pictures: dict[Path, str] = {}
        self._asked: dict[bytes, _EvaluationQuestion] = {}
        self._by_digest: dict[bytes, Path] = {}
        self._digests: dict[Path, bytes] = {}
        self._looks = Looks(())

    def add(self, sample: Sample, name: str) -> None:
        """`name` is how a finding calls the sample."""
        for path in sample.images:
            self.pictures.setdefault(path, name)
        for words in _words(sample):
            asked = self._asked.setdefault(words, _EvaluationQuestion(sample=name))
            asked.pictures.update(sample.images)
            asked.without_picture |= not sample.images

    def see(self, facts: Facts) -> None:
        """Take the pictures that could be read."""
        self._digests = {path: fact.digest for path, fact in facts.items()}
        self._by_digest = {digest: path for path, digest in self._digests.items()}
        self._looks = Looks((path, fact.look) for path, fact in facts.items() if fact.look)

    def asks_like(self, sample: Sample) -> bool:
        """Whether any question and answer of the sample is one of the evaluation's."""
        return any(words in self._asked for words in _words(sample))

    def words_found(self, sample: Sample, digest_of: DigestOf) -> Iterator[tuple[FindingKind, str]]:
        """At most one finding, the worst."""
        shared = [self._asked[words] for words in _words(sample) if words in self._asked]
        own = {digest_of(path) for path in sample.images}
        for asked in shared:
            same_picture = own & {self._digests.get(path) for path in asked.pictures} - {None}
            if same_picture or (asked.without_picture and not sample.images):
                yield "leaked-answer", f"asks and answers as {asked.sample} does"
                return
        if shared:
            yield "same-words", f"asks and answers as {shared[0].sample} does, about another picture"

    def picture_found(self, facts: PictureFacts) -> tuple[FindingKind, str] | None:
        """Whether this training picture is one of the evaluation's, or looks like one."""
        if (same := self._by_digest.get(facts.digest)) is not None:
            return "leaked-picture", f"is the picture '{same}' of {self.pictures[same]}"
        if facts.look is not None and (alike := self._looks.like(facts.look)) is not None:
            return "lookalike", f"looks like the picture '{alike}' of {self.pictures[alike]}"
        return None


def _words(sample: Sample) -> Iterable[bytes]:
    """A digest of each question and its answer, without places of pictures, case and white space."""
    question = ""
    for message in sample.messages:
        said = " ".join("".join(part for part in message.parts if isinstance(part, str)).casefold().split())
        if message.role == "user":
            question = said
        elif message.role == "assistant":
            yield hashlib.blake2b(f"{question}\0{said}".encode(), digest_size=16).digest()
