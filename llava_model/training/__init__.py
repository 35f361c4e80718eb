"""A stage of training from files to a checkpoint: stages → run → loop → loss, with state, metrics and report."""
