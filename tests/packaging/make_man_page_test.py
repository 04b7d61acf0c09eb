"""The manual pages of the build, and what packaging/make-man-page makes of Markdown."""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MARKDOWN = os.path.join(CHECKOUT, "docs", "man")
PAGES = os.path.join(os.environ["WEIGHMASTER_BUILD"], "share", "man")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(*words, **environment):
    return subprocess.run(words, env={**os.environ, **environment}, capture_output=True, timeout=60,
                          encoding="utf-8", check=False)


def make(markdown, out, **environment):
    return run(os.path.join(CHECKOUT, "packaging", "make-man-page"), markdown, out, "1.2.3", "2026-03-01",
               os.environ["LOWDOWN"], **environment)


class Pages(unittest.TestCase):
    def setUp(self):
        self.pages = sorted(glob.glob(os.path.join(PAGES, "*", "*")))
        self.assertGreater(len(self.pages), 4)

    def test_each_manual_of_the_checkout_is_made_in_its_section(self):
        made = {os.path.relpath(path, PAGES) for path in self.pages}
        names = [name.removesuffix(".md") for name in os.listdir(MARKDOWN)]
        self.assertEqual({f"man{name[-1]}/{name}" for name in names}, made)

    def test_mandoc_and_man_show_them_without_a_warning(self):
        for path in self.pages:
            with self.subTest(path):
                self.assertEqual("", run("mandoc", "-T", "lint", "-W", "warning", path).stdout)
                done = run("man", "--warnings=w", "--local-file", path, MANWIDTH="80", LC_ALL="C.UTF-8")
                self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_they_have_the_sections_that_readers_look_for(self):
        for path in self.pages:
            with self.subTest(path):
                headings = re.findall(r"^\.SH (.*)$", read(path), re.MULTILINE)
                self.assertEqual(["NAME", "SYNOPSIS", "DESCRIPTION"], headings[:3])
                self.assertEqual("SEE ALSO", headings[-1])
                # A file does not exit.
                self.assertEqual(not path.endswith(".5"), "EXIT STATUS" in headings)

    def test_apropos_knows_each_by_its_name_and_what_it_is_for(self):
        for path in self.pages:
            name = os.path.basename(path)
            said = read(os.path.join(MARKDOWN, name + ".md")).partition("\n## Name\n\n")[2].partition("\n")[0]
            with self.subTest(path):
                self.assertTrue(said.startswith(name[:-2] + " - "), said)
                self.assertEqual(f'{path}: "{said}"\n', run("lexgrog", path).stdout)


class MakeManPage(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def make(self, *lines, **environment):
        markdown = os.path.join(self.folder, "page.md")
        out = os.path.join(self.folder, "page")
        with open(markdown, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        done = make(markdown, out, **environment)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertEqual("", run("mandoc", "-T", "lint", "-W", "warning", out).stdout)
        return read(out)

    def test_the_title_has_name_and_section_date_and_version(self):
        self.assertIn('.TH "weigh-it" "8" "2026-03-01" "Weighmaster 1.2.3" "Weighmaster"\n.SH NAME\nweigh-it \\- weighs\n',
                      self.make("# weigh-it(8)", "", "## Name", "", "weigh-it - weighs"))

    def test_a_page_without_a_title_is_not_made(self):
        markdown = os.path.join(self.folder, "page.md")
        out = os.path.join(self.folder, "page")
        for first in ("", "## Name\n", "# weigh it\n", "# weigh-it\n"):
            with open(markdown, "w", encoding="utf-8") as file:
                file.write(first + "\nweigh-it - weighs\n")
            done = make(markdown, out)
            self.assertEqual(1, done.returncode)
            self.assertTrue(done.stderr.startswith(f"{markdown}:1: "), done.stderr)
            self.assertFalse(os.path.exists(out))

    def test_what_is_typed_is_bold_and_keeps_its_signs(self):
        page = self.make("# a(1)", "", "## Text", "", "Say `ls --all '~'` or (`--all`), well-known.", "", "    ls '--all'")
        self.assertIn(r"Say \%\fBls \%\-\-all \%\(aq\(ti\(aq\fR or \%(\fB\-\-all\fR), well-known.", page)
        self.assertIn(".EX\nls \\(aq\\-\\-all\\(aq\n.EE\n", page)

    def test_a_line_of_the_synopsis_goes_on_below_its_arguments(self):
        page = self.make("# a(1)", "", "## Synopsis", "", "    a set-up FILE [--into FOLDER] --key FILE", "    a list")
        self.assertIn('.SH SYNOPSIS\n.SY "a set\\-up"\nFILE [\\-\\-into\\ FOLDER] \\-\\-key\\ FILE\n.SY "a list"\n.YS\n', page)

    def test_a_term_stands_beside_its_explanation(self):
        page = self.make("# a(1)", "", "## Options", "", "`--all`", ": everything,", "really.", "", "`--none`", ": nothing.")
        self.assertIn(".SH OPTIONS\n.TP\n\\%\\fB\\-\\-all\\fR\neverything,\nreally.\n.TP\n\\%\\fB\\-\\-none\\fR\nnothing.\n",
                      page)

    def test_the_last_column_of_a_table_takes_what_the_others_leave(self):
        page = self.make("# a(1)", "", "## Keys", "", "| key | meaning |", "| --- | --- |", "| `one` | the first |")
        self.assertIn("nokeep tab(|);\nlb lb\nl lx.\nT{\nkey\nT}|T{\nmeaning\nT}\n\\%\\fBone\\fR|T{\nthe first\nT}\n.TE\n", page)

    def test_the_same_page_comes_out_in_any_locale_and_time_zone(self):
        lines = ("# a(1)", "", "## Name", "", "a - weighs…", "", "## Text", "", "† `PATH…`")
        self.assertEqual(self.make(*lines, LC_ALL="C", TZ="UTC"),
                         self.make(*lines, LC_ALL="C.UTF-8", TZ="Pacific/Auckland"))


if __name__ == "__main__":
    unittest.main()
