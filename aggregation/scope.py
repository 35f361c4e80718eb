"""Whether a question is about the whole collection ("How many invoices are there?") or about something that one passage
answers ("How many rooms does the hotel have?"): a network of one hidden layer on the question's vector, in any
language that the kit's text embedder knows. recipes/small/whole_collection.py trains it;
`AnswerSettings.least_whole_collection` is its threshold.

    question ─ Embedder.embed_questions ─► (D,) ─ hidden layer (H,), ReLU ─► log-odds ─► probability
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
            self._hidden_HD, self._hidden_constant_H = stored["hidden_HD"], stored["hidden_constant_H"]
            self._weights_H, self._constant = stored["weights_H"], float(stored["constant"][0])
        except (OSError, SafetensorError, KeyError, IndexError, TypeError, ValueError) as error:
            raise ScopeWeightsError(f"{weights} holds no weights for it ({error})") from error
        width = self._weights_H.shape
        if self._hidden_HD.ndim != 2 or not self._hidden_HD.shape[:1] == self._hidden_constant_H.shape == width:
            raise ScopeWeightsError(f"the layers in {weights} do not fit each other")
        if not all(np.isfinite(layer).all() for layer in stored.values()):
            raise ScopeWeightsError(f"{weights} holds what is no finite number")

    def probability(self, question_vector_D: Vectors) -> float:
        """0..1: how likely the question of this unit vector is about the whole collection, if one in ten is.

        Raises ScopeWeightsError if the vector is of another width than the weights.
        """
        if question_vector_D.shape != self._hidden_HD.shape[1:]:
            raise ScopeWeightsError(
                f"the weights are for vectors of {self._hidden_HD.shape[1]} numbers, the question's has the shape "
                f"{question_vector_D.shape}"
            )
        hidden_H = np.maximum(self._hidden_HD @ question_vector_D + self._hidden_constant_H, 0)
        log_odds = self._constant + float(self._weights_H @ hidden_H)
        return 1 / (1 + exp(min(-log_odds, 700.0)))  # beyond it, exp is no number
