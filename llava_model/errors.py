"""The errors of this package, all below LlavaError.

LlavaError
├── MissingFileError            a folder or file that a model needs is missing
├── CheckpointMismatchError     weights or settings that do not fit the model
│   └── WrongBaseError          weights that were trained on another language model or tower
├── CheckpointWriteError        a checkpoint could not be saved; an older one of that name is unchanged
├── IncompleteCheckpointError   a checkpoint without a manifest, or with a missing or changed file
├── UnsafeFileError             a pickle that holds more than weights
├── ExportError                 a model that another program's format cannot hold
├── MissingPackageError         an optional feature needs a package that is not installed
├── UnknownTemplateError        no template of that name
│   └── NoChatTemplateError     "auto" was asked for and the tokenizer brings none
├── ConversationError           turns that the template cannot write
├── TokenizerError              a tokenizer without offsets, or one that exact prompts cannot use
├── ImageCountMismatchError     another number of image placeholders than of pictures
├── ImagesNotSupportedError     pictures given to a model that reads words only
├── ContextOverflowError        the prompt and the answer do not fit the model's context
├── ReplyFailedError            the model failed while it read or wrote; the engine goes on for others
├── EngineBusyError             more replies wait for the model than it takes
├── ServerError                 the model cannot be served at that address or with those settings
├── RequestRefusedError         a client's request that the server refuses
├── UnreadablePictureError      a file that is not a picture, or a damaged one
│   └── PictureTooLargeError    a picture with more pixels than the limit, found before decoding
├── EvaluationError             answers, reviews or a judge that give no figures
│   ├── UnscorableError         a file without anything that can be scored
│   ├── AnswersInUseError       another run writes the same answers
│   ├── AnswersMismatchError    the answers in a file come from another model, set or prompt
│   └── JudgeError              no endpoint was named, or the judge does not answer
├── GenerationError             training data that cannot be made
│   ├── SourceError             captions, boxes or prompts that cannot be used at all
│   ├── GenerationInUseError    another run writes into the same folder
│   └── WriterError             no endpoint was named, or the text model there does not answer
├── AblationPlanError           a file of settings that no ablation can be made from
├── TrainingDataError           a training set that cannot be used at all
├── TrainingStoppedError        a loss or gradient that is not a finite number
├── BadSampleError              a training sample that cannot be used
├── BadSampleFileError          a file that cannot be read as samples
├── BadMixtureError             files and weights that no epoch can be made of
└── FeatureCacheError           a folder of features that cannot be used
    ├── FeatureMissingError     a picture whose features were never computed
    └── FeatureDiskFullError    no room for more features; stored ones stay
"""

from pathlib import Path


class LlavaError(Exception):
    """Base of all errors that this package raises."""


class MissingFileError(LlavaError):
    """A file or folder that a model needs is missing."""

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
    """No template was named, and the tokenizer has no usable chat template of its own."""

    def __init__(self, tokenizer: str, reason: str, known: tuple[str, ...]) -> None:
        LlavaError.__init__(self, f"the tokenizer of '{tokenizer}' {reason}")
        self.add_note(f"Name the template it was trained with: {', '.join(known)}")
        self.name, self.known = "auto", known


class ConversationError(LlavaError):
    """A turn that the template cannot write; the message says which one and why."""


class TokenizerError(LlavaError):
    """The tokenizer lacks something that exact prompts need."""


class ImageCountMismatchError(LlavaError):
    """The text has another number of image placeholders than there are pictures."""

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


class ReplyFailedError(LlavaError):
    """The model failed while it read a prompt or wrote; the cause is attached. Other replies go on."""

    def __init__(self, doing: str, cause: BaseException) -> None:
        super().__init__(f"the model failed while it {doing}: {str(cause) or type(cause).__name__}")
        self.doing = doing
        self.out_of_memory = (
            isinstance(cause, MemoryError)
            or "OutOfMemory" in type(cause).__name__  # torch's, on a graphics card
            or "can't allocate memory" in str(cause)  # torch's on a CPU is a plain RuntimeError
        )
        if self.out_of_memory:
            self.add_note("There is too little memory for so many replies at once: let fewer run, or ask for less.")


class EngineBusyError(LlavaError):
    """More replies wait than the engine takes."""

    def __init__(self, waiting: int) -> None:
        super().__init__(f"{waiting} replies wait for the model already, it takes no more")
        self.add_note("Ask again when some of them are done.")
        self.waiting = waiting


class ServerError(LlavaError):
    """Serving cannot start: the address is taken, or others could reach it without a key."""


class RequestRefusedError(LlavaError):
    """The server refuses a client's request. The message is for that client."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        param: str | None = None,
        code: str | None = "invalid_value",
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code, self.retry_after_seconds = status, param, code, retry_after_seconds


class UnreadablePictureError(LlavaError):
    """The bytes are not a picture that can be decoded, or they end early."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"cannot read picture '{name}': {reason}")
        self.name, self.reason = name, reason


class PictureTooLargeError(UnreadablePictureError):
    """The picture's header states more pixels than the limit. Nothing was decoded."""

    def __init__(self, name: str, found: str, max_pixels: int) -> None:
        super().__init__(name, f"{found} pixels, the limit is {max_pixels}")
        self.found, self.max_pixels = found, max_pixels


class BadSampleError(LlavaError):
    """One sample of a training set cannot be used. Training skips it only if bad samples are skipped."""

    def __init__(self, sample: str, reason: str) -> None:
        super().__init__(f"sample '{sample}' {reason}")
        self.sample, self.reason = sample, reason


class AblationPlanError(LlavaError):
    """A plan that names something that there is not, or leaves out what is needed."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"the plan '{path}' {reason}")
        self.path, self.reason = path, reason


class TrainingDataError(LlavaError):
    """The set as a whole cannot be trained on; the message says why."""


class TrainingStoppedError(LlavaError):
    """The loss or the gradient is not a finite number. The last checkpoint stays."""

    def __init__(self, what: str, *, step: int, samples: tuple[str, ...]) -> None:
        named = ", ".join(samples[:8]) + (f" and {len(samples) - 8} more" if len(samples) > 8 else "")
        super().__init__(f"the {what} of step {step} is not a finite number; it held the samples {named}")
        self.add_note("Go on from the last checkpoint with a lower learning rate, or look at these samples.")
        self.step, self.samples = step, samples


class BadSampleFileError(LlavaError):
    """A whole file of samples is unusable; the reason says where it breaks."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"'{path}' {reason}")
        self.path, self.reason = path, reason


class BadMixtureError(LlavaError):
    """No epoch can be drawn from these files with these weights."""


class FeatureCacheError(LlavaError):
    """A folder of features is damaged, or belongs to something else."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"feature cache '{folder}' {reason}")
        self.folder, self.reason = folder, reason


class FeatureMissingError(FeatureCacheError, KeyError):
    """The cache holds no features of a picture."""

    __str__ = Exception.__str__  # KeyError would show the message in quotes

    def __init__(self, folder: Path, picture: Path, reason: str) -> None:
        super().__init__(folder, f"holds no features of '{picture}': {reason}")
        self.add_note("Fill the cache with all pictures of the training set first.")
        self.picture = picture


class FeatureDiskFullError(FeatureCacheError):
    """The disk is full. Features stored before stay usable."""

    def __init__(self, folder: Path, *, needed_bytes: int, free_bytes: int) -> None:
        super().__init__(folder, f"cannot grow by {needed_bytes} bytes: the disk has {free_bytes} left")
        self.add_note("Free some space and run again: it goes on where it stopped. bfloat16 or int8 need less room.")
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes


class WrongBaseError(CheckpointMismatchError):
    """Weights that only fit the model that they were trained on, loaded with another."""

    def __init__(self, what: str, *, trained_on: str, found: str) -> None:
        LlavaError.__init__(self, f"{what} was trained on {trained_on}, not on {found}")
        self.what, self.found, self.wanted = what, found, trained_on


class CheckpointWriteError(LlavaError):
    """A checkpoint could not be saved. Nothing half-written stays, and an older one of that name is unchanged."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"cannot save the checkpoint '{folder}': {reason}")
        self.folder, self.reason = folder, reason


class IncompleteCheckpointError(LlavaError):
    """The folder is not a complete checkpoint, or a file in it has changed."""

    def __init__(self, folder: Path, reason: str) -> None:
        super().__init__(f"'{folder}' is no complete checkpoint: {reason}")
        self.folder, self.reason = folder, reason


class UnsafeFileError(LlavaError):
    """A file that could run code when it is opened. No code was run."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"'{path}' wants to run code when it is opened, or holds something else than weights")
        self.add_note("Ask its maker for safetensors, or for a file with nothing but tensors in it.")
        self.path = path


class ExportError(LlavaError):
    """Another program's format cannot hold this model; the message says why, a note what to do instead."""


class MissingPackageError(LlavaError):
    """A package that an optional feature needs is not installed."""

    def __init__(self, package: str, *, purpose: str, install: str) -> None:
        super().__init__(f"{purpose} needs the package '{package}'")
        self.add_note(f"Install it with: pip install {install}")
        self.package, self.purpose = package, purpose


class EvaluationError(LlavaError):
    """A benchmark gives no figures: the message says why."""


class UnscorableError(EvaluationError):
    """A file of predictions, labels or questions holds nothing that can be scored."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"'{path}' {reason}")
        self.path, self.reason = path, reason


class AnswersInUseError(EvaluationError):
    """Two runs would write one file of answers; the second stops before it writes."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"'{path}' is being written by {holder}")
        self.add_note("Wait for it, or name another file with --out.")
        self.path, self.holder = path, holder


class AnswersMismatchError(EvaluationError):
    """A file of answers was begun with other settings; going on would mix two models in one score."""

    def __init__(self, path: Path, name: str, *, found: object, wanted: object) -> None:
        super().__init__(f"the answers in '{path}' were begun with {name} {found}, this run has {wanted}")
        self.add_note("Name another file with --out, or delete that one.")
        self.path, self.name, self.found, self.wanted = path, name, found, wanted


class JudgeError(EvaluationError):
    """The judge cannot be asked, or does not answer; what it has judged is kept."""


class GenerationError(LlavaError):
    """Training data cannot be made: the message says why."""


class SourceError(GenerationError):
    """A file of captions, boxes or prompts that nothing can be made of."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"'{path}' {reason}")
        self.path, self.reason = path, reason


class GenerationInUseError(GenerationError):
    """Two runs would write into one folder; the second stops before it sends or writes anything."""

    def __init__(self, folder: Path, holder: str) -> None:
        super().__init__(f"'{folder}' is being written by {holder}")
        self.add_note("Wait for it, or name another folder with --out.")
        self.folder, self.holder = folder, holder


class WriterError(GenerationError):
    """The text model that writes the data cannot be asked, or does not answer; what it has written is kept."""
