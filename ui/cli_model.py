"""`llavero model …`: training data, training, scores and checkpoints of the answering model.

Each verb lives in a file of its own, `model_<verb>.py`, and registers itself here.
"""

import typer

model_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train, convert and judge the answering model.",
)


from ui import (  # noqa: E402  # they register themselves
    model_ablate,  # noqa: F401
    model_compare,  # noqa: F401
    model_convert,  # noqa: F401
    model_evaluate,  # noqa: F401
    model_export,  # noqa: F401
    model_generate,  # noqa: F401
    model_judge,  # noqa: F401
    model_samples,  # noqa: F401
    model_score,  # noqa: F401
    model_train,  # noqa: F401
    model_validate,  # noqa: F401
)
