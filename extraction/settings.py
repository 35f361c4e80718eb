"""How much of a document is read, and when a cell counts as quoted."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractSettings:
    """How much of a document is read, and when a cell counts as quoted."""

    document_tokens: int = 1500
    """A document up to this length is read whole, of a longer one what search finds for each field."""

    fields_at_once: int = 6
    """How many fields are asked for in one JSON object; a model that replied without JSON is asked for each alone."""

    max_new_tokens: int = 48
    """Most tokens of one value; a list of entries may have ten times as many."""

    most_rows: int = 50
    """Most entries of one document."""

    most_places: int = 3
    """Where words stand in several lines, how many of these the model judges."""

    least_choice: float = 0.5
    """How likely the model must choose the line, among those that hold the words and none, for a cell to be quoted."""

    least_again: float = 0.5
    """How likely it must begin with the same words when it is asked for the field alone."""
