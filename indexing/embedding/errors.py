"""What can go wrong when an embedder is loaded.

IndexingError
└── EmbedderError
    ├── UnknownModelError    open_clip has no model of that name
    ├── WeightsError         a file is missing, or its tensors do not fit the network
    └── MissingPackageError  the package that runs the model is not installed
"""

import difflib
from collections.abc import Sequence
from pathlib import Path

from indexing.errors import IndexingError


class EmbedderError(IndexingError):
    """Base of what loading an embedder raises on purpose."""


class UnknownModelError(EmbedderError):
    """open_clip has no model of that name."""

    def __init__(self, model: str, known: Sequence[str]) -> None:
        super().__init__(f"open_clip has no model named '{model}'")
        close = difflib.get_close_matches(model, known, n=3, cutoff=0.4) or list(known[:3])
        self.add_note(f"Similar names: {', '.join(close)}")
        self.model = model


class WeightsError(EmbedderError):
    """A model's files are missing, or hold something else than the network expects."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot load a model from {path}: {reason}")
        self.path, self.reason = path, reason


class MissingPackageError(EmbedderError):
    """The package that runs this model is not installed."""

    def __init__(self, package: str) -> None:
        super().__init__(f"this embedder needs the package '{package}'")
        self.add_note("Install it with: pip install 'llavero[index]'")
        self.package = package
