#!/usr/bin/env python3
"""Who may come in and what they may do; and SIGHUP, which changes all of it or nothing."""

import os
import re
import signal
import socket
import unittest

import harness
import raw_amqp as amqp
from harness import Client, Linnetd, Refused

CONFIG = """\
[[vhost]]
name = "/"
[[vhost]]
name = "other"

[[user]]
name = "guest"
password = "guest"
loopback_only = true
[[permission]]
user = "guest"
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"

[[user]]
name = "ann"
password = "secret"
[[permission]]
user = "ann"
vhost = "/"
configure = "^ann-"
write = "^(ann-|amq\\\\.topic$|amq\\\\.default$)"
read = "^(ann-|amq\\\\.topic$)"
[[topic_permission]]
user = "ann"
vhost = "/"
exchange = "amq.topic"
write = "^{username}\\\\."
read = "^({username}|public)\\\\."

[[user]]
name = "no-vhost"
password = "secret"
"""


def own_address():
    """An address of this machine that is not loopback, or None. Nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address = sock.getsockname()[0]
    return None if address.startswith("127.") else address


class Access(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.broker = Linnetd(config=CONFIG, listen=("amqp=0.0.0.0:0",)).start()
        cls.addClassCleanup(cls.broker.stop)
        cls.address = ("127.0.0.1", cls.broker.port)

    def refused(self, **arguments):
        with self.assertRaises(Refused) as refused:
            Client(self.address, **arguments)
        return refused.exception.event

    def assert_login_refused(self, address=None, **arguments):
        with self.assertRaises(Refused) as refused:
            Client(address or self.address, **arguments)
        self.assertEqual((refused.exception.code, refused.exception.text), (
            403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
                 "For details see the broker logfile."))

    def test_logins_that_are_refused_all_sound_alike(self):
        self.assert_login_refused(user="guest", password="wrong")
        self.assert_login_refused(user="nobody", password="guest")
        self.assert_login_refused(user="ann", password="")

    def test_without_the_capability_a_refusal_is_the_end_without_a_word(self):
        event = self.refused(password="wrong", capabilities=())
        self.assertEqual(event.name, amqp.EOF)

    def test_vhosts(self):
        for user, vhost, text in (("ann", "other", "NOT_ALLOWED - access to vhost 'other' refused for user 'ann'"),
                                  ("no-vhost", "/", "NOT_ALLOWED - access to vhost '/' refused for user 'no-vhost'"),
                                  ("ann", "none", "NOT_ALLOWED - vhost none not found")):
            with self.subTest(user=user, vhost=vhost):
                event = self.refused(user=user, password="secret", vhost=vhost)
                self.assertEqual((event.name, event.values["reply_code"], event.values["reply_text"]),
                                 ("connection.close", 530, text))

    def test_guest_comes_from_here_only(self):
        Client(self.address).hang_up()
        Client(self.address, user="ann", password="secret").hang_up()
        outside = own_address()
        if outside is None:
            self.skipTest("this machine has no address but loopback: the other half of the rule was not tested")
        address = (outside, self.broker.port)
        self.assert_login_refused(address)
        Client(address, user="ann", password="secret").hang_up()

    def assert_channel_refused(self, client, channel, text, *frames):
        client.call(channel, "channel.open")
        client.send(b"".join(frames))
        close = client.expect(channel, "channel.close").values
        self.assertEqual((close["reply_code"], close["reply_text"]), (403, "ACCESS_REFUSED - " + text))
        client.send(amqp.method_frame(channel, "channel.close-ok"))

    def test_permissions(self):
        with Client(self.address) as guest, Client(self.address, user="ann", password="secret") as ann:
            guest.declare("private", auto_delete=False, exclusive=False)
            queue = ann.declare("ann-1", auto_delete=False).values["queue"]
            ann.publish(queue, b"mine")  # the default exchange is hers by its permission name
            ann.call(1, "basic.consume", queue=queue, no_ack=True)
            self.assertEqual(ann.expect(1, "basic.deliver").body, b"mine")

            def access(kind, name):
                return f"access to {kind} '{name}' in vhost '/' refused for user 'ann'"

            method = amqp.method_frame
            refused = (
                (access("queue", "bob-1"), method(2, "queue.declare", queue="bob-1")),
                (access("queue", "private"), method(2, "queue.delete", queue="private")),
                (access("queue", "private"), method(2, "queue.purge", queue="private")),
                (access("queue", "private"), method(2, "basic.consume", queue="private")),
                (access("queue", "private"), method(2, "basic.get", queue="private")),
                (access("queue", "private"), method(2, "queue.bind", queue="private", exchange="amq.topic")),
                (access("exchange", "amq.direct"), method(2, "queue.bind", queue="ann-1", exchange="amq.direct")),
                (access("exchange", "amq.fanout"), harness.publishing("x", channel=2, exchange="amq.fanout")),
                (access("exchange", "bob"), method(2, "exchange.declare", exchange="bob", type="direct")),
            )
            for text, frames in refused:
                with self.subTest(text):
                    self.assert_channel_refused(ann, 2, text, frames)
            # Passive: looking needs no right to configure.
            self.assertEqual(ann.declare("private", passive=True).values["queue"], "private")
            ann.call(1, "queue.delete", queue="ann-1")
            guest.call(1, "queue.delete", queue="private")
            for client in (ann, guest):
                client.hang_up()

    def test_topic_permissions(self):
        with Client(self.address, user="ann", password="secret") as ann:
            ann.declare("ann-topics", exclusive=True)
            for key in ("ann.a", "public.a"):
                ann.call(1, "queue.bind", queue="ann-topics", exchange="amq.topic", routing_key=key)
            ann.call(1, "basic.consume", queue="ann-topics", no_ack=True)
            ann.publish("ann.a", b"mine", exchange="amq.topic")
            self.assertEqual(ann.expect(1, "basic.deliver").body, b"mine")
            text = "access to topic '{}' in exchange 'amq.topic' in vhost '/' refused for user 'ann'"
            self.assert_channel_refused(ann, 2, text.format("public.a"),
                                        harness.publishing("public.a", channel=2, exchange="amq.topic"))
            self.assert_channel_refused(ann, 2, text.format("bob.#"), amqp.method_frame(
                2, "queue.bind", queue="ann-topics", exchange="amq.topic", routing_key="bob.#"))
            ann.hang_up()


class Reload(unittest.TestCase):
    def setUp(self):
        self.broker = Linnetd(config=CONFIG).start()
        self.addCleanup(self.broker.stop)
        self.path = os.path.join(self.broker.dir, "linnet.toml")

    def reload(self, text, expected="reloaded (digest"):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)
        said = self.broker.log_text().count(expected)
        self.broker.signal(signal.SIGHUP)
        harness.wait_for(lambda: self.broker.log_text().count(expected) > said, 5, expected)

    def test_users_permissions_and_policies(self):
        with Client(self.broker.address, user="ann", password="secret") as ann:
            ann.declare("ann-limited", exclusive=True)
            self.reload(CONFIG.replace('password = "secret"', 'password = "changed"', 1)
                        .replace('configure = "^ann-"', 'configure = "^(ann|bob)-"') + """
[[user]]
name = "bob"
password = "new"
[[permission]]
user = "bob"
vhost = "/"
configure = ".*"
write = ".*"
read = ".*"
[[policy]]
name = "short"
vhost = "/"
pattern = "limited$"
apply_to = "queues"
definition = { max-length = 2 }
""")
            # The old connection lives, with the new rights and under the new policy.
            ann.declare("bob-1", exclusive=True)
            for body in (b"1", b"2", b"3"):
                ann.publish("ann-limited", body)
            self.assertEqual(harness.wait_for(
                lambda: ann.declare("ann-limited", passive=True).values["message_count"], 2, "they arrive"), 2)
            ann.hang_up()
        harness.works(self.broker.address, user="bob", password="new")
        Client(self.broker.address, user="ann", password="changed").hang_up()
        with self.assertRaises(Refused):
            Client(self.broker.address, user="ann", password="secret")

    def test_a_deleted_user_is_sent_away(self):
        without_ann = re.sub(r'\[\[user\]\]\nname = "ann".*(?=\[\[user\]\]\nname = "no-vhost")', "", CONFIG, flags=re.S)
        with Client(self.broker.address) as guest, Client(self.broker.address, user="ann", password="secret") as ann:
            self.reload(without_ann)
            close = ann.receive(0, 5).values
            self.assertEqual((close["reply_code"], close["reply_text"]), (320, "CONNECTION_FORCED - user was deleted"))
            ann.send(amqp.method_frame(0, "connection.close-ok"))
            self.assertEqual(ann.receive(0, 5).name, amqp.EOF)
            guest.declare("", exclusive=True)
            guest.hang_up()
        with self.assertRaises(Refused):
            Client(self.broker.address, user="ann", password="secret")

    def test_what_is_invalid_changes_nothing_and_the_log_says_why(self):
        broken = CONFIG.replace('password = "secret"', 'password = "changed"')
        for name, text, why in (("a key", broken + "[limits]\nqeues = 3\n", r'unknown key "qeues"; did you mean "queues"'),
                                ("a pattern", broken.replace('"^ann-"', '"^(ann-"'), r"configure"),
                                ("TOML", broken + "[", r"linnet\.toml:\d+:\d+ ")):
            with self.subTest(name), Client(self.broker.address, user="ann", password="secret") as ann:
                self.reload(text, "nothing was reloaded")
                self.assertRegex(self.broker.log_text(), why)
                ann.declare("ann-1", exclusive=True)
                ann.hang_up()
        Client(self.broker.address, user="ann", password="secret").hang_up()

    def test_limits(self):
        self.reload(CONFIG + "[limits]\nconnections = 2\n")
        with harness.closing_all([Client(self.broker.address) for _ in range(2)]):
            with self.assertRaises((Refused, OSError)):
                Client(self.broker.address)
            self.reload(CONFIG)
            Client(self.broker.address).hang_up()

    def test_many_in_a_row_under_traffic(self):
        with Client(self.broker.address) as client:
            queue = client.declare("", exclusive=True).values["queue"]
            client.call(1, "basic.consume", queue=queue, no_ack=True)
            for i in range(20):
                self.reload(CONFIG + f"[limits]\nconsumers_per_channel = {i + 1}\n")
                client.publish(queue, b"%d" % i)
                self.assertEqual(client.expect(1, "basic.deliver").body, b"%d" % i)
            client.hang_up()


if __name__ == "__main__":
    unittest.main()
