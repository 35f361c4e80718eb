"""The faces: `cli` (terminal), `app` (browser). `engine` builds everything from settings; nothing else does."""
