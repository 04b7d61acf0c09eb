"""What lies at the top of the checkout, and whose work is in it."""

import hashlib
import os

import tree

ENTRIES = {"CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "agent", "docs", "packaging",
           "policy", "proto", "server", "tests", "third_party"}
# SHA-256 of https://www.apache.org/licenses/LICENSE-2.0.txt
APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
# Our own: there is nothing to say where it comes from.
OWN_FOLDERS = {"cmake"}


def ignored(top):
    """The names that .gitignore has. It holds no patterns."""
    return {line.strip("/") for line in tree.read(top, ".gitignore").splitlines()}


def check_top(top):
    found = {name for name in os.listdir(top) if not name.startswith(".")} - ignored(top)
    for name in sorted(found - ENTRIES):
        yield f"{name}: the top of the checkout is for {', '.join(sorted(ENTRIES))}"
    for name in sorted(ENTRIES - found):
        yield f"{name}: is missing"


def check_license(top):
    with open(os.path.join(top, "LICENSE"), "rb") as file:
        if hashlib.sha256(file.read()).hexdigest() != APACHE_2:
            yield "LICENSE: is not the Apache License 2.0, word by word"


def check_third_parties(top):
    for folder in sorted(os.scandir(os.path.join(top, "third_party")), key=lambda entry: entry.name):
        if not folder.is_dir() or folder.name in OWN_FOLDERS:
            continue
        if not os.path.isfile(os.path.join(folder.path, "README.md")):
            yield f"third_party/{folder.name}: a README.md says what it is, and under which license"


def check(top):
    return [*check_top(top), *check_license(top), *check_third_parties(top)]


if __name__ == "__main__":
    tree.run(check)
