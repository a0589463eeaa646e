#!/usr/bin/env python3
"""Holds the sources to the rules of ARCHITECTURE.md: who may include whom, and a few that a reader's eye misses.

    include_rules.py [ROOT]

The tables are read from the page itself, so the page cannot be wrong without this failing. Prints one line
a breach and exits 1 if there was any.
"""

import fnmatch
import pathlib
import re
import sys

ROOMS = ("protocol", "broker", "clients", "bench", "tests")
SOURCES = (".hpp", ".cpp")
TEXTS = SOURCES + (".py", ".js", ".rb", ".sh", ".c", ".cmake", ".txt", ".toml", ".md", ".pml")
LINES_MAX = 1000  # a limit, not an aim: see CONTRIBUTING.md
TEXTS_MAX = 1500

OWN_INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
OTHER_INCLUDE = re.compile(r"\s*#\s*include\s+<([^>]+)>")
# A promise to do something is worth keeping only with the condition for doing it: TO+DO(when ...).
BARE_PROMISE = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b(?!\(\w)")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|Users|root|work)/[a-z][\w-]+/")


class TableError(Exception):
    """ARCHITECTURE.md does not hold a table that can be read."""


def table_rows(page, heading):
    """The cells in backquotes of the first table under a heading: [[first column], [second column]] a row."""
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page, re.M | re.S)
    if not section:
        raise TableError(f"no heading {heading!r}")
    rows = []
    for line in section.group(1).splitlines():
        if line.startswith("|"):
            cells = line.strip().strip("|").split("|")
            rows.append([re.findall(r"`([^`]+)`", cell) for cell in cells])
    rows = [row for row in rows[2:] if len(row) >= 2 and row[0]]  # below the head and its rule
    if not rows:
        raise TableError(f"no table under {heading!r}")
    return rows


class Rules:
    def __init__(self, page):
        self.rooms = {row[0][0]: row[1] for row in table_rows(page, "Who may include whom")}
        self.fenced = [(row[0], row[1]) for row in table_rows(page, "What stays behind a fence")]

    def room_of(self, path):
        """The row for a file: its folder, or the longest pattern or parent that has one."""
        folder = str(pathlib.PurePosixPath(path).parent)
        while folder not in (".", ""):
            found = [room for room in self.rooms if fnmatch.fnmatchcase(folder, room)]
            if found:
                return max(found, key=lambda room: (room == folder, len(room)))
            folder = str(pathlib.PurePosixPath(folder).parent)
        return None

    def allows(self, path, included):
        if path.startswith("tests/"):
            return True  # a test looks at everything; what it is allowed is not to be looked at
        if str(pathlib.PurePosixPath(path).parent) == str(pathlib.PurePosixPath(included).parent):
            return True
        room = self.room_of(path)
        target = str(pathlib.PurePosixPath(included).parent)
        return room is not None and any(fnmatch.fnmatchcase(target, allowed) for allowed in self.rooms[room])

    def fence_allows(self, path, header):
        if path.startswith("tests/"):
            return True
        for headers, rooms in self.fenced:
            if any(fnmatch.fnmatchcase(header, pattern) for pattern in headers):
                folder = str(pathlib.PurePosixPath(path).parent)
                if not any(fnmatch.fnmatchcase(folder, room) for room in rooms):
                    return False
        return True

    def breaches(self, path, text, exists=lambda included: True):
        """The breaches of one file, as (line number, what)."""
        protocols = set()
        if path.endswith(SOURCES):
            if not path.startswith("tests/") and self.room_of(path) is None:
                yield 1, "stands in no room that ARCHITECTURE.md names"
            for number, line in enumerate(text.splitlines(), 1):
                if match := OWN_INCLUDE.match(line):
                    included = match.group(1)
                    if included.split("/")[0] not in ROOMS:
                        if not path.startswith("tests/"):
                            yield number, f'"{included}" is not named from the root'
                        continue
                    if not exists(included):
                        yield number, f"{included} does not exist"
                    if not self.allows(path, included):
                        yield number, f"may not include {included}"
                    if included.startswith("protocol/"):
                        protocols.add(included.split("/")[1])
                elif match := OTHER_INCLUDE.match(line):
                    if not self.fence_allows(path, match.group(1)):
                        yield number, f"may not include <{match.group(1)}>"
            if path.startswith("broker/session/") and len(protocols - {"wire"}) > 1:
                yield 1, f"speaks more than one protocol: {', '.join(sorted(protocols - {'wire'}))}"
        lines = text.count("\n")
        if lines > (LINES_MAX if path.endswith(SOURCES) else TEXTS_MAX):
            yield lines, "is too long: split it by noun"
        for number, line in enumerate(text.splitlines(), 1):
            if BARE_PROMISE.search(line):
                yield number, "promises something without the condition for doing it"
            if MACHINE_PATH.search(line):
                yield number, "names a path of one machine"


def texts(root):
    for room in (*ROOMS, "config"):
        for path in sorted((root / room).rglob("*")):
            if path.suffix in TEXTS and path.is_file() and not {"corpus", "node_modules"} & set(path.parts):
                yield path
    yield from sorted(root.glob("*.md"))


def main(argv):
    root = pathlib.Path(argv[1] if len(argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    rules = Rules((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    count = looked_at = 0
    for path in texts(root):
        looked_at += 1
        name = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8", errors="replace")
        for line, what in rules.breaches(name, text, lambda included: (root / included).is_file()):
            print(f"{name}:{line}: {what}")
            count += 1
    print(f"{looked_at} files, {count} breaches")
    return 1 if count or looked_at < 100 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
