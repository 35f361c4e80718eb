"""Turns → token ids → text.

templates   turns → the exact text that a language model was trained on
tokenize    that text → token ids, in which no content can forge a special token; ids of a reply → text
"""
