"""One stage of training, from files of samples to a checkpoint.

stages      what learns, from which data, how fast: ALIGN, INSTRUCT, TASK, GROUND and the presets
run         opens data and weights, fills the feature cache, runs the loop, writes the report
trainable   freezes the model and unfreezes what the stage trains; fits a new projector to captions
loop        steps and checkpoints, with the state that resumes a run exactly; loss: what a step minimises
report      metrics of each step and the page at the end
"""
