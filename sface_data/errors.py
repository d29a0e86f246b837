"""Errors that end a command with one sentence, and how text of others is shown in them.

Every error that a user can cause or mend is one of these two. The command line prints the sentence and ends
with `exit_code`; nobody sees a traceback for a mistyped path.
"""

from pathlib import Path


def shown(text: object) -> str:
    """Text that others wrote, in one line, with nothing in it that acts instead of being seen.

    Control characters, line breaks, marks of direction and other invisible characters, and bytes of a file name
    that are not UTF-8 become `\\x1b`, `\\n`, `\\u202e`, `\\udcff`.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def counted(number: int, noun: str) -> str:
    """A number with what it counts: `1 class`, `2 classes`, `3 identities`."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"


def brief(error: Exception) -> str:
    """One line of an error of a library, not too long."""
    return " ".join(str(error).split())[:160]


class SfaceDataError(Exception):
    """Base of the errors that end a command with one sentence.

    Args:
        sentence: what is wrong and what to do; `shown`, as it may quote names and contents of files.
        lines: details below it, one a line.
    """

    exit_code = 1

    def __init__(self, sentence: str, *lines: str) -> None:
        super().__init__(sentence, *lines)

    def __str__(self) -> str:
        return "\n  ".join(map(shown, self.args))


class CheckFailed(SfaceDataError):
    """The command worked and the answer is no: a folder is not valid, a certificate is not `pass`."""

    exit_code = 1


class BadInput(SfaceDataError, ValueError):
    """Wrong usage, or a file that cannot be used. The sentence names the file and says what to do."""

    exit_code = 2


def at_path(path: Path, error: Exception) -> BadInput:
    """What is wrong with the contents of a file, as an error that names it, once."""
    return BadInput(f"{path}: {str(error).removeprefix(f'{shown(path)}: ')}")
