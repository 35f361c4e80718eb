"""What can go wrong between pictures, words and an answer.

LlavaError
├── MissingFileError            a folder or file that a model needs is not there
├── CheckpointMismatchError     weights of another shape, or of another model, than asked for
├── UnknownTemplateError        no template of that name
│   └── NoChatTemplateError     "auto" was asked for and the tokenizer brings none
├── ConversationError           turns that no template can say
├── TokenizerError              a tokenizer without offsets, or one that cannot be made safe
├── ImageCountMismatchError     image placeholders and pictures disagree
├── ImagesNotSupportedError     pictures given to a model that reads words only
├── ContextOverflowError        the prompt and the answer do not fit the model's context
├── UnreadablePictureError      not a picture, or a damaged one
│   └── PictureTooLargeError    more pixels than the limit, known before decoding
└── BadSampleError              a training sample that would train nothing, lose a picture, or is no sample
"""

from pathlib import Path


class LlavaError(Exception):
    """Base of everything this package raises on purpose."""


class MissingFileError(LlavaError):
    """A file that the model is made of is not where it was said to be."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{what} not found at '{path}'")
        self.path, self.what = path, what


class CheckpointMismatchError(LlavaError):
    """The weights do not fit the model they are loaded into."""

    def __init__(self, what: str, *, found: object, wanted: object) -> None:
        super().__init__(f"{what}: found {found}, the model needs {wanted}")
        self.what, self.found, self.wanted = what, found, wanted


class UnknownTemplateError(LlavaError):
    """No prompt template has this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown prompt template '{name}'")
        self.add_note(f"Templates: {', '.join(known)}")
        self.name, self.known = name, known


class NoChatTemplateError(UnknownTemplateError):
    """The tokenizer brings no usable chat template of its own, and none was named."""

    def __init__(self, tokenizer: str, reason: str, known: tuple[str, ...]) -> None:
        LlavaError.__init__(self, f"the tokenizer of '{tokenizer}' {reason}")
        self.add_note(f"Name the template it was trained with: {', '.join(known)}")
        self.name, self.known = "auto", known


class ConversationError(LlavaError):
    """The turns cannot be written as a conversation: the message says which one and why."""


class TokenizerError(LlavaError):
    """The tokenizer lacks something that exact prompts need."""


class ImageCountMismatchError(LlavaError):
    """The text holds another number of image placeholders than there are pictures; nothing may be guessed."""

    def __init__(self, *, placeholders: int, images: int, tokens_per_image: int) -> None:
        super().__init__(
            f"the text holds {placeholders} image positions, but {images} images were given, "
            f"which need {images * tokens_per_image} ({tokens_per_image} each)"
        )
        self.placeholders, self.images, self.tokens_per_image = placeholders, images, tokens_per_image


class ImagesNotSupportedError(LlavaError):
    """Pictures were given to a model that has no vision tower."""

    def __init__(self, model: str, images: int) -> None:
        super().__init__(f"'{model}' reads words only, but {images} images were given")
        self.add_note("Describe the pictures in words, or use a model with a vision tower and a projector.")
        self.model, self.images = model, images


class ContextOverflowError(LlavaError):
    """Prompt and answer together are longer than the model's context; both in tokens."""

    def __init__(self, *, needed: int, available: int) -> None:
        super().__init__(f"the prompt and the answer need {needed} tokens, the model has room for {available}")
        self.add_note("Send less evidence or a shorter history, or ask for a shorter answer.")
        self.needed, self.available = needed, available


class UnreadablePictureError(LlavaError):
    """The bytes are no picture that Pillow can decode, or end early."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot read picture '{name}': {reason}")
        self.name, self.reason = name, reason


class PictureTooLargeError(UnreadablePictureError):
    """The header announces more pixels than the limit; nothing was decoded."""

    def __init__(self, name: str, found: str, max_pixels: int) -> None:
        super().__init__(name, f"{found} pixels, the limit is {max_pixels}")
        self.found, self.max_pixels = found, max_pixels


class BadSampleError(LlavaError):
    """One sample of a training set cannot be used; the set goes on without it only where that was asked for."""

    def __init__(self, sample: str, reason: str) -> None:
        super().__init__(f"sample '{sample}' {reason}")
        self.sample, self.reason = sample, reason
