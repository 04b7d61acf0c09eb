"""Every C++ file is as clang-format and .clang-format leave it."""

import re
import subprocess

import tree

FAULT = re.compile(r"^(.+?):\d+:\d+: error: code should be clang-formatted", re.MULTILINE)


def check(top):
    paths = tree.files(top, tree.SOURCE_FOLDERS + ("tests",), tree.CPP)
    if not paths:
        return ["there is no C++ file here"]
    done = subprocess.run(
        ["clang-format", "--dry-run", "-Werror", *paths],
        cwd=top, capture_output=True, text=True, check=False)
    faults = [f"{path}: run clang-format -i on it" for path in sorted(set(FAULT.findall(done.stderr)))]
    if done.returncode != 0 and not faults:
        faults = [f"clang-format failed: {done.stderr.strip()}"]
    return faults


if __name__ == "__main__":
    tree.run(check)
