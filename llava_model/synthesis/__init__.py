"""Captions and boxes → conversations about pictures, written by a language model that sees only words.

sources    files → items: a picture, its captions and boxes, and the same in words
prompts    what is asked for, in which language, and how a reply is read
runner     many requests at once, within a budget; every reply kept in a ledger
samples    replies → records in LLaVA's JSON; quality: what must not be learned
generate   all of this in order: items in, a folder of training data and a report out
"""
