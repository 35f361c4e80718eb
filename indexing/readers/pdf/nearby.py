"""Pieces of a page by their height: what stands near a place is found without a look at all of them."""

from collections.abc import Iterable, Iterator

from indexing.readers.reading_order import Piece

_BANDS = 100
_MOST_IN_BAND = 500
"""Of a page that is made to be slow; 50 pieces side by side are many."""


class ByHeight:
    """Bands across the page, each with the pieces that stand in it."""

    def __init__(self, pieces: Iterable[Piece]) -> None:
        self._bands: list[list[Piece]] = [[] for _ in range(_BANDS)]
        for piece in pieces:
            for band in self._span(piece.box[1], piece.box[3]):
                if len(self._bands[band]) < _MOST_IN_BAND:
                    self._bands[band].append(piece)

    def near(self, top: float, bottom: float) -> Iterator[Piece]:
        """Pieces between these heights, and some that are a little further away; each once."""
        met: set[int] = set()
        for band in self._span(top, bottom):
            for piece in self._bands[band]:
                if id(piece) not in met:
                    met.add(id(piece))
                    yield piece

    @staticmethod
    def _span(top: float, bottom: float) -> range:
        first, last = (min(_BANDS - 1, max(0, int(each * _BANDS))) for each in (top, bottom))
        return range(first, last + 1)
