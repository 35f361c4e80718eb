"""Rows in, ranked rows out: what a store offers (`protocol`), how a chunk lies in it (`schema`), Milvus (`milvus`).

Nothing but `milvus` imports pymilvus, and only when a store is opened.
"""

from indexing.store.filters import Filter
from indexing.store.milvus import MilvusStore
from indexing.store.protocol import Found, Row, Store, StoreCounts
from indexing.store.schema import RowTooLongError, fitting

__all__ = ["Filter", "Found", "MilvusStore", "Row", "RowTooLongError", "Store", "StoreCounts", "fitting"]
