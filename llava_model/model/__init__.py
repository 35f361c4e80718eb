"""The network: vision tower → projector → language model, and the configuration that says how they are joined."""
