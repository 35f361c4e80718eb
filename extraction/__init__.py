"""Documents in, rows of cells out, each with its place in the document.

fields that somebody names (`fields`) → the document as lines (`document`) → the model names each field's words, which
are looked up and judged (`extract`) → what the words mean: dates, numbers, money (`fields`).
"""
