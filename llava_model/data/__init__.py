"""Training samples: files → samples → token ids → packed batches.

schema       one conversation with its pictures, in LLaVA's JSON or ours
sample_file  files of samples, read by position, never whole into memory
mixture      several files with weights, in a seeded order
validate     what is wrong with a set, before hours are spent on it
features     the frozen tower's features on disk, computed once
packing      many samples in one row, blind to each other
"""
