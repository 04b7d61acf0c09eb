"""What every text file keeps to, and how large a room may be."""

import os
import re

import tree

ALL_FOLDERS = tree.SOURCE_FOLDERS + ("tests", "packaging", "docs")
TEXT = tree.CPP + (".proto", ".py", ".md", ".txt", ".cmake", ".json", ".yaml", ".sh", ".sql")
MAX_COLUMNS = 100
MAX_PAIRS = 12
# Written apart, so that this file passes its own check.
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK")) + r")\b")
SUFFIX = re.compile(r"_(linux|posix|macos|windows)$")


def check_text(path, text):
    if not text:
        return
    if not text.endswith("\n"):
        yield f"{path}: the last line has no end"
    if text.endswith("\n\n"):
        yield f"{path}: empty lines at the end"
    for number, line in enumerate(text.split("\n"), 1):
        if "\t" in line:
            yield f"{path}:{number}: a tab"
        if line.endswith((" ", "\r")):
            yield f"{path}:{number}: space at the end of the line"
        if UNFINISHED.search(line):
            yield f"{path}:{number}: unfinished work belongs into an issue"
        if path.endswith(tree.CPP) and len(line) > MAX_COLUMNS:
            yield f"{path}:{number}: {len(line)} columns; at most {MAX_COLUMNS}"


def check_header(path, text):
    code = re.sub(r"\A(\s*//[^\n]*\n|\s+)*", "", text)
    if not code.startswith("#pragma once\n"):
        yield f"{path}: a header begins with #pragma once"


def check_rooms(top):
    nouns = {}
    for path in tree.files(top, tree.SOURCE_FOLDERS, tree.CPP):
        noun = SUFFIX.sub("", os.path.splitext(os.path.basename(path))[0])
        nouns.setdefault(os.path.dirname(path), set()).add(noun)
    for folder, found in sorted(nouns.items()):
        if len(found) > MAX_PAIRS:
            yield f"{folder}: {len(found)} nouns; split it, a room has at most {MAX_PAIRS}"


def check(top):
    problems = list(check_rooms(top))
    for path in tree.files(top, ALL_FOLDERS, TEXT):
        try:
            text = tree.read(top, path)
        except UnicodeDecodeError:
            problems.append(f"{path}: not UTF-8")
            continue
        problems += check_text(path, text)
        if path.endswith(".h"):
            problems += check_header(path, text)
    return problems


if __name__ == "__main__":
    tree.run(check)
