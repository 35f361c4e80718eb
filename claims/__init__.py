"""What an answer claims, held against the passages that it cites.

a chunk → `passages` (sentences, rows and lines, with their boxes); an answer → `markers` (its sentences, and the
numbers that they name); both → `tokens` (words, numbers, dates) → `support` (what holds in any language: quoted,
shortened, the same values) and `verifier` (what was learned, from `alignment`) → `citations` (each marker → file, page,
boxes, words; quoted, supported or unchecked).
"""
