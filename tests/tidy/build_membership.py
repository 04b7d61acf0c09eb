"""Every source, test, message and room is in the build, and every test has something that it tests.

    build_membership.py CHECKOUT BUILD_FOLDER
"""

import json
import os
import re
import subprocess
import sys

import include_rules
import tree

# Folders of tests that mirror no room.
OWN_TESTS = ("support", "sim", "fuzz", "integration", "e2e", "bench", "tidy", "golden")
# Rooms whose libraries would otherwise have the name of what they adapt.
ROOM_NAMES = {"third_party/grpc": "grpc_adapter", "third_party/protobuf": "protobuf_adapter",
              "third_party/spdlog": "logging"}
ROOM = re.compile(r"\bweighmaster_room\(\s*(\w+)")


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


def registered(build):
    """The full paths that the commands of ctest's tests name."""
    done = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"],
                          capture_output=True, text=True, check=True)
    tests = json.loads(done.stdout)["tests"]
    return {os.path.realpath(word) for test in tests for word in test.get("command", ())}


def check_scripts(top, build):
    known = registered(build)
    for path in tree.files(top, ("tests",), ("_test.py",)):
        if os.path.realpath(os.path.join(top, path)) not in known:
            yield f"{path}: no test of ctest runs it"


def without_comments(top, path):
    """A comment could name what no target has."""
    return re.sub(r"#.*", "", tree.read(top, path))


def room_name(folder):
    """The name that docs and namespaces have for a room: agent_journal, but base and not policy_base."""
    return ROOM_NAMES.get(folder) or re.sub(r"^(policy|proto|third_party)_", "", folder.replace("/", "_"))


def is_only_headers(top, folder):
    """Such a room (the seam of several others) has no library."""
    names = os.listdir(os.path.join(top, folder)) if os.path.isdir(os.path.join(top, folder)) else ()
    return any(name.endswith(".h") for name in names) and not any(name.endswith(".cc") for name in names)


def check_rooms(top):
    rooms = set(include_rules.read_table(tree.read(top, "tests/tidy/rooms.txt")))
    made = set()
    for path in tree.files(top, tree.SOURCE_FOLDERS, ("CMakeLists.txt",)):
        folder = os.path.dirname(path)
        for name in ROOM.findall(without_comments(top, path)):
            made.add(folder)
            if folder not in rooms:
                yield f"{path}: makes the room {name}, which tests/tidy/rooms.txt does not have"
            elif name != room_name(folder):
                yield f"{path}: the room of {folder} is {room_name(folder)}, not {name}"
    for folder in sorted(rooms - made):
        if not is_only_headers(top, folder):
            yield f"tests/tidy/rooms.txt: {folder} is a room that no CMakeLists.txt makes"


def check_messages(top):
    listed = without_comments(top, "proto/CMakeLists.txt")
    words = set(re.split(r"[\s()]+", listed))
    for path in tree.files(top, ("proto",), (".proto",)):
        if path[len("proto/"):] not in words:
            yield f"{path}: proto/CMakeLists.txt does not list it"


def check(top, build):
    return [*check_sources(top, build), *check_tests(top), *check_scripts(top, build), *check_rooms(top),
            *check_messages(top)]


if __name__ == "__main__":
    tree.run(lambda top: check(top, sys.argv[2]))
