"""`llavero model …`: training data, training, scores and checkpoints of the answering model.

Each verb is a function in a file of its own, `model_<verb>.py`; here they become commands.
"""

import typer

from ui.cli.model_checkpoints import convert, export
from ui.cli.model_generate import generate
from ui.cli.model_scores import compare, evaluate, judge, samples, score
from ui.cli.model_train import ablate, train
from ui.cli.model_validate import validate

_VERBS = (ablate, compare, convert, evaluate, export, generate, judge, samples, score, train, validate)

model_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train, convert and judge the answering model.",
)
for _verb in _VERBS:
    model_app.command()(_verb)
