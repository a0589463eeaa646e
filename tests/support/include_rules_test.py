#!/usr/bin/env python3
"""The checker must catch what it is there for, by the tables as they stand in ARCHITECTURE.md."""

import pathlib
import unittest

import include_rules

PAGE = (pathlib.Path(__file__).parents[2] / "ARCHITECTURE.md").read_text(encoding="utf-8")


class IncludeRules(unittest.TestCase):
    def setUp(self):
        self.rules = include_rules.Rules(PAGE)

    def breaches(self, path, text, **more):
        return [what for _, what in self.rules.breaches(path, text, **more)]

    def assert_refused(self, path, include):
        self.assertEqual(len(self.breaches(path, f"#include {include}\n")), 1, f"{path} -> {include}")

    def assert_allowed(self, path, include):
        self.assertEqual(self.breaches(path, f"#include {include}\n"), [], f"{path} -> {include}")

    def test_refuses_what_points_the_wrong_way(self):
        for path, include in (
                ("broker/core/queue.cpp", '"broker/session/session.hpp"'),
                ("broker/core/queue.cpp", '"protocol/amqp/frame.hpp"'),
                ("broker/core/queue.cpp", '"broker/net/reactor.hpp"'),
                ("broker/lockfree/ring.hpp", '"broker/core/shard.hpp"'),
                ("broker/base/log.cpp", '"broker/lockfree/spsc_ring.hpp"'),
                ("broker/session/amqp_session.cpp", '"broker/net/connection.hpp"'),
                ("broker/net/connection.cpp", '"broker/app/config.hpp"'),
                ("broker/net/connection.cpp", '"protocol/amqp/frame.hpp"'),
                ("broker/app/server.cpp", '"clients/cli/output.hpp"'),
                ("protocol/amqp/frame.hpp", '"broker/base/assert.hpp"'),
                ("protocol/amqp/frame.hpp", '"protocol/mqtt/packet.hpp"'),
                ("protocol/wire/reader.hpp", '"protocol/amqp/frame.hpp"'),
                ("clients/cli/health.cpp", '"broker/app/config.hpp"'),
                ("bench/load/run.cpp", '"broker/core/shard.hpp"'),
                ("broker/core/queue.cpp", '"tests/support/scripted_peer.hpp"'),
                ("broker/core/queue.cpp", '"bench/load/histogram.hpp"')):
            self.assert_refused(path, include)

    def test_allows_what_points_the_right_way(self):
        for path, include in (
                ("broker/core/queue.cpp", '"broker/lockfree/spsc_ring.hpp"'),
                ("broker/core/queue.cpp", '"broker/core/queue.hpp"'),
                ("broker/session/amqp_session.cpp", '"protocol/amqp/frame.hpp"'),
                ("broker/net/reactor.cpp", '"broker/core/shard.hpp"'),
                ("broker/app/server.cpp", '"broker/net/listener.hpp"'),
                ("protocol/amqp/frame.hpp", '"protocol/wire/reader.hpp"'),
                ("protocol/mqtt/packet.hpp", '"protocol/wire/reader.hpp"'),
                ("clients/cli/main.cpp", '"bench/load/bench_command.hpp"'),
                ("bench/micro/ring.cpp", '"broker/lockfree/spsc_ring.hpp"'),
                ("tests/core/queue_test.cpp", '"broker/core/queue.hpp"')):
            self.assert_allowed(path, include)

    def test_fences_libraries_in(self):
        self.assert_refused("broker/core/queue.cpp", "<asio/io_context.hpp>")
        self.assert_refused("broker/session/amqp_session.cpp", "<sys/socket.h>")
        self.assert_refused("protocol/amqp/frame.hpp", "<thread>")
        self.assert_refused("broker/core/shard.cpp", "<mutex>")
        self.assert_refused("broker/net/reactor.cpp", "<toml++/toml.h>")
        self.assert_allowed("broker/net/reactor.cpp", "<asio/io_context.hpp>")
        self.assert_allowed("protocol/amqp/frame.hpp", "<span>")

    def test_a_session_speaks_one_protocol(self):
        both = '#include "protocol/amqp/frame.hpp"\n#include "protocol/mqtt/packet.hpp"\n'
        self.assertIn("speaks more than one protocol: amqp, mqtt", self.breaches("broker/session/x.cpp", both))

    def test_a_file_stands_in_a_room(self):
        self.assertEqual(len(self.breaches("broker/attic/old.cpp", "")), 1)
        self.assertEqual(self.breaches("tests/anything/new.cpp", ""), [])

    def test_an_include_names_a_file_from_the_root(self):
        self.assert_refused("broker/core/queue.cpp", '"queue.hpp"')
        gone = self.breaches("broker/core/queue.cpp", '#include "broker/core/gone.hpp"\n', exists=lambda _: False)
        self.assertEqual(gone, ["broker/core/gone.hpp does not exist"])

    def test_length_promises_and_paths(self):
        self.assertEqual(len(self.breaches("broker/core/queue.cpp", "\n" * 1001)), 1)
        self.assertEqual(self.breaches("broker/core/queue.cpp", "\n" * 1000), [])
        bare, conditional = "// TO" "DO: later\n", "// TO" "DO(when g++ 13 is the oldest): std::expected\n"
        self.assertEqual(len(self.breaches("broker/core/queue.cpp", bare)), 1)
        self.assertEqual(self.breaches("broker/core/queue.cpp", conditional), [])
        self.assertEqual(len(self.breaches("README.md", "cd /ho" "me/anna/linnet\n")), 1)

    def test_a_page_without_tables_is_an_error(self):
        with self.assertRaises(include_rules.TableError):
            include_rules.Rules("# Linnet\n")
        with self.assertRaises(include_rules.TableError):
            include_rules.Rules(PAGE.replace("## Who may include whom", "## Something else"))


if __name__ == "__main__":
    unittest.main()
