#!/usr/bin/python3
"""The table of attacks and the tests that prove what becomes of them: README.md, made from rows.txt.

    table.py            compares README.md with rows.txt, and fails where a test that it names is not there
    table.py --write    writes it anew
"""

import argparse
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.join(HERE, "..", "..")
README = os.path.join(HERE, "README.md")
ROWS = 32

CPP_TEST = re.compile(r"^TEST(?:_[FP])?\((\w+), (\w+)\)", re.MULTILINE)
PYTHON_TEST = re.compile(r"^    def (test_\w+)\(", re.MULTILINE)

HEAD = """\
# Attacks and bad input, and the tests that prove what becomes of them

Made by `table.py --write` from rows.txt; the test `security_table` fails where it is not true.

| id | attack | expected | proved by |
|---|---|---|---|
"""


def tests_there():
    """Suite.Test of every C++ test, path:name of every Python test."""
    for folder, folders, files in os.walk(TESTS):
        folders[:] = [f for f in folders if f not in ("node_modules", "corpus", "__pycache__")]
        for name in files:
            path = os.path.join(folder, name)
            if name.endswith(".cpp"):
                with open(path, encoding="utf-8") as file:
                    yield from (f"{m[1]}.{m[2]}" for m in CPP_TEST.finditer(file.read()))
            elif name.endswith("_test.py"):
                shown = os.path.relpath(path, os.path.join(TESTS, "e2e")).replace(os.sep, "/")
                with open(path, encoding="utf-8") as file:
                    yield from (f"{shown}:{m[1]}" for m in PYTHON_TEST.finditer(file.read()))


def rows():
    """(id, attack, expected, tests, reason): where there is a reason there are no tests."""
    with open(os.path.join(HERE, "rows.txt"), encoding="utf-8") as lines:
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            parts = [part.strip() for part in line.split("|")]
            if len(parts) == 3 and parts[2].startswith("- "):
                yield parts[0], parts[1], "", [], parts[2][2:]
            elif len(parts) == 4 and parts[3]:
                yield parts[0], parts[1], parts[2], parts[3].split(), ""
            else:
                sys.exit(f"rows.txt: {line.strip()!r} is no row")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write README.md")
    arguments = parser.parse_args()
    there = set(tests_there())
    wrong, made, ids = [], HEAD, []
    for name, attack, expected, tests, reason in rows():
        ids.append(name)
        wrong += [f"{name}: there is no test {test}" for test in tests if test not in there]
        made += f"| {name} | {attack} | {expected or '-'} | {', '.join(tests) or reason} |\n"
    if ids != [f"A{n}" for n in range(1, ROWS + 1)]:
        wrong.append(f"the rows are not A1 to A{ROWS} in their order")
    if arguments.write:
        with open(README, "w", encoding="utf-8") as file:
            file.write(made)
    else:
        with open(README, encoding="utf-8") as file:
            if file.read() != made:
                wrong.append("README.md is not what rows.txt says: table.py --write")
    for line in wrong:
        print(f"FAIL  {line}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
