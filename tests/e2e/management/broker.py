"""A linnetd whose management API and metrics can be asked."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "support"))

import linnetd  # noqa: E402
from api import Api  # noqa: E402

# Two shards, so that what must travel between them does, whatever the machine has.
SETTINGS = ("shards=2",)
LISTEN = ("amqp=127.0.0.1:0", "mqtt=127.0.0.1:0", "http=127.0.0.1:0", "metrics=127.0.0.1:0")


class Broker(linnetd.Linnetd):
    def __init__(self, **options):
        options.setdefault("settings", SETTINGS)
        super().__init__(listen=LISTEN, **options)

    def api(self, user="guest", password="guest"):
        return Api(self.address_of("http"), user, password)
