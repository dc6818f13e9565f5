"""The one exception that means "your input, not our bug"."""


class InputError(Exception):
    """Bad input, told in one sentence: which file or option, what is wrong with it, and what to do.

    The command line prints the sentence and exits with code 2; a notebook sees an ordinary exception. Every other
    exception is a bug of endogs and keeps its traceback.
    """
