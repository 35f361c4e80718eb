"""A question in, a grounded and cited answer out.

intent (is a picture wanted?) → retrieve (every channel) → fuse (reciprocal ranks) → rerank (what of the question
is held) → relevance (does anything here answer, against the library's background?) → passages, choosing, sought
(which lines speak to it) → prompt (numbered, budgeted evidence) → a LangChain chat model, ours (`langchain`) or by
address (`generator`) → stopping → citations (markers → file, page, boxes; verified) → answer.
`terms` is how all of them read words, numbers and dates, `bars` how they read rows of tables; `history` resolves
follow-up questions.
"""
