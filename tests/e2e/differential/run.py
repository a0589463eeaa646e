#!/usr/bin/env python3
"""Runs the protocol situations against a broker and compares what it did with a reference.

    run.py                                        linnetd ($LINNETD) against the recorded RabbitMQ
    run.py --against rabbitmq                     ... against a rabbitmq-server started for this
    run.py --target rabbitmq --record FILE        record a reference
    run.py --target amqp://127.0.0.1:5672 --only 'queue/*'

A target or reference is `linnetd`, `rabbitmq` or the URL of a broker that has the users and vhosts
of fixtures.py. What differs must be listed, with its reason, in differences.toml; a difference that
is not listed fails, and so does a listed one that is no more.
"""

import argparse
import concurrent.futures
import difflib
import fnmatch
import json
import os
import secrets
import sys
import time
import tomllib
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import engine  # noqa: E402
import fixtures  # noqa: E402
import raw_amqp  # noqa: E402
import situations  # noqa: E402,F401

GOLDEN = os.path.join(HERE, "rabbitmq-3.10.8.json")
DIFFERENCES = os.path.join(HERE, "differences.toml")


# ---- running -----------------------------------------------------------------------------------

def run_one(name, address, token):
    """The transcript of one situation, and the seconds it took."""
    began = time.monotonic()
    talk = engine.Talk(name, address, token)
    try:
        engine.SITUATIONS[name](talk)
        talk.finish()
    except engine.Broken:
        talk.note("the situation ends here")
    except raw_amqp.Malformed as e:
        talk.note(f"malformed: {e}")
    except OSError as e:
        talk.note(f"socket: {e.strerror}")
    except Exception:  # a bug of the situation itself: loud, and never equal to a reference
        talk.note("harness error: " + traceback.format_exc())
    finally:
        talk.close()
    return talk.lines, time.monotonic() - began


def run_all(names, address, jobs):
    """Transcripts by name. Every situation has names and connections of its own, so any may overlap."""
    token = "~" + secrets.token_hex(3)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        futures = {n: pool.submit(run_one, n, address, token) for n in names}
        done = {n: f.result() for n, f in futures.items()}
    slowest = sorted(((seconds, n) for n, (_, seconds) in done.items()), reverse=True)[:5]
    print("slowest: " + ", ".join(f"{n} {s:.1f} s" for s, n in slowest), file=sys.stderr)
    return {n: lines for n, (lines, _) in done.items()}


def run_target(what, names, jobs, shards):
    began = time.monotonic()
    with fixtures.target(what, shards) as address:
        up = time.monotonic()
        transcripts = run_all(names, address, jobs)
        print(f"{what}: {len(names)} situations in {time.monotonic() - up:.1f} s, "
              f"started in {up - began:.1f} s", file=sys.stderr)
    return transcripts


# ---- references --------------------------------------------------------------------------------

def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)["situations"]


def save(path, broker, transcripts, keep):
    """Writes a reference; situations that were not run keep the lines they had."""
    merged = {n: lines for n, lines in keep.items() if n in engine.SITUATIONS} | transcripts
    with open(path, "w", encoding="utf-8") as f:
        json.dump({"broker": broker, "situations": dict(sorted(merged.items()))}, f, indent=1,
                  ensure_ascii=False)
        f.write("\n")


# ---- comparing ---------------------------------------------------------------------------------

def difference(reference, subject):
    """Lines only the reference has, lines only the subject has; both in order."""
    only_reference, only_subject = [], []
    matcher = difflib.SequenceMatcher(None, reference, subject, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            only_reference += reference[a:b]
            only_subject += subject[c:d]
    return only_reference, only_subject


def declared(path):
    with open(path, "rb") as f:
        entries = tomllib.load(f).get("difference", [])
    table = {}
    for entry in entries:
        unknown = set(entry) - {"situation", "reason", "rabbitmq", "linnet"}
        name = entry.get("situation")
        if unknown or name in table or not entry.get("reason"):
            sys.exit(f"{path}: entry {name!r} is double, lacks its reason or has {unknown}")
        if name not in engine.SITUATIONS:
            sys.exit(f"{path}: there is no situation {name!r}")
        table[name] = (entry.get("rabbitmq", []), entry.get("linnet", []))
    return table


def toml_entry(name, rabbitmq, linnet):
    def lines(key, values):
        body = "".join(f"    {json.dumps(v, ensure_ascii=False)},\n" for v in values)
        return f"{key} = [\n{body}]\n" if values else f"{key} = []\n"
    return (f'[[difference]]\nsituation = "{name}"\nreason = ""\n'
            + lines("rabbitmq", rabbitmq) + lines("linnet", linnet))


def show_diff(name, reference, subject):
    print(f"\n==== {name}")
    lines = list(difflib.unified_diff(reference, subject, n=1000, lineterm=""))
    for line in lines[3:]:  # after the two file names and the one @@
        print("  " + line)


def compare(reference, subject, allowed, suggest):
    """Prints what is wrong; the number of situations that fail."""
    failed, as_declared = [], 0
    for name, lines in subject.items():
        if name not in reference:
            print(f"\n==== {name}\n  not in the reference: record it again")
            failed.append(name)
            continue
        found = difference(reference[name], lines)
        if found == allowed.get(name, ([], [])):
            as_declared += name in allowed
            continue
        failed.append(name)
        show_diff(name, reference[name], lines)
        if name in allowed:
            print("  (declared, but it no longer differs)" if found == ([], [])
                  else "  (declared, but it differs in another way)")
        if suggest:
            print("\n" + toml_entry(name, *found))
    print(f"\n{len(subject)} situations: {len(subject) - len(failed) - as_declared} alike, "
          f"{as_declared} different as declared, {len(failed)} failed")
    for name in failed:
        print(f"  {name}")
    return len(failed)


# ---- main --------------------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="linnetd", help="linnetd (default), rabbitmq or a URL")
    parser.add_argument("--compare", metavar="FILE", default=GOLDEN, help="recorded reference")
    parser.add_argument("--against", metavar="TARGET", help="a live reference instead")
    parser.add_argument("--record", metavar="FILE", help="record only, compare with nothing")
    parser.add_argument("--broker", default="rabbitmq-server 3.10.8", help="its name in a record")
    parser.add_argument("--differences", metavar="FILE", default=DIFFERENCES)
    parser.add_argument("--strict", action="store_true", help="no difference is allowed")
    parser.add_argument("--suggest", action="store_true", help="print entries for differences.toml")
    parser.add_argument("--only", metavar="PATTERN", action="append", help="e.g. 'queue/*'")
    parser.add_argument("--shards", type=int, default=1, help="of a linnetd that is started here")
    parser.add_argument("--jobs", type=int, default=12)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--show", action="store_true", help="print the transcripts")
    return parser.parse_args()


def main():
    options = arguments()
    names = [n for n in engine.SITUATIONS
             if not options.only or any(fnmatch.fnmatch(n, p) for p in options.only)]
    if options.list or not names:
        print("\n".join(names))
        return 0 if names else 1
    reference = None
    if options.against:
        reference = run_target(options.against, names, options.jobs, options.shards)
    subject = run_target(options.target, names, options.jobs, options.shards)
    broken = [n for n, lines in subject.items() if any("harness error" in x for x in lines)]
    if options.show or broken:
        for name in broken or names:
            print(f"\n==== {name}\n  " + "\n  ".join(subject[name]))
    if broken:
        return 1
    if options.record:
        keep = load(options.record) if os.path.exists(options.record) else {}
        save(options.record, options.broker, subject, keep)
        return 0
    if options.show:
        return 0
    allowed = {} if options.strict else declared(options.differences)
    if reference is None:
        reference = load(options.compare)
    return 1 if compare(reference, subject, allowed, options.suggest) else 0


if __name__ == "__main__":
    sys.exit(main())
