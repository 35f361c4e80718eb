"""Which exceptions are meant for people: one line and a hint instead of a traceback."""


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
