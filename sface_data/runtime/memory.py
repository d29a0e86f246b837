"""What libraries say when memory runs out: of the machine or of a GPU."""

from sface_data.errors import SfaceDataError

_WORDS = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "bad allocation", "bad_alloc",
    "failed to allocate memory", "can't start new thread",
)  # fmt: skip


def is_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, Exception)
        and not isinstance(error, (OSError, SfaceDataError))
        and any(words in text for words in _WORDS)
    )
