"""Whether a question is about the whole collection ("How many invoices are there?") or about something that one passage
answers ("How many rooms does the hotel have?"): a logistic regression on the question's vector, in any language that
the kit's text embedder knows. recipes/small/whole_collection.py trains it;
`AnswerSettings.least_whole_collection` is its threshold.

    question ─ Embedder.embed_questions ─► (D,) ─ constant + weights · vector ─► probability
"""

from math import exp
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from indexing.embedding.protocol import Vectors
from rag.errors import RagError


class ScopeWeightsError(RagError):
    """The recogniser's weights are damaged, or belong to another text embedder."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"questions about the whole collection cannot be recognised: {reason}")
        self.add_note("Install Llavero again, or train the weights anew with recipes/small/whole_collection.py.")


class QuestionScope:
    """Tells questions about the whole collection from others."""

    def __init__(self, weights: Path) -> None:
        """Load what a kit ships (`shipped_weights(kit).whole_collection`). Raises ScopeWeightsError."""
        try:
            stored = load_file(weights)
            self._constant, self._weights_D = float(stored["constant"][0]), stored["weights"]
        except (OSError, SafetensorError, KeyError, IndexError, TypeError, ValueError) as error:
            raise ScopeWeightsError(f"{weights} holds no weights for it ({error})") from error
        if self._weights_D.ndim != 1 or not np.isfinite([self._constant, *self._weights_D]).all():
            raise ScopeWeightsError(f"{weights} holds no row of finite numbers")

    def probability(self, question_vector_D: Vectors) -> float:
        """0..1: how likely the question of this unit vector is about the whole collection, if one in ten is.

        Raises ScopeWeightsError if the vector is of another width than the weights.
        """
        if question_vector_D.shape != self._weights_D.shape:
            raise ScopeWeightsError(
                f"the weights are for vectors of {len(self._weights_D)} numbers, the question's has the shape "
                f"{question_vector_D.shape}"
            )
        log_odds = self._constant + float(self._weights_D @ question_vector_D)
        return 1 / (1 + exp(min(-log_odds, 700.0)))  # beyond it, exp is no number
