"""What all comparisons share: brokers started afresh for each workload and driven A B A B, medians, tables.

A comparison names its peers, hands a Comparison to main() and is done. The broker has one CPU to itself and the
generator the other, as far as there are two.
"""

import argparse
import dataclasses
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e", "support"))

import linnetd  # noqa: E402


@dataclasses.dataclass
class Comparison:
    rival: str  # as the report's title says it
    report: str  # the name of its files
    workloads: Sequence[str]
    # Of a started broker: the generator's options that lead to it.
    address: Callable[[object], Sequence[str]]
    start_errors: tuple = ()
    memory_each: bool = False  # the table says what a consumer took of memory


class Peer:
    """One broker under one name; started for a workload, driven in every round of it."""

    def __init__(self, name, make, generator_options=()):
        self.name = name
        self.make = make
        self.generator_options = generator_options
        self.reports = []
        self.error = None
        self.broker = None

    def start(self, errors):
        self.reports, self.error = [], None
        try:
            self.broker = self.make().start()
        except (linnetd.StartError, *errors) as e:
            self.error = str(e).splitlines()[0]

    def stop(self):
        if self.broker is not None:
            self.broker.stop()
            self.broker = None


def parser(doc, default_workloads):
    a = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--linnet", default=os.environ.get("LINNET", "linnet"),
                   help="the command line whose `bench` is the generator; may hold arguments")
    a.add_argument("--linnetd", default=os.environ.get("LINNETD"), type=os.path.abspath,  # it is started elsewhere
                   help="the daemon; without it the others are measured alone")
    a.add_argument("--only", nargs="*", default=[], metavar="WORKLOAD",
                   help="names from bench/workloads (default: " + " ".join(default_workloads) + ")")
    a.add_argument("--rounds", type=int, default=2)
    a.add_argument("--time", type=float, default=5, help="measured seconds a run")
    a.add_argument("--warmup", type=float, default=2)
    a.add_argument("--out", default=".", help="folder for the .json and .md of the report")
    a.add_argument("--raw", action="store_true", help="keep every run's whole report in the JSON")
    return a


def cpus():
    """For the broker and for the generator; None where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (str(usable[0]), str(usable[1])) if len(usable) > 1 else (None, None)


def bench_config():
    with open(os.path.join(ROOT, "config", "bench.toml"), encoding="utf-8") as f:
        return f.read()


def drive(args, comparison, workload, peer, generator_cpu):
    """One run of the generator; its JSON report."""
    with tempfile.TemporaryDirectory(prefix="linnet-compare-") as folder:
        path = os.path.join(folder, "report.json")
        command = shlex.split(args.linnet) + [
            "bench", "--workload", os.path.join(ROOT, "bench", "workloads", workload + ".toml"),
            *comparison.address(peer.broker), "--time", str(args.time), "--warmup", str(args.warmup), "--quiet",
            "--broker-pid", str(peer.broker.pid), "--json", path, *peer.generator_options]
        if generator_cpu is not None:
            command += ["--pin", generator_cpu]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=900, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"exit code {done.returncode}")
        with open(path, encoding="utf-8") as f:
            return json.load(f)


def run_workload(args, comparison, workload, all_peers, generator_cpu):
    for peer in all_peers:
        peer.start(comparison.start_errors)
    try:
        for round_number in range(args.rounds):
            for peer in (p for p in all_peers if p.error is None):
                try:
                    peer.reports.append(drive(args, comparison, workload, peer, generator_cpu))
                    print_run(round_number, peer)
                except (RuntimeError, subprocess.TimeoutExpired) as e:
                    peer.error = str(e)
                    print(f"  {peer.name}: {e}", file=sys.stderr, flush=True)
    finally:
        for peer in all_peers:
            peer.stop()
    return {peer.name: summary(peer) for peer in all_peers}


def is_about_connections(report):
    """`conn` and `churn` report otherwise than loads of messages."""
    return "open_ns" in report


def print_run(round_number, peer):
    r = peer.reports[-1]
    head = f"  round {round_number + 1} {peer.name:<11}"
    if is_about_connections(r):
        print(f"{head}{opened_per_s(r):>12,.0f} opened/s  {cpu_ms_each(r):.3f} CPU ms each  "
              f"{bytes_each(r):,.0f} B each", flush=True)
        return
    print(f"{head}{rate_of(r):>12,.0f}/s  "
          f"{cost(r):>8.3f} CPU s/M  p99 {r['latency_ns']['p99'] / 1e6:>9.3f} ms  "
          f"confirm p99 {r['confirm_ns']['p99'] / 1e6:>9.3f} ms", flush=True)


def rate_of(r):
    """Deliveries a second or, where nobody consumes, confirms."""
    return r["received_per_s"] if r["settings"]["consumers"] else r["confirmed_per_s"]


def memory_each(r):
    """What a consumer took of the resident memory by the end; the kernel's part of a socket is not in it."""
    grown = r["broker_cost"]["rss_bytes"] - r["broker_cost"]["rss_idle_bytes"]
    return grown / r["settings"]["consumers"] if r["settings"]["consumers"] else 0


def opened_per_s(r):
    return r["opened"] / r["seconds"] if r["seconds"] else 0


def cpu_ms_each(r):
    return r["broker_cpu_seconds"] * 1e3 / r["opened"] if r["opened"] else 0


def bytes_each(r):
    """What an open connection added to the resident memory; the kernel's part of a socket is not in it."""
    return (r["rss_held_bytes"] - r["rss_before_bytes"]) / r["opened"] if r["opened"] else 0


def cost(report):
    return (report["broker_cost"] or {}).get("cpu_s_per_million", 0)


def median_of(peer, of):
    return statistics.median(of(r) for r in peer.reports)


def summary(peer):
    """The median of the rounds; latencies and bottleneck from the same runs."""
    if not peer.reports:
        return {"error": peer.error}

    def median(of):
        return median_of(peer, of)

    if is_about_connections(peer.reports[0]):
        return {
            "error": peer.error,
            "broker": peer.reports[0]["broker"],
            "opened": peer.reports[0]["opened"],
            "opened_per_s": median(opened_per_s),
            "cpu_ms_each": median(cpu_ms_each),
            # The first round's: a broker keeps memory for those that come again.
            "bytes_each": bytes_each(peer.reports[0]),
            "rss_bytes": peer.reports[0]["rss_held_bytes"],
            "reports": peer.reports,
        }

    return {
        "error": peer.error,
        "broker": peer.reports[0]["broker"],
        "rate_per_s": median(rate_of),
        "received_per_s": median(lambda r: r["received_per_s"]),
        "sent_per_s": median(lambda r: r["sent_per_s"]),
        "offered_per_s": median(lambda r: r["offered_per_s"]),
        "cpu_s_per_million": median(cost),
        "cpu_share": median(lambda r: r["broker_cost"]["cpu_seconds"] / r["seconds"]),
        "rss_bytes": median(lambda r: r["broker_cost"]["rss_bytes"]),
        # The first round's: a broker keeps memory for those that come again.
        "memory_each": memory_each(peer.reports[0]),
        "latency_ns": {p: median(lambda r, p=p: r["latency_ns"][p]) for p in ("p50", "p99", "p99.9", "max")},
        "confirm_ns": {p: median(lambda r, p=p: r["confirm_ns"][p]) for p in ("p50", "p99", "p99.9")},
        "refused": sum(r["nacked"] for r in peer.reports),
        "faults": sum(r["missing"] + r["duplicates"] + r["out_of_order"] for r in peer.reports),
        "undelivered": sum(r["never_arrived"] for r in peer.reports),
        "generator_ns": median(lambda r: r["generator"]["ns_per_message"]),
        "generator_bottleneck": any(r["generator"]["bottleneck"] for r in peer.reports),
        "reports": peer.reports,
    }


def milliseconds(ns):
    if not ns:
        return ""
    return f"{ns / 1e6:.3f}" if ns < 1e8 else f"{ns / 1e6:.0f}"


def render(head, rows):
    """GitHub's Markdown; readable as it stands, too."""
    widths = [max(len(r[i]) for r in [head] + rows) for i in range(len(head))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(r, widths)) + " |" for r in [head] + rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def table(results, base_peer, with_memory_each):
    messages = {w: p for w, p in results.items() if not any("opened" in s for s in p.values())}
    connections = {w: p for w, p in results.items() if w not in messages}
    parts = []
    if messages:
        parts.append(message_table(messages, base_peer, with_memory_each))
    if connections:
        parts.append(connection_table(connections, base_peer))
    return "\n\n".join(parts)


def connection_table(results, base_peer):
    head = ["workload", "broker", "opened/s", "x", "CPU ms each", "x", "bytes each", "x", "RSS MB", "note"]
    rows = []
    for workload, by_peer in results.items():
        base = by_peer.get(base_peer, {})
        for name, s in by_peer.items():
            if "opened" not in s:
                rows.append([workload, name] + [""] * 7 + [s["error"] or "no result"])
                continue
            # Connections that come and go leave nothing to be counted.
            held = s["bytes_each"] if "conn" in workload else 0
            rows.append([workload, name, f"{s['opened_per_s']:,.0f}",
                         ratio(base.get("opened_per_s"), s["opened_per_s"]), f"{s['cpu_ms_each']:.3f}",
                         ratio(s["cpu_ms_each"], base.get("cpu_ms_each")), f"{held:,.0f}" if held else "",
                         ratio(held, base.get("bytes_each")), f"{s['rss_bytes'] / 1e6:.1f}", s["error"] or ""])
    return render(head, rows)


def message_table(results, base_peer, with_memory_each):
    head = ["workload", "broker", "msg/s", "x", "CPU s/M", "x", "RSS MB"]
    head += ["KB each", "x"] if with_memory_each else []
    head += ["p50 ms", "p99 ms", "p99.9 ms", "confirm p50 ms", "confirm p99 ms", "note"]
    rows = []
    for workload, by_peer in results.items():
        base = by_peer.get(base_peer, {})
        for name, s in by_peer.items():
            if "rate_per_s" not in s:
                rows.append([workload, name] + [""] * (len(head) - 3) + [s["error"] or "no result"])
                continue
            row = [workload, name, f"{s['rate_per_s']:,.0f}", ratio(base.get("rate_per_s"), s["rate_per_s"]),
                   f"{s['cpu_s_per_million']:.3f}", ratio(s["cpu_s_per_million"], base.get("cpu_s_per_million")),
                   f"{s['rss_bytes'] / 1e6:.1f}"]
            if with_memory_each:
                row += [f"{s['memory_each'] / 1e3:.1f}", ratio(s["memory_each"], base.get("memory_each"))]
            rows.append(row + [
                milliseconds(s["latency_ns"]["p50"]), milliseconds(s["latency_ns"]["p99"]),
                milliseconds(s["latency_ns"]["p99.9"]), milliseconds(s["confirm_ns"]["p50"]),
                milliseconds(s["confirm_ns"]["p99"]), note(s)])
    return render(head, rows)


def ratio(above, below):
    return f"{above / below:.1f}" if above and below else ""


def note(s):
    notes = []
    if s["generator_bottleneck"]:
        notes.append("generator-bound")
    if s["faults"]:
        notes.append(f"{s['faults']} order faults")
    if s["refused"]:
        notes.append(f"{s['refused']} refused")
    if s["undelivered"]:
        notes.append(f"{s['undelivered']} still queued 10 s after the end")
    if s["error"]:
        notes.append(s["error"])
    return "; ".join(notes)


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return done.stdout.strip() or "unknown"


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "")


def main(args, comparison, all_peers, base):
    broker_cpu, generator_cpu = cpus()
    about = {"commit": commit(), "cpu": cpu_model(), "cpus": os.cpu_count(), "kernel": platform.release(),
             "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "rounds": args.rounds,
             "seconds": args.time, "broker_cpu": broker_cpu, "generator_cpu": generator_cpu}
    os.makedirs(args.out, exist_ok=True)
    results = {}
    for workload in args.only or comparison.workloads:
        print(workload, flush=True)
        results[workload] = run_workload(args, comparison, workload, all_peers, generator_cpu)
        if not args.raw:
            for s in results[workload].values():
                s.pop("reports", None)
        # After each one, so that an interrupted comparison still has its results.
        write(args, comparison, about, results, base)
    print("\n" + table(results, base, comparison.memory_each))
    return 1 if any(s.get("error") for by_peer in results.values() for s in by_peer.values()) else 0


def write(args, comparison, about, results, base):
    with open(os.path.join(args.out, f"{comparison.report}.json"), "w", encoding="utf-8") as f:
        json.dump({"about": about, "results": results}, f, indent=1)
    with open(os.path.join(args.out, f"{comparison.report}.md"), "w", encoding="utf-8") as f:
        f.write(f"# Linnet and {comparison.rival}\n\n" + ", ".join(f"{k} {v}" for k, v in about.items()) +
                "\n\nx: how many times Linnet is better. CPU s/M: the broker's CPU seconds a "
                "million delivered messages, published ones where nobody consumes. Medians of the rounds.\n\n" +
                table(results, base, comparison.memory_each) + "\n")
