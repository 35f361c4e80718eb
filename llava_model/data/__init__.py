"""Training samples: files → samples → token ids → the batches of every step.

samples         a record in LLaVA's JSON or ours → one conversation with its pictures → token ids, and which are learned
sample_file     files of samples, read by position, never whole into memory
batches         several files with weights in a seeded order → batches, padded or packed, of every step
feature_store   the records of the feature cache on disk; features: the cache, filled once by the frozen tower
validate        what is wrong with a training set; pictures and leakage: what it looks at
"""
