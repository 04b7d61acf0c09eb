"""Which room sees which: tests/tidy/rooms.txt, and what no room may do at all."""

import os
import re

import tree

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.MULTILINE)
OS_CONDITION = re.compile(
    r"^\s*#\s*(?:el)?if.*(__linux__|__APPLE__|_WIN32|_WIN64|_MSC_VER|__unix__|__FreeBSD__)",
    re.MULTILINE,
)
FIND_PACKAGE = re.compile(r"^\s*(find_package|pkg_check_modules)\s*\(", re.MULTILINE)
CLOCK_NOW = re.compile(r"\b(?:system|steady|high_resolution)_clock::now\b")

# Libraries whose headers cost seconds a file; a header that includes one passes the cost on.
HEAVY = ("boost", "grpc", "grpcpp", "google/protobuf", "openssl", "sqlite3", "spdlog", "yaml-cpp", "nlohmann")
# Light parts of these that are made for headers.
LIGHT = ("nlohmann/json_fwd.hpp", "openssl/types.h", "grpc/grpc_security_constants.h")
# Rooms that are handed bytes, time and chance, and reach for none of them.
PURE = ("policy/", "agent/formats/")
IMPURE_HEADERS = re.compile(
    r"^(thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|fstream|iostream|"
    r"filesystem|ctime|time\.h|unistd\.h|fcntl\.h|dirent\.h|netdb\.h|poll\.h|pthread\.h|spawn\.h|"
    r"(sys|net|netinet|arpa|linux)/.*)$"
)
# The rooms that own a library may show it in a header, because only they include that header: gRPC's
# reactors are made of generated classes.
ADAPTER_ROOMS = {
    "grpc": ("agent/sync/grpc", "server/rpc"),
    "grpcpp": ("agent/sync/grpc", "server/rpc", "server/ctl"),
    "openssl": ("third_party/openssl",),
    "boost": ("third_party/asio",),
    "sqlite3": ("third_party/sqlite",),
    "spdlog": ("third_party/spdlog",),
}
# The only places that may ask the machine for the time: they meet other processes, which no simulator
# drives. All others have a base::Clock and a base::Loop.
CLOCK_FOLDERS = ("agent/cage/", "agent/ctl/", "agent/os/", "agent/sync/grpc/", "server/ctl/", "server/rpc/",
                 "third_party/")


def read_table(text):
    """{folder: (rooms, libraries)}."""
    table = {}
    for line in text.splitlines():
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        folder, _, allowed = line.partition(":")
        words = allowed.split()
        rooms = {word for word in words if not word.startswith("<")}
        libraries = {word.strip("<>") for word in words if word.startswith("<")}
        table[folder.strip()] = (rooms, libraries)
    return table


def room_of(table, path):
    """The longest listed folder that the path lies in."""
    folder = os.path.dirname(path)
    while folder and folder not in table:
        folder = os.path.dirname(folder)
    return folder


def library_of(include):
    """The known library that an angle-bracket include belongs to, or None for the system's headers."""
    for library in HEAVY + ("tl", "seccomp", "benchmark", "gtest", "gmock"):
        if include == library + ".h" or include.startswith(library + "/"):
            return library
    return None


def allowed_library(libraries, include):
    """<boost> allows all of Boost, <boost/program_options> only that part."""
    return any(
        include == library + ".h" or include.startswith((library + "/", library + "."))
        for library in libraries
    )


def check_include(table, path, room, quote, include):
    rooms, libraries = table[room]
    if quote == "<" and not include.endswith(".pb.h"):
        library = library_of(include)
        if library and not allowed_library(libraries, include):
            yield f"{path}: {room} may not include <{include}> (tests/tidy/rooms.txt)"
        if library in HEAVY and path.endswith(".h") and include not in LIGHT:
            if room not in ADAPTER_ROOMS.get(library, ()):
                yield f"{path}: a header may not include the heavy <{include}>"
        if path.startswith(PURE) and IMPURE_HEADERS.match(include):
            yield f"{path}: {room} does no input or output and has no threads: <{include}>"
        return
    if include.endswith(".pb.h"):
        target = "proto_grpc" if include.endswith(".grpc.pb.h") else "proto"
        if path.endswith(".h") and room not in ADAPTER_ROOMS["grpcpp"]:
            yield f"{path}: a header may not include generated code: {include}"
    else:
        target = room_of(table, include)
        if not target:
            yield f'{path}: "{include}" is no path from the root to a room in tests/tidy/rooms.txt'
            return
    if target != room and target not in rooms:
        yield f"{path}: {room} may not include {target} ({include})"


def check_table(table):
    for room, (rooms, _) in table.items():
        for other in rooms:
            if other not in table and other not in ("proto", "proto_grpc"):
                yield f"tests/tidy/rooms.txt: {room} may see {other}, which is no room"
            if {room.split("/")[0], other.split("/")[0]} == {"agent", "server"}:
                yield f"tests/tidy/rooms.txt: {room} sees {other}: agent and server never see each other"


def check(top):
    table = read_table(tree.read(top, "tests/tidy/rooms.txt"))
    problems = list(check_table(table))
    for path in tree.files(top, tree.SOURCE_FOLDERS, tree.CPP):
        text = tree.read(top, path)
        room = room_of(table, path)
        if not room:
            problems.append(f"{path}: its folder is no room in tests/tidy/rooms.txt")
            continue
        for quote, include in INCLUDE.findall(text):
            problems += check_include(table, path, room, quote, include)
        if OS_CONDITION.search(text) and not path.startswith("agent/os/"):
            problems.append(f"{path}: only agent/os may ask for the operating system; use a suffix")
        if CLOCK_NOW.search(text) and not path.startswith(CLOCK_FOLDERS):
            problems.append(f"{path}: the time comes from base::Clock")
    for path in tree.files(top, tree.SOURCE_FOLDERS + ("tests",), ("CMakeLists.txt", ".cmake")):
        found = FIND_PACKAGE.search(tree.read(top, path))
        if found and path != "third_party/CMakeLists.txt":
            problems.append(f"{path}: {found.group(1)} belongs into third_party/CMakeLists.txt")
    return problems


if __name__ == "__main__":
    tree.run(check)
