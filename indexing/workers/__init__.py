"""Parsers in processes that can be killed: pool (the parent's side), worker (the process), messages (what they say)."""
