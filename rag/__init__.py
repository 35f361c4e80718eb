"""A question in, a grounded and cited answer out.

retrieve (every channel) → fuse (reciprocal ranks gather candidates) → relevance (how likely each answers; the first are
read word by word) → prompt (numbered evidence from `passages`, instructions from a file) → a LangChain chat model, ours
(`langchain`) or by address (`generate`) → citations (markers → file, page, boxes; quoted, supported or unchecked, by
`support` and `verifier`) → answer. Questions about all files together (`scope` recognises them) go another way:
`plan` → `collection` → `overview`. `evaluation` measures all of it; `training_data`, `synthetic_questions` and
`generation_source` make what the model learns from.
"""
