"""Rows in, ranked rows out.

protocol (what a store offers) → schema (a chunk as a row, with its bm25 words) → milvus (Milvus Lite or a server),
where a filter says which rows a search may return → in_memory (searches of a large Lite library, over row_arrays).
Nothing but `milvus` imports pymilvus, only when a store is opened.
"""

from indexing.store.in_memory import InMemorySearch
from indexing.store.milvus import MilvusStore
from indexing.store.protocol import Filter, Found, Row, Store, StoreCounts
from indexing.store.schema import RowTooLongError, fitting

__all__ = [
    "Filter",
    "Found",
    "InMemorySearch",
    "MilvusStore",
    "Row",
    "RowTooLongError",
    "Store",
    "StoreCounts",
    "fitting",
]
