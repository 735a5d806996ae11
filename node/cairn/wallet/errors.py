"""What goes wrong between a person and their keys."""


class WalletError(Exception):
    """A wallet's refusal: `problem` in plain words and, where there is one, the `fix`.

    `fix` is a command to type or a thing to do. Neither ever holds a secret.
    """

    def __init__(self, problem: str, fix: str = "") -> None:
        super().__init__(f"{problem}. Fix: {fix}" if fix else problem)
        self.problem = problem
        self.fix = fix
