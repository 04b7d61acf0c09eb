"""The project's own files, and how a check of them reports."""

import os
import sys

SOURCE_FOLDERS = ("agent", "policy", "proto", "server", "third_party")
CPP = (".h", ".cc")


def root():
    """The checkout: the first argument, or the one that this file lies in."""
    here = os.path.dirname(os.path.abspath(__file__))
    return sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.dirname(here))


def files(top, folders, suffixes):
    """Paths below the folders, relative to `top` and sorted, that end in one of the suffixes."""
    found = []
    for folder in folders:
        for where, inner, names in os.walk(os.path.join(top, folder)):
            inner[:] = [name for name in inner if name not in ("__pycache__", "corpus", "node_modules")]
            found += [
                os.path.relpath(os.path.join(where, name), top)
                for name in names
                if name.endswith(suffixes)
            ]
    return sorted(found)


def read(top, path):
    with open(os.path.join(top, path), encoding="utf-8", newline="") as file:
        return file.read()


def run(check):
    """Prints what the check finds, and ends the program with 1 if that is anything."""
    problems = check(root())
    for problem in problems:
        print(problem)
    if problems:
        print(f"{len(problems)} problems")
    sys.exit(1 if problems else 0)
