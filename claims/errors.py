"""What can go wrong when claims are checked.

ClaimsError
└── VerifierWeightsError        the verifier's weights are damaged, or belong to another text embedder
"""


class ClaimsError(Exception):
    """Base of everything this package raises on purpose."""


class VerifierWeightsError(ClaimsError):
    """The verifier's weights do not belong to this embedder, or are damaged."""
