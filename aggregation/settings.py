"""How far questions about all files go."""

from dataclasses import dataclass

from claims.settings import within


@dataclass(frozen=True, kw_only=True, slots=True)
class CollectionSettings:
    """How far questions about the whole collection go ("how many", "which has the highest")."""

    most_documents: int = 40
    """Most documents that the model is shown for one question; the answer says how many there are. Each takes it one
    to ten seconds on two cores."""

    most_shown: int = 50
    """Most rows of the table below an answer, and most of its sources."""

    least_likely: float = 0.5
    """Probability from which a picture counts as one that shows what is meant."""

    most_remembered: int = 10_000
    """Values and kinds of documents that are kept for the next question, in memory."""

    def __post_init__(self) -> None:
        within("most_documents", self.most_documents, 0)
        within("most_shown", self.most_shown, 1)
        within("least_likely", self.least_likely, 0.0, 1.0)
        within("most_remembered", self.most_remembered, 0)
