"""`cmake --install` into a folder, and what works there."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ["WEIGHMASTER_BUILD"]
PROGRAMS = ("weighctl", "weighmaster", "weighmaster-agent", "weighmaster-server")


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.top = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.top)
        cls.prefix = os.path.join(cls.top, "prefix")
        subprocess.run(["cmake", "--install", BUILD, "--prefix", cls.prefix], check=True, timeout=100,
                       stdout=subprocess.DEVNULL)

    def path(self, *names):
        return os.path.join(self.prefix, *names)

    def run_there(self, *words):
        """With the installed programs and manuals alone before those of the machine."""
        environment = {"PATH": f"{self.path('bin')}:{os.environ['PATH']}", "MANPATH": self.path("share", "man"),
                       "HOME": self.top, "LC_ALL": "C.UTF-8"}
        done = subprocess.run(words, env=environment, cwd=self.top, capture_output=True, timeout=60,
                              encoding="utf-8", check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr), words)
        return done.stdout

    def test_the_programs_run_and_have_the_version_of_their_manuals(self):
        for name in PROGRAMS:
            with self.subTest(name):
                version = self.run_there(name, "--version").strip().removeprefix(name + " ")
                self.assertIn(f"Weighmaster {version} ", self.run_there("man", name).splitlines()[-1])

    def test_man_and_mandoc_show_the_installed_pages(self):
        for section, name in (("1", "weighctl"), ("1", "weighmaster"), ("8", "weighmaster-agent"),
                              ("5", "weighmaster-agent.yaml"), ("8", "weighmaster-server")):
            with self.subTest(name):
                self.assertIn(f"{name} - ", self.run_there("man", section, name))
                self.assertIn(f"{name} - ", self.run_there(
                    "mandoc", "-T", "utf8", "-O", "width=78", self.path("share", "man", f"man{section}", f"{name}.{section}"))
                    .replace("_\b", ""))

    def test_scan_finds_the_cage_and_takes_an_installed_policy(self):
        models = os.path.join(self.top, "models")
        subprocess.run([sys.executable, os.path.join(CHECKOUT, "packaging", "make-sample-models"), models], check=True,
                       stdout=subprocess.DEVNULL)
        policy = self.path("share", "weighmaster", "starter", "observe.yaml")
        self.assertIn('"format":"gguf"', self.run_there("weighmaster", "scan", models, "--policy", policy, "--json"))
        self.run_there("weighctl", "policy", "test", policy)

    def test_the_completions_lie_where_their_shells_look(self):
        for shell, names in (("bash", ("bash-completion", "completions", "weighctl")),
                             ("zsh", ("zsh", "site-functions", "_weighctl")),
                             ("fish", ("fish", "vendor_completions.d", "weighctl.fish"))):
            with self.subTest(shell), open(self.path("share", *names), encoding="utf-8") as file:
                self.assertEqual(self.run_there("weighctl", "completion", shell), file.read())
        folder = self.path("share", "zsh", "site-functions")
        self.assertEqual("_weighctl\n", self.run_there(
            "zsh", "-fc", f"fpath=({folder} $fpath); autoload -U compinit; compinit -D; print $_comps[weighctl]"))

    def test_license_and_what_the_manuals_refer_to_are_there(self):
        for name in ("LICENSE", "SECURITY.md", os.path.join("formats", "policy-document.md")):
            self.assertTrue(os.path.isfile(self.path("share", "doc", "weighmaster", name)), name)


if __name__ == "__main__":
    unittest.main()
