"""Parsers in processes that can be killed.

pool (several at once, in the parent) → process (one of them: its pipes, its time and memory) ⇄ messages (lines of
JSON, checked) ⇄ worker (the process itself: no network; it calls the readers) → libreoffice (for formats that nobody
else reads) → confinement (no network, no files but its own)
"""
