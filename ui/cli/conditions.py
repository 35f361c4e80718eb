"""`--where` and `--meta`: conditions that files must fulfil, and facts that are said of them."""

import os
from pathlib import Path
from typing import Annotated

import typer

from indexing.addresses import is_address
from ui.service import Condition, condition

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=VALUE",
        help="Only this path, folder, name, extension, title or page; or by facts: client=ACME, year>=2019, "
        "near=41.38,2.17,5km.",
    ),
]
MetaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--meta", metavar="KEY=VALUE", help="Say this of every file there, to search by; 'KEY=' takes it back."
    ),
]


def conditions_from(written: list[str] | None) -> tuple[Condition, ...]:
    """Checked as far as it can be without the library. Raises BadParameter."""
    return tuple(map(_condition, written or ()))


def _condition(written: str) -> Condition:
    from indexing.facts import FactsError

    try:
        found = condition(written)
    except FactsError as error:
        raise typer.BadParameter(str(error), param_hint="--where") from error
    if found[0] in ("path", "folder") and is_address(found[-1]):
        return found[0], found[-1]
    if found[0] in ("path", "folder"):  # another process has another current folder
        return found[0], os.path.abspath(Path(found[-1]).expanduser())  # noqa: PTH100  # without following links
    return found


def facts_from(written: list[str] | None) -> dict[str, list[str]]:
    """`--meta key=value`, as often as it was said; checked before anything is opened. Raises BadParameter."""
    from indexing.facts import FactsError, facts_of, parted

    found: dict[str, list[str]] = {}
    try:
        for each in written or ():
            key, operator, value = parted(each)
            if operator != "=":
                raise FactsError(f"'{each[:100]}' is not KEY=VALUE")
            found.setdefault(key, []).append(value)
        facts_of(found.items())
    except FactsError as error:
        raise typer.BadParameter(str(error), param_hint="--meta") from error
    return {key: list(filter(None, values)) for key, values in found.items()}
