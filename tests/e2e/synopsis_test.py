"""The synopses of the manuals and those that the programs print: every command and every option, both ways. And
the keys of the settings file.
"""

import os
import re
import unittest

import fleet

TOKEN = re.compile(r"[\[\]()]|[^\s\[\]()]+")
WORD = re.compile(r"[a-z][a-z-]*")
LISTED = re.compile(r"^  (--[a-z0-9-]+)(?: (\S+))?  ", re.MULTILINE)


def page(name):
    with open(os.path.join(fleet.CHECKOUT, "docs", "man", name + ".md"), encoding="utf-8") as file:
        return file.read()


def section(text, heading):
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def help_of(*words):
    return fleet.run([*words, "--help"]).stdout.decode()


class Synopsis:
    """What one line allows: "weighctl policy sign (FILE [--cosign] | --again N) --key FILE"."""

    def __init__(self, line):
        tokens = TOKEN.findall(line)
        name = []
        while tokens and WORD.fullmatch(tokens[0]):
            name.append(tokens.pop(0))
        self.names = [" ".join(name)]
        # "finding (acknowledge | dismiss) FINDING" is two commands.
        end = tokens.index(")") if tokens[:1] == ["("] else 0
        choices = [token for token in tokens[1:end] if token != "|"]
        if choices and all(WORD.fullmatch(choice) for choice in choices):
            self.names = [" ".join([*name, choice]) for choice in choices]
            tokens = tokens[end + 1:]
        self.options = {}  # its value, and whether it has to be there
        self.arguments = []
        # Which ones can hang on an option: "(BEFORE | --version N) AFTER" is [AFTER] for the program.
        self.needed_arguments = 0
        self.read(tokens)

    def read(self, tokens):
        open_brackets = []
        while tokens:
            token = tokens.pop(0)
            if token in "[(":
                open_brackets.append(token == "[" or "|" in tokens[:tokens.index(")")])
            elif token in "])":
                open_brackets.pop()
            elif token.startswith("--"):
                self.options[token] = (self.value(tokens), not any(open_brackets))
            elif token != "|":
                self.arguments.append(token)
                self.needed_arguments += not any(open_brackets)

    @staticmethod
    def value(tokens):
        """Takes the value of an option off the tokens after it; one that may be missing is "[TIME]"."""
        if tokens[:1] == ["["] and not tokens[1].startswith("--"):
            taken, tokens[:3] = tokens[:3], []
            return "".join(taken)
        is_flag = not tokens or tokens[0] in list("[]()|") or tokens[0].startswith("--")
        return "" if is_flag else tokens.pop(0)

    def meaning(self):
        return self.options, self.arguments, self.needed_arguments


def commands_of(synopses):
    return {name: synopsis.meaning() for synopsis in synopses for name in synopsis.names}


def of_page(text):
    """The commands of a manual. Its synopsis may be shorter by words that the next paragraph explains."""
    text = section(text, "Synopsis")
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    short = dict(re.findall(r"`([A-Z]+)` is `([^`]+)`", text))
    everywhere = [Synopsis(words).options for words in re.findall(r"Every command takes `([^`]+)`", text)]
    synopses = []
    for line in lines:
        while found := [name for name in short if f"[{name}]" in line]:
            line = line.replace(f"[{found[0]}]", short[found[0]])
        synopses.append(Synopsis(line))
        for options in everywhere:
            synopses[-1].options |= {name: (value, False) for name, (value, _) in options.items()}
    return commands_of(synopses)


def usage_of(text):
    """What stands behind "Usage: ", with lines that go on put together."""
    usage = text.removeprefix("Usage: ").partition("\n\n")[0]
    return [" ".join(line.split()) for line in re.split(r"\n {7}(?! )", usage)]


def of_weighctl():
    """The commands of its table, each as its own --help has it."""
    commands = re.findall(r"^  (\S+(?: \S+)*)  ", help_of("weighctl").partition("\nCommands:\n")[2], re.MULTILINE)
    synopses = []
    for command in commands:
        text = help_of("weighctl", *command.split())
        synopses += map(Synopsis, usage_of(text))
        for name, value in LISTED.findall(text):
            synopses[-1].options.setdefault(name, (value, False))
    return commands_of(synopses)


def options_of_page(text):
    """Those that have a term of their own below "Options"."""
    terms = re.findall(r"^(`--.*)\n: ", section(text, "Options"), re.MULTILINE)
    return {option for term in terms for option in re.findall("`(--[a-z0-9-]+)", term)}


class Synopses(fleet.EndToEnd):
    maxDiff = None

    def test_weighctl_has_the_commands_and_options_of_its_manual(self):
        said = of_page(page("weighctl.1"))
        self.assertGreater(len(said), 40)
        self.assertEqual(said, of_weighctl())

    def test_the_other_programs_have_the_commands_and_options_of_their_manuals(self):
        for name in ("weighmaster.1", "weighmaster-agent.8", "weighmaster-server.8"):
            with self.subTest(name):
                text = help_of(name[:-2])
                self.assertEqual(of_page(page(name)), commands_of(map(Synopsis, usage_of(text))))
                said = options_of_page(page(name))
                self.assertEqual(said, set(re.findall(r"--[a-z][a-z0-9-]+", text)) | {"--help"})

    def test_the_settings_have_the_keys_of_their_manual(self):
        settings = self.path("agent.yaml")
        with open(settings, "w", encoding="utf-8") as file:
            file.write("no_key: 1\nbudget: {no_key: 1}\nlog: {no_key: 1}\n")
        wrong = fleet.run(["weighmaster-agent", "--settings", settings, "--check-settings"]).stderr.decode()
        known = [hint.split(", ") for hint in re.findall(r"hint: known (?:settings|keys): (.*)", wrong)]
        self.assertEqual(3, len(known), wrong)
        tables = section(page("weighmaster-agent.yaml.5"), "Keys").split("\n| key")[1:]
        self.assertEqual([re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in tables], known)

    def test_one_command_or_option_more_or_less_is_a_difference(self):
        text = page("weighctl.1")
        said = of_page(text)
        for before, after in (("    weighctl whoami [FORM]\n", ""),
                              ("    weighctl whoami [FORM]\n", "    weighctl whoami [FORM]\n    weighctl whois\n"),
                              ("whoami [FORM]", "whoami"),
                              ("whoami [FORM]", "whoami [FORM] [--all]"),
                              ("whoami [FORM]", "whoami [NAME] [FORM]"),
                              ("[--json | --csv]", "[--json | --csv | --xml]"),
                              ("[--watch [TIME]]", "[--watch]"),
                              ("--token-file FILE [--json]\n", "[--token-file FILE] [--json]\n"),
                              ("--token-file FILE [--json]\n", "--token-file TOKEN [--json]\n"),
                              ("(acknowledge | dismiss |", "(acknowledge |"),
                              ("Every command takes `--context CONTEXT`", "")):
            with self.subTest(before=before, after=after):
                self.assertTrue(before in text, "the manual has no such text any more")
                self.assertNotEqual(said, of_page(text.replace(before, after, 1)))


if __name__ == "__main__":
    unittest.main()
