"""The ledger's tables, how an older ledger gets today's, and its larger questions. Words of SQL alone."""

VERSION = 3
SCHEMA = """
CREATE TABLE contents (
    hash TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('writing', 'indexed', 'removing')),
    shown_path TEXT NOT NULL,
    kind TEXT NOT NULL,
    chunks TEXT NOT NULL,
    format INTEGER NOT NULL,
    notes TEXT NOT NULL DEFAULT '[]',
    seconds REAL NOT NULL DEFAULT 0,
    indexed_at TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    seen_hash TEXT NOT NULL,
    content TEXT REFERENCES contents (hash),
    reason TEXT NOT NULL DEFAULT '',
    retry INTEGER NOT NULL DEFAULT 0,
    format INTEGER NOT NULL
) STRICT;
CREATE INDEX files_by_content ON files (content);
CREATE INDEX contents_by_state ON contents (state);
"""
FACTS = """
ALTER TABLE files ADD COLUMN notes TEXT NOT NULL DEFAULT '[]';
CREATE TABLE own_facts (
    content TEXT NOT NULL REFERENCES contents (hash) ON DELETE CASCADE,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (content, key, value)
) STRICT, WITHOUT ROWID;
CREATE TABLE said_facts (
    path TEXT NOT NULL REFERENCES files (path) ON DELETE CASCADE,
    source TEXT NOT NULL CHECK (source IN ('given', 'beside')),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (path, source, key, value)
) STRICT, WITHOUT ROWID;
"""
ETAGS = """
ALTER TABLE files ADD COLUMN etag TEXT NOT NULL DEFAULT '';
"""
CHANGES = {0: SCHEMA + FACTS + ETAGS, 1: FACTS + ETAGS, 2: ETAGS}
"""From which version → what makes today's of it."""

CONTENTS = "SELECT hash, state, shown_path, kind, chunks FROM contents"
ENTRIES = """
SELECT path, reason, coalesce(kind, ''), coalesce(chunks, '{}'), size, coalesce(indexed_at, ''),
    coalesce(contents.notes, '[]'), content FROM files LEFT JOIN contents ON content = hash ORDER BY path
"""
COPIES = """
SELECT content, path, path = shown_path FROM files JOIN contents ON hash = content
    WHERE state = 'indexed'
    AND content IN (SELECT content FROM files WHERE content IS NOT NULL GROUP BY content HAVING count(*) > 1)
    ORDER BY path
"""
OWN = "SELECT content, key, value FROM own_facts WHERE substr(key, 1, 1) <> ':' ORDER BY content, key, value"
INDEXED = "SELECT hash FROM contents WHERE state = 'indexed'"
LIKENESSES = """
SELECT content, value FROM own_facts JOIN contents ON hash = content
    WHERE key = ? AND state = 'indexed' ORDER BY content
"""
SAID = "SELECT path, key, value FROM said_facts WHERE source = ? ORDER BY path, key, value"
SEE = """
INSERT INTO files (path, size, modified_ns, etag, seen_hash, content, reason, retry, format)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (path) DO UPDATE SET size = excluded.size, modified_ns = excluded.modified_ns, etag = excluded.etag,
    seen_hash = excluded.seen_hash, content = excluded.content, reason = excluded.reason, retry = excluded.retry,
    format = excluded.format
"""
