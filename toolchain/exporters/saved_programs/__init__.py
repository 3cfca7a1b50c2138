"""Files that hold a program: what may be in them, so that reading one runs nothing that its author wrote.

A `.pt2` and a TorchScript archive name the operators that they call, and PyTorch looks these names up, evaluates sizes
and guards as Python, and unpickles what is pickled. Here, what a file holds is compared with a list of what may be in
it, before PyTorch sees it. The rest is refused.
"""


class UnsafeProgramError(Exception):
    """A file holds something that could run code; the text is the end of a sentence whose subject is the file."""


def advice(source: str, problem: UnsafeProgramError) -> str:
    """Write the error of a file that is refused."""
    return (
        f"'{source}' {problem}, so reading it could run code; export the model again from its own source, or add "
        "--trust-source if you would run a program of its author's."
    )
