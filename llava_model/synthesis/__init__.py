"""Captions and boxes → conversations about pictures, written by a language model that sees only words.

sources.py → Items (picture, captions, boxes) → context.py: the same in words → prompts/: what is asked for → runner.py:
asked over chat_client.py, within budget.py, every reply kept in ledger.py → formats.py: replies as turns → quality.py:
what must not be learned → samples.py: LLaVA's JSON → book.py: in order, into files → report.py. `generate.py` runs it.
"""
