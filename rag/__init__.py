"""A question in, a grounded and cited answer out.

`retrieve` (every channel) → `fuse` (reciprocal ranks gather candidates) → `relevance` (how likely each answers; the
first are read word by word) → `prompt` (numbered evidence from `claims.passages`, instructions from a file) → a
LangChain chat model, ours (`langchain`) or by address (`generate`), which `stopping` ends → `claims.citations` (markers
→ file, page, boxes; quoted, supported or unchecked) → `answer`, told in `events`. `steps` lets a capable model look
again.
"""
