"""The checks of this folder, each on a tree that is bad in one way: a check that can't fail is none."""

import json
import os
import shutil
import tempfile
import unittest

import build_membership
import checkout_rules
import format_rules
import include_rules
import text_rules
import tree

ROOMS = """
policy/base:      <tl>
agent/formats:    policy/base
agent/os:         policy/base
agent/journal:    policy/base proto <boost>
agent/sync/grpc:  policy/base proto proto_grpc <grpcpp>
server/store:     policy/base
"""


class BadTree(unittest.TestCase):
    def setUp(self):
        self.top = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.top)
        for folder in tree.SOURCE_FOLDERS + ("tests",):
            os.makedirs(os.path.join(self.top, folder))
        self.write("tests/tidy/rooms.txt", ROOMS)

    def write(self, path, text):
        path = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def assert_found(self, problems, *words):
        """There is exactly one problem, and it names all of these."""
        self.assertEqual(len(problems), 1, problems)
        for word in words:
            self.assertIn(word, problems[0])


class IncludeRules(BadTree):
    def check(self):
        return include_rules.check(self.top)

    def header(self, path, *lines):
        self.write(path, "#pragma once\n" + "".join(line + "\n" for line in lines))

    def test_accepts_what_the_table_allows(self):
        self.header("policy/base/a.h", "#include <vector>", "#include <tl/expected.hpp>")
        self.write("agent/journal/a.cc",
                   '#include <thread>\n#include <boost/asio.hpp>\n#include "policy/base/a.h"\n'
                   '#include "agent/journal/b.h"\n#include "weighmaster/v1/event.pb.h"\n')
        self.write("agent/os/a.cc", "#ifdef __linux__\n#endif\n")
        self.assertEqual(self.check(), [])

    def test_finds_an_arrow_that_the_table_lacks(self):
        self.write("agent/formats/a.cc", '#include "agent/journal/a.h"\n')
        self.assert_found(self.check(), "agent/formats/a.cc", "agent/journal")

    def test_finds_an_arrow_against_the_current(self):
        self.write("policy/base/a.cc", '#include "agent/os/a.h"\n')
        self.assert_found(self.check(), "policy/base/a.cc", "agent/os")

    def test_finds_a_table_that_joins_agent_and_server(self):
        self.write("tests/tidy/rooms.txt", ROOMS.replace("server/store:", "server/store: agent/os"))
        self.assert_found(self.check(), "never see each other")

    def test_finds_a_room_in_the_table_that_is_none(self):
        self.write("tests/tidy/rooms.txt", ROOMS + "agent/x: agent/nowhere\n")
        self.assert_found(self.check(), "agent/nowhere")

    def test_finds_a_folder_that_is_no_room(self):
        self.write("agent/new/a.cc", "")
        self.assert_found(self.check(), "agent/new/a.cc", "no room")

    def test_finds_a_path_that_does_not_begin_at_the_root(self):
        self.write("agent/os/a.cc", '#include "a.h"\n')
        self.assert_found(self.check(), "no path from the root")

    def test_finds_a_library_that_the_room_may_not_use(self):
        self.write("server/store/a.cc", "#include <sqlite3.h>\n")
        self.assert_found(self.check(), "server/store", "sqlite3")

    def test_finds_a_heavy_header_in_a_header(self):
        self.header("agent/journal/a.h", "#include <boost/asio.hpp>")
        self.assert_found(self.check(), "heavy", "boost/asio.hpp")

    def test_finds_generated_code_in_a_header(self):
        self.header("agent/journal/a.h", '#include "weighmaster/v1/event.pb.h"')
        self.assert_found(self.check(), "generated code")

    def test_allows_generated_services_only_where_they_are_served(self):
        self.header("agent/sync/grpc/a.h", '#include "weighmaster/v1/sync.grpc.pb.h"')
        self.write("agent/journal/a.cc", '#include "weighmaster/v1/sync.grpc.pb.h"\n')
        self.assert_found(self.check(), "agent/journal/a.cc", "proto_grpc")

    def test_finds_input_output_and_threads_in_pure_rooms(self):
        for header in ("thread", "fstream", "sys/socket.h", "unistd.h"):
            for room in ("policy/base", "agent/formats"):
                with self.subTest(header=header, room=room):
                    self.write(f"{room}/a.cc", f"#include <{header}>\n")
                    self.assert_found(self.check(), room, header)
                    os.remove(os.path.join(self.top, room, "a.cc"))

    def test_finds_a_clock_that_was_not_passed_in(self):
        self.write("agent/journal/a.cc", "auto t = std::chrono::steady_clock::now();\n")
        self.assert_found(self.check(), "base::Clock")

    def test_finds_a_condition_on_the_operating_system(self):
        self.write("agent/journal/a.cc", "#if defined(__linux__)\n#endif\n")
        self.assert_found(self.check(), "operating system")

    def test_finds_a_second_find_package(self):
        self.write("third_party/CMakeLists.txt", "find_package(Boost)\n")
        self.write("agent/CMakeLists.txt", "  find_package(Boost)\n")
        self.assert_found(self.check(), "agent/CMakeLists.txt", "find_package")


class BuildMembership(BadTree):
    def setUp(self):
        super().setUp()
        self.build = os.path.join(self.top, "build/dev")
        self.compiles("agent/os/a.cc")
        self.write("agent/os/a.cc", "")
        self.write("proto/CMakeLists.txt", "library(weighmaster/v1/a.proto)\n# weighmaster/v1/b.proto\n")
        self.write("proto/weighmaster/v1/a.proto", "")
        for room in include_rules.read_table(ROOMS):
            self.makes_room(room, build_membership.room_name(room))

    def makes_room(self, folder, name):
        self.write(f"{folder}/CMakeLists.txt", f"weighmaster_room(\n  {name} SOURCES a.cc)\n")

    def registers(self, command):
        """As CMake leaves it for ctest."""
        self.write("build/dev/CTestTestfile.cmake", f"add_test(name {command})\n")

    def compiles(self, *paths):
        commands = [
            {"directory": self.build, "file": os.path.join(self.top, path)} for path in paths]
        self.write("build/dev/compile_commands.json", json.dumps(commands))

    def check(self):
        return build_membership.check(self.top, self.build)

    def test_accepts_what_is_built(self):
        self.assertEqual(self.check(), [])

    def test_finds_a_source_that_nothing_compiles(self):
        self.write("agent/os/b.cc", "")
        self.assert_found(self.check(), "agent/os/b.cc")

    def test_finds_a_test_that_nothing_compiles(self):
        self.write("tests/agent/os/a_test.cc", "")
        self.assert_found(self.check(), "tests/agent/os/a_test.cc", "no target")

    def test_finds_a_test_of_nothing(self):
        self.write("tests/agent/gone/a_test.cc", "")
        self.compiles("agent/os/a.cc", "tests/agent/gone/a_test.cc")
        self.assert_found(self.check(), "agent/gone")

    def test_leaves_whole_system_tests_alone(self):
        self.write("tests/sim/a_test.cc", "")
        self.compiles("agent/os/a.cc", "tests/sim/a_test.cc")
        self.assertEqual(self.check(), [])

    def test_finds_a_script_that_ctest_does_not_run(self):
        script = os.path.join(self.top, "tests/e2e/a_test.py")
        self.write("tests/e2e/a_test.py", "")
        self.assert_found(self.check(), "tests/e2e/a_test.py", "no test of ctest")
        self.registers(f'"python3" "-B" "{script}"')
        self.assertEqual(self.check(), [])
        # Neither the name alone nor one that begins like it is this test.
        for other in ("a_test.py", script + ".old", script.replace("e2e", "sim")):
            self.registers(f'"python3" "{other}"')
            self.assert_found(self.check(), "tests/e2e/a_test.py")

    def test_finds_a_room_that_the_table_lacks(self):
        self.makes_room("agent/new", "agent_new")
        self.assert_found(self.check(), "agent/new", "agent_new", "rooms.txt does not have")

    def test_finds_a_room_that_nothing_makes(self):
        for text in ("", "# weighmaster_room(agent_os)\n"):
            with self.subTest(text):
                self.write("agent/os/CMakeLists.txt", text)
                self.assert_found(self.check(), "agent/os is a room that no CMakeLists.txt makes")

    def test_finds_a_room_that_is_not_there(self):
        self.write("tests/tidy/rooms.txt", ROOMS + "agent/gone:\n")
        self.assert_found(self.check(), "agent/gone is a room that no CMakeLists.txt makes")

    def test_accepts_a_room_of_headers_without_a_library(self):
        os.remove(os.path.join(self.top, "agent/formats/CMakeLists.txt"))
        self.write("agent/formats/a.h", "")
        self.assertEqual(self.check(), [])

    def test_finds_a_room_with_another_name(self):
        self.makes_room("agent/os", "agent_machine")
        self.assert_found(self.check(), "agent/os", "agent_os, not agent_machine")

    def test_knows_what_rooms_are_called(self):
        for folder, name in (("agent/sync/grpc", "agent_sync_grpc"), ("policy/base", "base"),
                             ("proto/wire", "wire"), ("third_party/posix", "posix"),
                             ("third_party/spdlog", "logging")):
            self.assertEqual(build_membership.room_name(folder), name)

    def test_finds_messages_that_are_not_listed(self):
        self.write("proto/weighmaster/v1/b.proto", "")
        self.assert_found(self.check(), "b.proto")


class CheckoutRules(BadTree):
    def setUp(self):
        super().setUp()
        for folder in ("docs", "packaging", "third_party/cmake", "third_party/asio"):
            os.makedirs(os.path.join(self.top, folder))
        for name in ("CMakeLists.txt", "CMakePresets.json", "README.md", "third_party/asio/README.md"):
            self.write(name, "")
        self.write(".gitignore", "/build/\ncompile_commands.json\n")
        shutil.copy(os.path.join(tree.root(), "LICENSE"), self.top)

    def check(self):
        return checkout_rules.check(self.top)

    def test_accepts_what_belongs_there(self):
        self.write(".clang-format", "")
        self.write("build/dev/a", "")
        self.write("compile_commands.json", "")
        self.write("third_party/CMakeLists.txt", "")
        self.assertEqual(self.check(), [])

    def test_finds_what_does_not_belong_there(self):
        for name in ("notes.txt", "tools/a.py", "core", "License"):
            with self.subTest(name):
                self.write(name, "")
                top = name.split("/")[0]
                self.assert_found(self.check(), f"{top}: the top of the checkout is for")
                os.rename(os.path.join(self.top, top), os.path.join(self.top, "." + top))

    def test_finds_what_is_missing(self):
        os.remove(os.path.join(self.top, "README.md"))
        self.assert_found(self.check(), "README.md: is missing")

    def test_finds_another_license(self):
        with open(os.path.join(self.top, "LICENSE"), "a", encoding="utf-8") as file:
            file.write("Except on Sundays.\n")
        self.assert_found(self.check(), "LICENSE", "Apache License 2.0")

    def test_finds_a_third_party_without_a_word(self):
        self.write("third_party/zlib/zlib.h", "")
        self.assert_found(self.check(), "third_party/zlib", "README.md")


class TextRules(BadTree):
    def check_file(self, path, text):
        self.write(path, text)
        return text_rules.check(self.top)

    def test_accepts_plain_files(self):
        self.assertEqual(self.check_file("agent/a.h", "// What it is.\n\n#pragma once\n"), [])

    def test_finds_each_fault_of_a_text(self):
        for text, word in (
            ("int a;", "no end"),
            ("int a;\n\n", "empty lines"),
            ("\tint a;\n", "a tab"),
            ("int a; \n", "space"),
            ("int a;\r\n", "space"),
            ("// TO" + "DO: later\n", "unfinished"),
            ("// " + "x" * 98 + "\n", "101 columns"),
        ):
            with self.subTest(word=word, text=text[:12]):
                self.assert_found(self.check_file("agent/a.cc", text), "agent/a.cc", word)

    def test_counts_columns_of_code_only(self):
        self.assertEqual(self.check_file("docs/a.md", "x" * 200 + "\n"), [])

    def test_finds_a_header_that_can_be_read_twice(self):
        self.assert_found(self.check_file("agent/a.h", "int a;\n"), "#pragma once")

    def test_finds_a_room_that_is_too_large(self):
        for i in range(text_rules.MAX_PAIRS):
            self.write(f"agent/a{i}.cc", "")
            self.write(f"agent/a{i}_linux.cc", "")
        self.assertEqual(text_rules.check(self.top), [])
        self.assert_found(self.check_file("agent/one_more.cc", ""), "split it")

    def test_finds_a_file_that_is_not_utf8(self):
        with open(os.path.join(self.top, "agent/a.cc"), "wb") as file:
            file.write(b"\xff\n")
        self.assert_found(text_rules.check(self.top), "not UTF-8")


class FormatRules(BadTree):
    def setUp(self):
        super().setUp()
        self.write(".clang-format", "BasedOnStyle: Google\n")

    def test_accepts_what_clang_format_wrote(self):
        self.write("agent/a.cc", "int main() { return 0; }\n")
        self.assertEqual(format_rules.check(self.top), [])

    def test_finds_what_it_would_change(self):
        self.write("agent/a.cc", "int  main( ) {return 0;}\n")
        self.assert_found(format_rules.check(self.top), "agent/a.cc")

    def test_finds_that_it_looked_at_nothing(self):
        self.assert_found(format_rules.check(self.top), "no C++ file")


if __name__ == "__main__":
    unittest.main()
