"""The rows of the server, and of the way between many endpoints and it."""

import os
import statistics
import sys
import time

import files
import measure
import processes

FLEET = 1_000
IDLE = 1_000
# Connections that a server has had before its memory is first looked at.
WARM = 20
SETTLE_SECONDS = 3
CONNECT_SECONDS = 120


def policy_document(folder, number):
    """A policy that differs from the one before, so that its parts have to travel."""
    path = os.path.join(folder, f"policy-{number}.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"policy: benchmark-{number}\n"
                   "rules:\n"
                   f"  - {{id: rule-{number}, when: {{name: {{contains: \"model {number}\"}}}}, "
                   f"then: warn, message: \"Model {number} is not approved.\"}}\n"
                   "default: {then: allow}\n")
    return path


def open_server(bench, name, endpoints):
    folder = bench.on_disk(name)
    server = processes.Server(bench.bin, folder)
    processes.all_lines([bench.program, "enrol", server.fleet, str(endpoints)])
    return server


def policy(bench):
    server = open_server(bench, "policy", FLEET)
    state = bench.in_memory("agents")
    server.start()
    agents = processes.Lines([bench.program, "agents", server.fleet, state, str(FLEET)])
    half, nearly_all = [], []
    in_force = "SELECT count(*) FROM endpoints WHERE policy_version = ?"
    try:
        agents.next(CONNECT_SECONDS)
        time.sleep(SETTLE_SECONDS)
        for number in range(1, bench.pairs + 1):
            bundle = server.sign(policy_document(server.folder, number))
            start = time.monotonic()
            server.publish(bundle)
            late = [at - start for at in agents.next(60)["in_force_at"]]
            half.append(statistics.median(late))
            nearly_all.append(sorted(late)[len(late) * 99 // 100 - 1])
            # What a publication leaves to do (events sealed, stored, acknowledged) is not the next one's.
            measure.wait_until(lambda: server.ask_store(in_force, number) == (FLEET,), 60,
                               "the events of a publication", every=0.5)
            time.sleep(SETTLE_SECONDS)
    finally:
        agents.stop()
        server.stop()
    what = "policy published to in force on a connected endpoint"
    note = (f"{FLEET:,} endpoints in one process over mutual TLS, server on the same machine; from "
            f"the start of `weighctl policy publish`; the slowest endpoint of all publications: "
            f"{max(nearly_all):.2f} s at p99")
    return [measure.absolute(f"{what}, p50", half, "s", 1, note),
            measure.absolute(f"{what}, p99", nearly_all, "s", 5, note)]


def growth(pid, start_streams):
    """What each of IDLE connections adds to a process, in kB."""
    warm = start_streams(WARM)
    warm.next(CONNECT_SECONDS)
    warm.stop()
    time.sleep(1)
    before = processes.resident_bytes(pid)
    streams = start_streams(IDLE)
    try:
        streams.next(CONNECT_SECONDS)
        time.sleep(SETTLE_SECONDS)
        return (processes.resident_bytes(pid) - before) / IDLE / 1000
    finally:
        streams.stop()


def connections(bench):
    server = open_server(bench, "connections", IDLE)
    state = bench.in_memory("idle-agents")

    def start_agents(count):
        return processes.Lines([bench.program, "agents", server.fleet, state, str(count)])

    def ours():
        server.start()
        try:
            return growth(server.process.pid, start_agents)
        finally:
            server.stop()

    def bare():
        reference = processes.Lines([bench.program, "bare-server", server.fleet])
        try:
            address = f"127.0.0.1:{reference.next(10)['port']}"
            return growth(reference.process.pid, lambda count: processes.Lines(
                [bench.program, "streams", server.fleet, address, str(count)]))
        finally:
            reference.stop()

    # The agents' first connection brings their inventory; from the second on they are idle.
    server.start()
    first = start_agents(IDLE)
    first.next(CONNECT_SECONDS)
    time.sleep(SETTLE_SECONDS)
    first.stop()
    server.stop()
    mine, theirs = measure.in_turn(bench.pairs, ours, bare)
    return [measure.compared("server, per connected idle endpoint", mine, theirs,
                             "bare gRPC stream over mutual TLS", "kB", at_most=1.25,
                             note=f"growth of resident memory by {IDLE:,} connections; whole agents "
                                  "at the one, the same transport with nothing behind it at the "
                                  "other; a new server process each time")]


def ingest(bench):
    lines = processes.all_lines(
        [bench.program, "ingest", bench.disk, str(bench.pairs), str(bench.events)])

    def rates(kind):
        return [line["events"] / line[kind] / 1000 for line in lines]

    unit, first = "thousand events/s", lines[0]
    return [
        measure.compared(
            "ingest of signed events, SQLite, with verification", rates("ingest"), rates("bare"),
            "bare inserts of the same rows", unit, at_least=0.5,
            note=f"{first['events']:,} events a run in batches of 256, four events a model (seen, "
                 f"judged, hashed, judged), which make {first['rows']:,} rows; the reference inserts "
                 "these rows of all tables by prepared statements, in as many transactions"),
        measure.compared(
            f"the same into a store of {first['stored']:,} events", rates("late"), rates("ingest"),
            "into a new store", unit, at_least=0.5)]


def where(bench):
    lines = processes.all_lines([bench.program, "where", bench.in_memory("where"), str(3 * bench.pairs)])
    first = lines[0]
    return [measure.absolute(
        "where is this digest, over 1,000,000 sightings on 10,000 endpoints, first page, count and "
        "coverage", [line["seconds"] * 1000 for line in lines], "ms", 50,
        note=f"the worst digest: {first['total']:,} sightings on {first['endpoints']:,} endpoints; a "
             f"page of {first['rows']}; the first, coldest run took {first['seconds'] * 1000:.1f} ms")]


def lists(bench):
    """The slowest question of each list, by its own p95."""
    lines = processes.all_lines([bench.program, "lists", bench.disk, str(3 * bench.pairs)])
    asked = {}
    for line in lines:
        asked.setdefault(line["list"], {}).setdefault(line["question"], []).append(
            line["seconds"] * 1000)
    results = []
    for name, questions in asked.items():
        slowest = max(questions, key=lambda question: measure.nearly_all(questions[question]))
        others = ", ".join(f"{question} {measure.nearly_all(times):,.0f}"
                           for question, times in questions.items())
        bar = {"where": 50, "as_of": 500, "verdict_counts": 500}.get(name, 300)
        what = {"where": "where over the big store", "as_of": "what was there at a moment",
                "verdict_counts": "how many models had which verdict at a moment"}.get(
                    name, f"first page of {name}")
        results.append(measure.at_p95(
            what, questions[slowest], "ms", bar,
            note="10,000 endpoints, 1,200,000 sightings of which 1,000,000 are present, 5,000,000 events; "
                 f"the slowest of these questions, each by its p95 in ms: {others}"))
    return results


def simulate(bench):
    lines = processes.all_lines([bench.program, "simulate", bench.disk, str(bench.pairs)])
    first = lines[0]
    return [measure.absolute(
        "what an ordinary policy would change", [line["seconds"] for line in lines], "s", 5,
        note=f"{first['sightings']:,} sightings of the big store, each judged by the engine: seven rules "
             "over format, licence, size, path and risks, and a list of 100,000 digests; "
             f"{first['changed']:,} would change")]


def list_change(bench):
    """What the end-to-end test of this name counts, on the wire of an agent."""
    test = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e/list_change_test.py")
    os.environ["WEIGHMASTER_PROGRAMS"] = bench.bin
    lines = [processes.all_lines([sys.executable, test])[0] for _ in range(bench.pairs)]
    return [measure.absolute(
        "one digest changed in a list, from its publication until it is in force: bytes",
        [line["one_changed_bytes"] / 1024 for line in lines], "KiB", 64,
        note=f"of {lines[0]['digests']:,} digests; both directions of the agent's connection, TLS and the events "
             "that say so included; the list as a whole has "
             f"{lines[0]['digests'] * 32 / 2**20:.1f} MiB")]


def new_model(bench):
    folder = bench.on_disk("new-model")
    server = processes.Server(bench.bin, folder)
    models, aside = os.path.join(folder, "models"), os.path.join(folder, "aside")
    files.write_models(models, 5)
    os.makedirs(aside)
    server.start()
    agent = processes.Agent(server, os.path.join(folder, "agent"), [models], rescan_every="1s")
    # A first verdict may come before the digest; the one that counts comes after it.
    judged = ("SELECT 1 FROM sightings s JOIN verdicts v ON v.endpoint = s.endpoint AND "
              "v.path_sha256 = s.path_sha256 WHERE s.path = ? AND s.gone_us IS NULL AND "
              "s.artifact IS NOT NULL AND v.judged_us >= s.last_change_us")

    def stored(name):
        path = os.path.join(models, name).encode()
        return lambda: server.ask_store(judged, path)

    times = []
    try:
        server.publish(server.sign(policy_document(folder, 1)))
        measure.wait_until(stored("model-4.gguf"), 300, processes.INVENTORY)
        for number in range(bench.pairs):
            name = f"new-{number}.gguf"
            files.write_gguf(os.path.join(aside, name), 100 * 1000 * 1000 // 32 * 32, number)
            start = time.monotonic()
            os.rename(os.path.join(aside, name), os.path.join(models, name))
            measure.wait_until(stored(name), 60, "the verdict of a new model", every=0.01)
            times.append(time.monotonic() - start)
    finally:
        agent.stop()
        server.stop()
    return [measure.absolute("a new 100 MB model to a stored, judged event on the server", times,
                             "s", 3, note="agent and server as processes; the agent walks every "
                             "second, and the wait for its next walk is counted")]
