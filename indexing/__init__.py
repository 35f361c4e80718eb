"""Files in, searchable rows out.

discover (walk, hash, what changed; sources for what lies elsewhere)
→ readers in a sandbox (blocks, page images, words with boxes)
→ chunking (pages, text, tables, figures, pictures) → embedding (joint image-text space, text space)
→ store (Milvus) with the ledger (SQLite) recording each file's state.
`pipeline.index` runs the whole way and returns an `IndexReport`.
"""
