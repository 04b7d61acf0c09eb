"""Every source, test and message is in the build, and every test has something that it tests.

    build_membership.py CHECKOUT BUILD_FOLDER
"""

import json
import os
import re
import sys

import tree

# Folders of tests that mirror no room.
OWN_TESTS = ("support", "sim", "fuzz", "integration", "e2e", "bench", "tidy", "golden")


def compiled(top, build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    paths = (os.path.join(entry["directory"], entry["file"]) for entry in commands)
    return {os.path.relpath(os.path.normpath(path), os.path.abspath(top)) for path in paths}


def check_sources(top, build):
    known = compiled(top, build)
    for path in tree.files(top, tree.SOURCE_FOLDERS + ("tests",), (".cc",)):
        if path not in known:
            yield f"{path}: no target of the build compiles it"


def check_tests(top):
    for path in tree.files(top, ("tests",), ("_test.cc",)):
        mirrored = os.path.dirname(path)[len("tests/"):]
        if mirrored.split("/")[0] in OWN_TESTS:
            continue
        if not os.path.isdir(os.path.join(top, mirrored)):
            yield f"{path}: there is no folder {mirrored} that it could test"


def check_messages(top):
    # The comment of a line could name a file that no target has.
    listed = re.sub(r"#.*", "", tree.read(top, "proto/CMakeLists.txt"))
    words = set(re.split(r"[\s()]+", listed))
    for path in tree.files(top, ("proto",), (".proto",)):
        if path[len("proto/"):] not in words:
            yield f"{path}: proto/CMakeLists.txt does not list it"


def check(top, build):
    return [*check_sources(top, build), *check_tests(top), *check_messages(top)]


if __name__ == "__main__":
    tree.run(lambda top: check(top, sys.argv[2]))
