#!/usr/bin/env python3
"""The runner itself: what must fail fails, and the situations are fit to be compared."""

import contextlib
import io
import json
import os
import socket
import tempfile
import threading
import unittest

import engine
import run


def _declared(text):
    with tempfile.NamedTemporaryFile("w", suffix=".toml", delete=False) as f:
        f.write(text)
    try:
        return run.declared(f.name)
    finally:
        os.unlink(f.name)


def _failures(reference, subject, allowed):
    with contextlib.redirect_stdout(io.StringIO()):
        return run.compare(reference, subject, allowed, suggest=False)


class Comparison(unittest.TestCase):
    NAME = "queue/purge-missing"

    def test_alike_passes(self):
        self.assertEqual(_failures({self.NAME: ["a", "b"]}, {self.NAME: ["a", "b"]}, {}), 0)

    def test_an_undeclared_difference_fails(self):
        self.assertEqual(_failures({self.NAME: ["a", "b"]}, {self.NAME: ["a", "c"]}, {}), 1)

    def test_a_missing_last_line_fails(self):
        self.assertEqual(_failures({self.NAME: ["a", "b"]}, {self.NAME: ["a"]}, {}), 1)

    def test_a_declared_difference_passes(self):
        allowed = {self.NAME: (["b"], ["c"])}
        self.assertEqual(_failures({self.NAME: ["a", "b"]}, {self.NAME: ["a", "c"]}, allowed), 0)

    def test_a_declared_difference_that_is_no_more_fails(self):
        allowed = {self.NAME: (["b"], ["c"])}
        self.assertEqual(_failures({self.NAME: ["a", "b"]}, {self.NAME: ["a", "b"]}, allowed), 1)

    def test_another_difference_than_the_declared_one_fails(self):
        allowed = {self.NAME: (["b"], ["c"])}
        self.assertEqual(_failures({self.NAME: ["a", "b"]}, {self.NAME: ["a", "d"]}, allowed), 1)

    def test_a_situation_that_was_never_recorded_fails(self):
        self.assertEqual(_failures({}, {self.NAME: ["a"]}, {}), 1)

    def test_a_suggested_entry_is_an_entry(self):
        entry = run.toml_entry(self.NAME, ['a "b" \\ ü'], []).replace('reason = ""', 'reason = "r"')
        self.assertEqual(_declared(entry), {self.NAME: (['a "b" \\ ü'], [])})

    def test_an_entry_without_a_reason_is_refused(self):
        with self.assertRaises(SystemExit):
            _declared(run.toml_entry(self.NAME, ["a"], []))

    def test_an_entry_for_no_situation_is_refused(self):
        with self.assertRaises(SystemExit):
            _declared('[[difference]]\nsituation = "queue/no-such"\nreason = "r"\n')


class Record(unittest.TestCase):
    def setUp(self):
        with open(run.GOLDEN, encoding="utf-8") as f:
            self.recorded = json.load(f)["situations"]

    def test_every_situation_is_recorded(self):
        self.assertEqual(sorted(self.recorded), sorted(engine.SITUATIONS))

    def test_nothing_of_one_run_is_in_it(self):
        odd = [x for lines in self.recorded.values() for x in lines
               if "~" in x or "harness error" in x or x.endswith("< nothing")]
        self.assertEqual(odd, [])

    def test_differences_are_well_formed(self):
        run.declared(run.DIFFERENCES)


class BrokenBroker(unittest.TestCase):
    def test_one_that_hangs_up_is_not_alike(self):
        """A situation ends, and differs, when the broker closes each connection at once."""
        listener = socket.create_server(("127.0.0.1", 0))

        def hang_up():
            with contextlib.suppress(OSError):
                while True:
                    listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        names = ["queue/purge-missing", "framing/class-unknown", "handshake/password-wrong"]
        lines = run.run_all(names, listener.getsockname(), 3)
        listener.close()
        for name in names:
            self.assertTrue(any("end of stream" in x or "eof" in x for x in lines[name]), lines)


if __name__ == "__main__":
    unittest.main()
