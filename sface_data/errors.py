"""What can go wrong, in one sentence each.

Every error that a user can cause or mend is one of these two. The command line prints the sentence and ends
with `exit_code`; nobody sees a traceback for a mistyped path.
"""


class SfaceDataError(Exception):
    """Base of the errors that end a command with one sentence."""

    exit_code = 1


class CheckFailed(SfaceDataError):
    """The command worked and the answer is no: a folder is not valid, a certificate is not `pass`."""

    exit_code = 1


class BadInput(SfaceDataError, ValueError):
    """Wrong usage, or a file that cannot be used. The sentence names the file and says what to do."""

    exit_code = 2
