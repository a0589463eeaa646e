#!/usr/bin/python3
"""The table of MQTT's numbered statements and the tests that prove them: README.md, made from the sources of the tests.

    table.py            compares README.md with the sources, and fails where it is not true
    table.py --write    writes it anew

A statement that binds servers and has no test is a failure, unless the list says that it is open; so is a test that
names what is in neither version's list.
What a test proves it says itself: clause(mqtt_5, {"MQTT-3.1.0-2"}) in C++ (tests/support/clause.hpp), and in Python
clause("MQTT 5", "MQTT-3.1.0-2"). The tests themselves are run elsewhere; a run's report carries what each proves.
"""

import argparse
import collections
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(HERE, "..", "..")
README = os.path.join(HERE, "README.md")
VERSIONS = {"MQTT 3.1.1": ("mqtt_3_1_1", "statements_3_1_1.txt"), "MQTT 5": ("mqtt_5", "statements_5.txt")}

CPP_TEST = re.compile(r"^TEST(?:_[FP])?\((\w+), (\w+)\)", re.MULTILINE)
CPP_CLAUSE = re.compile(r"\bclause\(\s*(mqtt_\w+),\s*\{([^}]*)\}")
PYTHON_CLAUSE = re.compile(r"^\s*clause\(\"(MQTT [\d.]+)\",([^)]*)\)", re.MULTILINE)
ID = re.compile(r"\"(MQTT-[\d.-]+)\"")

HEAD = """\
# What the specifications demand of a server, and the tests that prove it

Made by `table.py --write` from the sources of the tests; the test `mqtt_conformance_table` fails where it is not true.
The ids are those of the OASIS standards, what they demand is in our words.

"""


def statements(file_name):
    """Of each id whom it binds and what it demands, in the standard's order."""
    found = {}
    with open(os.path.join(HERE, file_name), encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                name, whom, demand = line.split(None, 2)
                if name in found:
                    sys.exit(f"{file_name}: {name} is there twice")
                if whom not in ("server", "client", "open"):
                    sys.exit(f"{file_name}: {name} binds {whom!r}")
                found[name] = (whom, demand.strip())
    return found


def cpp_clauses(text):
    """(specification, ids, test) for each clause() of a C++ source."""
    tests = [(match.start(), f"{match[1]}.{match[2]}") for match in CPP_TEST.finditer(text)]
    for match in CPP_CLAUSE.finditer(text):
        before = [name for start, name in tests if start < match.start()]
        if before:
            yield match[1], ID.findall(match[2]), before[-1]


def python_clauses(text, name):
    tags = {version: tag for version, (tag, _) in VERSIONS.items()}
    for match in PYTHON_CLAUSE.finditer(text):
        yield tags.get(match[1], match[1]), ID.findall(match[2]), name


def all_clauses():
    for folder, folders, files in os.walk(TESTS):
        folders[:] = sorted(f for f in folders if f not in ("node_modules", "corpus", "__pycache__"))
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith((".cpp", ".py")) and os.path.abspath(path) != os.path.abspath(__file__):
                with open(path, encoding="utf-8") as file:
                    text = file.read()
                shown = os.path.relpath(path, TESTS).replace(os.sep, "/")
                found = cpp_clauses(text) if name.endswith(".cpp") else python_clauses(text, shown)
                yield from found


def table(version, demands, proofs):
    lines = [f"## {version}", "", "| id | what it demands | proved by |", "|---|---|---|"]
    for name, (whom, demand) in demands.items():
        if whom != "client":
            lines.append(f"| {name} | {demand} | {', '.join(sorted(proofs[name])) or 'open'} |")
    lines += ["", "These bind clients only:", ""]
    lines += [f"- {name}: {demand}" for name, (whom, demand) in demands.items() if whom == "client"]
    return "\n".join(lines) + "\n\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write README.md")
    arguments = parser.parse_args()
    proofs = collections.defaultdict(lambda: collections.defaultdict(set))
    for tag, ids, test in all_clauses():
        for name in ids:
            proofs[tag][name].add(test)
    wrong = []
    made = HEAD
    for version, (tag, file_name) in VERSIONS.items():
        demands = statements(file_name)
        for name in sorted(set(proofs[tag]) - set(demands)):
            wrong.append(f"{version} has no statement {name}: {', '.join(sorted(proofs[tag][name]))}")
        bound = [name for name, (whom, _) in demands.items() if whom != "client"]
        missing = [name for name in bound if not proofs[tag][name]]
        wrong += [f"{version}: no test proves {name}: {demands[name][1]}" for name in missing
                  if demands[name][0] == "server"]
        wrong += [f"{version}: {name} is called open, and has a test" for name in bound
                  if demands[name][0] == "open" and name not in missing]
        print(f"{version}: {len(bound) - len(missing)} of {len(bound)} statements that bind servers have a test")
        made += table(version, demands, proofs[tag])
    for tag in set(proofs) - {tag for tag, _ in VERSIONS.values()}:
        wrong.append(f"no specification is called {tag}")
    made = made.rstrip("\n") + "\n"
    if arguments.write:
        with open(README, "w", encoding="utf-8") as file:
            file.write(made)
    else:
        with open(README, encoding="utf-8") as file:
            if file.read() != made:
                wrong.append("README.md is not what the tests say: table.py --write")
    for line in wrong:
        print(f"FAIL  {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
