#!/usr/bin/python3
"""What the programs include and link must be among the packages that `./dev run` installs.

    package_rules.py [ROOT]

A machine that has the tests' packages builds anything, so only a fresh one would notice what is missing from the
build's. Debian's own register says which package a header came from. Exits 77 where there is none.
"""

import pathlib
import re
import shutil
import subprocess
import sys

ROOMS = ("protocol", "broker", "clients", "bench/load")
FOLDERS = ("/usr/include", "/usr/include/x86_64-linux-gnu", "/usr/include/aarch64-linux-gnu")
COMPILER = re.compile(r"libc6-dev|linux-libc-dev|libstdc\+\+-\d+-dev|libgcc-\d+-dev")  # come with g++
SKIPPED = 77


def build_packages(script):
    found = re.search(r"^build_packages=\((.*?)\)", script, re.M | re.S)
    if not found:
        sys.exit("dev: no build_packages")
    return set(found.group(1).split())


def included(root):
    headers = {}
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.[ch]pp")):
            for header in re.findall(r"^\s*#\s*include\s+<([^>]+)>", path.read_text(), re.M):
                headers.setdefault(header, path.relative_to(root))
    return headers


def owners(paths):
    """The package of every path that a package brought."""
    answer = subprocess.run(["dpkg-query", "-S", *paths], capture_output=True, text=True, check=False).stdout
    return {path: package.split(",")[0].split(":")[0]
            for package, path in (line.rsplit(": ", 1) for line in answer.splitlines())}


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    if not shutil.which("dpkg-query"):
        return SKIPPED
    packages = build_packages((root / "dev").read_text())
    places = {}
    for header, user in included(root).items():
        for folder in FOLDERS:
            path = pathlib.Path(folder) / header
            if path.exists():
                places[str(path.resolve())] = (header, user)
    if len(places) < 10:
        sys.exit("hardly a header was found: this is no look at the machine's packages")
    wrong = 0
    for path, package in sorted(owners(places).items()):
        if package not in packages and not COMPILER.fullmatch(package):
            header, user = places[path]
            print(f"{user}: <{header}> is of {package}, which is not among dev's build_packages")
            wrong += 1
    return 1 if wrong else 0


sys.exit(main())
