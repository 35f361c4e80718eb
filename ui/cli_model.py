"""`llavero model …`: training data, training, scores and checkpoints of the answering model.

Each verb lives in a file of its own, `model_<verb>.py`, and registers itself here.
"""

import typer

model_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train, convert and judge the answering model.",
)


from ui import model_compare, model_evaluate, model_judge, model_score  # noqa: E402,F401  # they register themselves
