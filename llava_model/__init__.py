"""Pictures and words in, an answer out; and how the model learned it.

config → templates and tokenize (words → tokens with a place for each picture) → images and towers
(pixels → features) → projector (features → the language model's space) → model (LLaVA) →
serving.engine (streams tokens). `kits` installs named, pinned sets of weights.
"""
