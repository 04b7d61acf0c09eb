"""What a row of docs/performance.md is made of: numbers, their spread, a bar, and whether it holds."""

import dataclasses
import os
import statistics
import subprocess
import time


class CouldNotRun(Exception):
    """A row that gives no number. Never the same as one whose number is bad."""


@dataclasses.dataclass(frozen=True)
class Result:
    what: str
    bar: str
    measured: str
    reference: str
    judged: str  # what the bar is held against: a ratio, or the measurement itself
    holds: bool
    runs: int
    note: str = ""


def spread(values, unit=""):
    """The median, and in brackets the least and the most."""
    unit = " " + unit if unit else ""
    middle, least, most = statistics.median(values), min(values), max(values)
    digits = 0 if least >= 100 else 1 if least >= 10 else 2 if least >= 0.1 else 3
    return f"{middle:,.{digits}f}{unit} ({least:,.{digits}f} … {most:,.{digits}f})"


def within(value, at_most, at_least):
    return (at_most is None or value <= at_most) and (at_least is None or value >= at_least)


def bar_of(at_most, at_least, unit):
    return f"at most {at_most:g}{unit}" if at_least is None else f"at least {at_least:g}{unit}"


def compared(what, ours, reference, name, unit, at_most=None, at_least=None, note=""):
    """Ours beside a reference, pair by pair, as they were measured in turn."""
    ratios = [mine / theirs for mine, theirs in zip(ours, reference, strict=True)]
    return Result(
        what, bar_of(at_most, at_least, " of it"), spread(ours, unit),
        f"{name}: {spread(reference, unit)}", spread(ratios) + " of it",
        within(statistics.median(ratios), at_most, at_least), len(ratios), note)


def absolute(what, values, unit, at_most, note=""):
    return Result(what, bar_of(at_most, None, " " + unit), spread(values, unit), "none",
                  spread(values, unit), within(statistics.median(values), at_most, None),
                  len(values), note)


def nearly_all(values):
    """What 95 of 100 stay within."""
    return sorted(values)[max(0, -(-len(values) * 95 // 100) - 1)]


def at_p95(what, values, unit, at_most, note=""):
    """Held against what 95 of 100 stay within, not against the median."""
    late = nearly_all(values)
    return Result(
        what, bar_of(at_most, None, f" {unit} at p95"), spread(values, unit), "none",
        f"{late:,.1f} {unit} at p95", within(late, at_most, None), len(values), note)


def in_turn(pairs, ours, reference):
    """Two lists of what the two functions return, called in turn, each first every other time."""
    mine, theirs = [], []
    for pair in range(pairs):
        calls = [(ours, mine), (reference, theirs)]
        for call, results in calls if pair % 2 == 0 else reversed(calls):
            results.append(call())
    return mine, theirs


@dataclasses.dataclass(frozen=True)
class Took:
    seconds: float
    processor_seconds: float  # of the program and all that it started


def time_of(*commands):
    """From the start of one program, or of several side by side, to the end of the last; their output is
    thrown away."""
    start = time.monotonic()
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                 for command in commands]
    processor_seconds, failure = 0, None
    for process, command in zip(processes, commands, strict=True):
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        processor_seconds += usage.ru_utime + usage.ru_stime
        if process.returncode != 0:
            failure = f"{command[0]}: {said.decode(errors='replace').strip()}"
    if failure is not None:
        raise CouldNotRun(failure)
    return Took(time.monotonic() - start, processor_seconds)


def seconds_of(command):
    return time_of(command).seconds


def wait_until(condition, seconds, what, every=0.02):
    """What the condition returned, once it is true."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise CouldNotRun(f"{what} did not happen within {seconds} seconds")
        time.sleep(every)
