"""What an answer claims, held against the passages that it cites.

chunk → `passages` (sentences, rows and lines, with their boxes); an answer's sentence and a passage → `support` (what
holds in any language: quoted, shortened, the same values) and `verifier` (what was learned) → `citations` (each marker
→ file, page, boxes, words; quoted, supported or unchecked).
"""
