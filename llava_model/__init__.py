"""Pictures and words in, an answer out; and how the model learned it.

text (turns → tokens with a place for each picture) and images (pictures → pixels)
→ model (pixels → features → projector → language model) → serving (streams the reply, in process or over HTTP)

data → training → checkpoints make its weights, synthesis makes data, benchmarks and ablation score it; kits installs
named, pinned sets of weights.
"""
