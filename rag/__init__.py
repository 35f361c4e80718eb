"""A question in, a grounded and cited answer out.

question (is a picture wanted, what would answer?) → retrieve (every channel) → fuse (reciprocal ranks)
→ rerank (how much of the question is held) → relevance (does anything here answer, against the library's background?)
→ passages, choosing (which lines answer it) → prompt (numbered, budgeted evidence) → a LangChain chat model, ours
(`langchain`) or by address (`generator`) → stopping → citations (markers → file, page, boxes; verified) → answer.
`terms` is how all of them read words, numbers and dates, `markdown_tables` how they read rows of tables; `history`
resolves follow-up questions.
"""
