"""A question in, a grounded and cited answer out.

retrieve (three channels) → fuse (reciprocal ranks) → relevance (is anything here?) → prompt (numbered,
budgeted evidence) → a LangChain chat model → citations (markers → file, page, boxes; verified) → answer.
"""
