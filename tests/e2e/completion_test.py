"""What a shell completes after `source <(weighctl completion SHELL)`, asked of the real shells."""

import json
import os
import shutil
import subprocess
import unittest

import fleet

BASH = r"""
source <(weighctl completion bash)
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_weighctl weighctl "${COMP_WORDS[COMP_CWORD]}"
printf '%s\n' "${COMPREPLY[@]}"
"""
# The completion system itself wants a terminal; what it is told is what counts.
ZSH = r"""
compdef() { : }
_describe() { print -l -- "${(@)${(P)4}%%:*}" }
_files() { print -l -- ${words[CURRENT]}*(N) }
source <(weighctl completion zsh)
words=("$@")
CURRENT=$#words
_weighctl
"""
FISH = r"""
weighctl completion fish | source
complete -C "$argv"
"""


class Completion(fleet.EndToEnd):
    def setUp(self):
        super().setUp()
        profile = {"address": "a:1", "ca_pem": "", "token": "", "fleet_id": ""}
        self.profile = self.path("weighctl.json")
        with open(self.profile, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as out:
            json.dump({"in_use": "", "contexts": {"prod-eu": profile, "prod-us": profile}}, out)
        with open(self.path("policy one.yaml"), "w", encoding="utf-8") as out:
            out.write("policy: one\n")

    def run_shell(self, *words):
        if shutil.which(words[0]) is None:
            self.skipTest(f"{words[0]} is not installed")
        done = subprocess.run(
            words, cwd=self.folder, capture_output=True, timeout=fleet.COMMAND_TIMEOUT_S, check=False,
            env={**os.environ, "PATH": f"{fleet.PROGRAMS}:{os.environ['PATH']}", "HOME": self.folder,
                 "WEIGHCTL_PROFILE": self.profile})
        self.assertEqual((0, b""), (done.returncode, done.stderr), done)
        # Fish tells what a word is after a tab.
        return [line.partition("\t")[0] for line in done.stdout.decode().split("\n")[:-1]]

    def check(self, complete):
        """`complete` gives what the shell makes of the words."""
        self.assertEqual(["policy"], complete("weighctl", "poli"))
        self.assertIn("lint", complete("weighctl", "policy", ""))
        self.assertEqual(["--filter"], complete("weighctl", "endpoints", "--fil"))
        self.assertEqual(["prod-eu", "prod-us"], complete("weighctl", "context", "use", "prod"))
        self.assertEqual(["hostname"], complete("weighctl", "endpoints", "--filter", "hostn"))
        self.assertEqual(["policy_author"],
                         complete("weighctl", "admin-tokens", "create", "--role", "pol"))
        self.assertEqual(["risk_severity"], complete("weighctl", "policy", "fields", "risk_sev"))
        self.assertEqual(["policy one.yaml"],
                         [word.replace("\\ ", " ") for word in complete("weighctl", "policy", "lint", "pol")])

    def test_bash(self):
        self.assertEqual([], self.run_shell("bash", "-c", "bash -n <(weighctl completion bash)"))
        self.check(lambda *words: self.run_shell("bash", "--norc", "-c", BASH, "bash", *words))
        # Bash itself parts words at the sign.
        self.assertEqual(["json"], [word.lstrip("-") for word in self.run_shell(
            "bash", "--norc", "-c", BASH, "bash", "weighctl", "endpoints", "--order", "=", "hostname", "--js")])
        self.assertEqual(["hostname"], self.run_shell(
            "bash", "--norc", "-c", BASH, "bash", "weighctl", "endpoints", "--order", "=", "hostn"))

    def test_zsh(self):
        self.assertEqual([], self.run_shell("zsh", "-fc", "zsh -n <(weighctl completion zsh)"))
        self.check(lambda *words: self.run_shell("zsh", "-fc", ZSH, "zsh", *words))
        self.assertEqual(["--order=hostname"], self.run_shell(
            "zsh", "-fc", ZSH, "zsh", "weighctl", "endpoints", "--order=hostn"))

    def test_fish(self):
        self.check(lambda *words: self.run_shell("fish", "--no-config", "-c", FISH, " ".join(words)))
        self.assertEqual(["--order=hostname"], self.run_shell(
            "fish", "--no-config", "-c", FISH, "weighctl endpoints --order=hostn"))


if __name__ == "__main__":
    unittest.main()
