"""Training samples: files → samples → token ids → packed batches.

schema       one conversation with its pictures, in LLaVA's JSON or ours
sample_file  files of samples, read by position, never whole into memory
mixture      several files with weights, in a seeded order
encoding     a sample as token ids, and which of them are learned
packing      encoded samples as batches, padded or packed into one row
features     the frozen tower's features on disk, computed once
validate     what is wrong with a training set, found before hours are spent on it
"""
