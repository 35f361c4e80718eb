"""Errors as people meet them: one line and a hint instead of a traceback, on a terminal and on the page."""

import logging
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
_logger = logging.getLogger(__name__)


def expected_faults() -> tuple[type[BaseException], ...]:
    """The roots of every package's error tree, and what the operating system says (full disk, no permission)."""
    from indexing.errors import IndexingError
    from llava_model.errors import LlavaError
    from llava_model.kits.definition import KitError
    from rag.errors import RagError
    from ui.settings import SettingsError

    return IndexingError, LlavaError, KitError, RagError, SettingsError, OSError


def sentences(fault: BaseException) -> list[str]:
    """What happened, then what to do: the message and its notes, one line each."""
    if isinstance(fault, OSError) and fault.strerror:
        message = f"{fault.strerror}: {fault.filename}" if fault.filename else fault.strerror
    else:
        message = str(fault) or type(fault).__name__
    return [" ".join(message.split()), *getattr(fault, "__notes__", [])]


def explained(error: Exception, surprise: str) -> tuple[str, ...]:
    """The sentences for somebody at the page; of an unexpected error that is `surprise`, and the log has the rest."""
    if isinstance(error, expected_faults()):
        return tuple(sentences(error))
    _logger.error(surprise, exc_info=error)
    return surprise, "The server's log has the details."


def attempt(work: Callable[[], Result]) -> Result | Exception:
    """What `work` returns or raises: a thread has nobody to raise to, and the page stays usable whatever happens."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001  # the caller looks at it
        return error
