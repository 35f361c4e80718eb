"""What can go wrong between a question and its answer.

RagError
├── EmptyQuestionError          neither words nor a picture were given
├── NoChannelError              the store has no channel that this question could use
├── PromptTooLongError          question and instructions alone do not fit the model's window
├── InstructionsError           the user's own text for the model cannot be read
├── PictureAddressError         a message names a picture by an address that we do not fetch
├── PictureDataError            the bytes in a message are no picture we can read
└── GeneratorError              the answering server did not do its part; says where and why
    ├── GeneratorUnreachableError
    ├── GeneratorTimeoutError
    ├── GeneratorKeyError       the server wants another key
    ├── GeneratorModelError     the server does not know the model
    └── GeneratorReplyError     the server answered something that is not an answer
"""


class RagError(Exception):
    """Base of everything this package raises on purpose."""


class EmptyQuestionError(RagError):
    """Neither words nor a picture were given."""

    def __init__(self) -> None:
        super().__init__("the question is empty: it has neither words nor a picture")
        self.add_note("Type some words, or give a picture to look for.")


class NoChannelError(RagError):
    """No channel of the store can answer this question."""

    def __init__(self, wanted: tuple[str, ...], available: tuple[str, ...]) -> None:
        has = ", ".join(available) or "none"
        super().__init__(f"this question needs one of the channels {', '.join(wanted)}; the store has {has}")
        self.add_note("Ask in words, or use a store with more channels (the embedded one has all three).")
        self.wanted, self.available = wanted, available


class PromptTooLongError(RagError):
    """Instructions and question alone are longer than the model can read."""

    def __init__(self, needed: int, available: int) -> None:
        super().__init__(
            f"the question needs {needed} tokens with its instructions, the model has room for {available}"
        )
        self.add_note("Shorten the question, give fewer pictures, or use a model with a longer context.")
        self.needed, self.available = needed, available


class InstructionsError(RagError):
    """The file that should tell the model what to do cannot be read."""

    def __init__(self, name: str, shipped: tuple[str, ...], reason: str) -> None:
        super().__init__(f"the model's instructions '{name}' cannot be read: {reason}")
        self.add_note(f"Name a text file, or one of: {', '.join(shipped)} ([prompt] instructions in llavero.toml).")
        self.name = name


class PictureAddressError(RagError):
    """A message names a picture by an address; pictures are only taken from the message itself."""

    def __init__(self, address: str) -> None:
        super().__init__(f"a message names a picture by the address '{address[:80]}', which is not fetched")
        self.add_note("Put the picture into the message as a data URL (data:image/png;base64,…).")
        self.address = address


class PictureDataError(RagError):
    """The bytes in a message are no picture that can be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"a picture in a message cannot be read: {reason}")


class GeneratorError(RagError):
    """The answering server did not do its part."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"the generator at {url} {problem}")
        self.url = url


class GeneratorUnreachableError(GeneratorError):
    """Nobody answers at that address."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, f"cannot be reached: {reason}")
        self.add_note("Check that the server runs and that the address is right (it usually ends in /v1).")


class GeneratorTimeoutError(GeneratorError):
    """The server took too long."""

    def __init__(self, url: str, seconds: float) -> None:
        super().__init__(url, f"did not answer within {seconds:g} seconds")
        self.add_note("Raise timeout_seconds of the generator in llavero.toml, or ask a faster model.")
        self.seconds = seconds


class GeneratorKeyError(GeneratorError):
    """The server refused our key."""

    def __init__(self, url: str, api_key_env: str) -> None:
        where = f"the key in {api_key_env}" if api_key_env else "a request without a key"
        super().__init__(url, f"refused {where}")
        self.add_note("Put the key into an environment variable and name it as api_key_env in llavero.toml.")
        self.api_key_env = api_key_env


class GeneratorModelError(GeneratorError):
    """The server does not know the model."""

    def __init__(self, url: str, model: str) -> None:
        super().__init__(url, f"does not know the model '{model}', or has no chat endpoint there")
        self.add_note("List its models with GET /v1/models and set model in llavero.toml.")
        self.model = model


class GeneratorReplyError(GeneratorError):
    """The server answered something that is not an answer."""
