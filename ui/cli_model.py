"""`llavero model …`: training data, training, scores and checkpoints of the answering model.

Each verb is a function in a file of its own, `model_<verb>.py`; here they become commands.
"""

import typer

from ui.model_ablate import ablate
from ui.model_compare import compare
from ui.model_convert import convert
from ui.model_evaluate import evaluate
from ui.model_export import export
from ui.model_generate import generate
from ui.model_judge import judge
from ui.model_samples import samples
from ui.model_score import score
from ui.model_train import train
from ui.model_validate import validate

_VERBS = (ablate, compare, convert, evaluate, export, generate, judge, samples, score, train, validate)

model_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Train, convert and judge the answering model.",
)
for _verb in _VERBS:
    model_app.command()(_verb)
