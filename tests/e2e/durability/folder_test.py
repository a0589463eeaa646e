#!/usr/bin/env python3
"""Data folders that are not as they should be: in use, read-only, foreign, of a newer format, truncated, damaged.
Each refusal names the folder and the reason, ends with a status of its own kind, and changes nothing.

    LINNETD=... folder_test.py
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from common import Bulk, Client, Linnetd, Publishing, linnetd, numbered

COUNT = 2000


def digest(folder):
    """What every file holds, by its name; the lock aside, which says who was here last."""
    found = {}
    for path, _, names in os.walk(folder):
        for name in names:
            if name != "LOCK":
                with open(os.path.join(path, name), "rb") as file:
                    found[os.path.relpath(os.path.join(path, name), folder)] = hashlib.sha256(file.read()).hexdigest()
    return found


def message_segment(folder):
    """The file with most in it, and how much: segments are filled with zeros to their end."""
    found = []
    for path, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                found.append((len(file.read().rstrip(b"\0")), os.path.join(path, name)))
    return max(found)


class Folder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One good folder, of which each test gets a copy."""
        cls.root = tempfile.mkdtemp(prefix="linnet-folder-")
        cls.addClassCleanup(shutil.rmtree, cls.root, True)
        cls.good = os.path.join(cls.root, "good")
        with Linnetd(settings=("shards=1", "store.segment_size=4MiB"), data_dir=cls.good) as broker:
            with Bulk(broker.address) as publisher:
                publisher.call("queue.declare", queue="q", durable=True)
                # In steps: what comes after a confirm says of what came before that it was durable.
                for first in range(0, COUNT, 100):
                    publisher.publish(numbered(Publishing(1, "", "q"), first, 100, 1000), 100)
                    publisher.all_confirmed()
            broker.kill()

    def copy(self):
        folder = tempfile.mkdtemp(dir=self.root)
        shutil.rmtree(folder)
        shutil.copytree(self.good, folder)
        return folder

    def daemon(self, folder, **arguments):
        broker = Linnetd(settings=("shards=1", "store.segment_size=4MiB"), data_dir=folder, **arguments)
        self.addCleanup(lambda: broker.process is not None and broker.stop())
        return broker

    def refused(self, folder, *words, untouched=""):
        before = digest(folder)
        broker = self.daemon(folder)
        with self.assertRaises(linnetd.StartError) as error:
            broker.start()
        text = str(error.exception)
        print(text.splitlines()[-1])
        self.assertNotIn("wrote no ports file", text)  # it ended by itself
        self.assertGreater(broker.process.returncode, 0)
        for word in (folder, *words):
            self.assertRegex(text, f"(?i){word}")
        after = digest(folder)
        for name in before:
            if name.startswith(untouched):
                self.assertEqual(after.get(name), before[name], f"{name}: a folder that is refused is left alone")
        return broker.process.returncode

    def serves(self, folder, count_min=COUNT, **arguments):
        with self.daemon(folder, **arguments) as broker:
            with Client(broker.address) as client:
                count = client.declare("q", passive=True).values["message_count"]
            self.assertGreaterEqual(count, count_min)
            self.assertLessEqual(count, COUNT)
            self.assertEqual(broker.terminate(), 0)
            return count

    def test_a_second_daemon(self):
        folder = self.copy()
        with self.daemon(folder) as first:
            with self.assertRaises(linnetd.StartError) as error:
                self.daemon(folder).start()
            print(str(error.exception).splitlines()[-1])
            self.assertRegex(str(error.exception), f"(?i){folder}.*(in use|locked|another)")
            with Client(first.address) as client:
                self.assertEqual(client.declare("q", passive=True).values["message_count"], COUNT)
        self.serves(folder)

    def test_a_lock_of_a_daemon_that_was_killed_holds_nobody_up(self):
        folder = self.copy()
        with self.daemon(folder) as first:
            first.kill()
            first.start_again()
            with Client(first.address) as client:
                self.assertEqual(client.declare("q", passive=True).values["message_count"], COUNT)

    def test_a_read_only_folder(self):
        # Root may write everywhere; a read-only mount holds for it as well.
        folder = self.copy()
        bound = subprocess.run(["mount", "--bind", folder, folder], stderr=subprocess.PIPE, check=False)
        if bound.returncode != 0:
            self.skipTest("nothing may be mounted here")
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
            self.refused(folder, "read-only")
        finally:
            subprocess.run(["umount", folder], check=True)
        self.serves(folder)

    def test_a_foreign_folder(self):
        folder = tempfile.mkdtemp(dir=self.root)
        for name, text in ("photo.jpg", b"\xff\xd8\xff\xe0"), ("notes.txt", b"do not lose"):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(text)
        self.refused(folder, "neither empty nor a store")

    def test_a_file_where_the_folder_should_be(self):
        path = os.path.join(self.root, "file")
        with open(path, "wb") as file:
            file.write(b"text")
        with self.assertRaises(linnetd.StartError) as error:
            self.daemon(path).start()
        self.assertIn(path, str(error.exception))
        with open(path, "rb") as file:
            self.assertEqual(file.read(), b"text")

    def test_an_empty_folder_is_a_new_one(self):
        folder = tempfile.mkdtemp(dir=self.root)
        with self.daemon(folder) as broker, Client(broker.address) as client:
            client.declare("q", durable=True)
        self.serves(folder, 0)

    def test_a_newer_format(self):
        folder = self.copy()
        self.raise_version(folder)
        self.refused(folder, "format 2.*version")

    def test_a_damaged_identity(self):
        folder = self.copy()
        with open(os.path.join(folder, "STORE"), "r+b") as file:
            file.seek(30)
            file.write(b"x")
        self.refused(folder, "damaged|makes no sense")

    def test_an_identity_that_is_missing(self):
        folder = self.copy()
        os.unlink(os.path.join(folder, "STORE"))
        self.refused(folder, "STORE")

    def test_files_are_for_their_owner_only(self):
        for path, folders, names in os.walk(self.good):
            for name in folders + names:
                mode = os.stat(os.path.join(path, name)).st_mode
                self.assertEqual(mode & 0o077, 0, os.path.join(path, name))

    def raise_version(self, folder):
        path = os.path.join(folder, "STORE")
        with open(path, encoding="ascii") as file:
            text = file.read()
        major = int(re.search(r"^format (\d+)", text, re.MULTILINE)[1])
        with open(path, "w", encoding="ascii") as file:
            file.write(text.replace(f"format {major}.", f"format {major + 1}."))

    def test_a_damaged_record_in_the_middle(self):
        folder = self.copy()
        size, path = message_segment(folder)
        with open(path, "r+b") as file:
            file.seek(size // 2)
            byte = file.read(1)
            file.seek(size // 2)
            file.write(bytes([byte[0] ^ 0x10]))
        # Other logs of the folder may have been opened by then, and spare files be gone.
        self.refused(folder, "damaged", "salvage", untouched=os.path.relpath(path, folder))

    def test_a_torn_tail_is_cut(self):
        # The last batch of the newest segment, cut in its middle, as a power failure leaves it. It was confirmed, but a
        # disk that keeps its promises would not have torn it: what is before it must be there.
        folder = self.copy()
        size, path = message_segment(folder)
        with open(path, "r+b") as file:
            file.seek(size - 100)
            file.write(bytes(100))
        self.serves(folder, COUNT - 200)


if __name__ == "__main__":
    unittest.main()
