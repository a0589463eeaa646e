"""The situations, by AMQP class. Importing this package registers them all, in this order."""

from . import handshake, framing, channel, exchange, queue, queue_arguments  # noqa: F401
from . import basic, properties, confirm, tx, dead_letter, permissions, streams  # noqa: F401
