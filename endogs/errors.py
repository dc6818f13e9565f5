"""The exceptions that the command line tells in one sentence."""


class InputError(Exception):
    """Bad input, told in one sentence: which file or option, what is wrong with it, and what to do.

    The command line prints the sentence and exits with code 2; a notebook sees an ordinary exception. Every
    exception that is not named in this file is a bug of endogs and keeps its traceback.
    """


class NothingSeen(InputError):
    """Frames that show no tissue of known depth, such as black ones."""


class FitDiverged(RuntimeError):
    """The fit produced a number that is not finite. Says at which step and in which attribute.

    The command line prints the sentence and exits with code 1; the last good checkpoint is kept.
    """
