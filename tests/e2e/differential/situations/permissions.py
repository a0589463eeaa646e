"""Configure, write and read rights; the users stand in fixtures.py."""

from engine import situation


def _limited(t):
    """Rights on names that begin with `mine` (and, for writing and reading, amq.topic)."""
    return t.connect(user="limited", password="limited").channel()


@situation
def declare(t):
    ch = _limited(t)
    ch.reply("queue.declare", queue="mine" + t.token, exclusive=True)
    ch.reply("queue.declare", queue="theirs" + t.token, exclusive=True)
    ch.reply("exchange.declare", exchange="theirs" + t.token, type="fanout")
    ch.reply("queue.declare", queue="", exclusive=True)


@situation
def declare_passive(t):
    t.channel().queue("theirs.passive" + t.token, exclusive=True)
    ch = _limited(t)
    ch.reply("queue.declare", queue="theirs.passive" + t.token, passive=True)
    ch.reply("exchange.declare", exchange="amq.direct", passive=True)


@situation
def delete_and_purge(t):
    owner = t.channel()
    owner.queue("theirs.delete" + t.token)
    ch = _limited(t)
    ch.reply("queue.delete", queue="theirs.delete" + t.token)
    ch.reply("queue.purge", queue="theirs.delete" + t.token)
    ch.reply("exchange.delete", exchange="theirs" + t.token)
    ch.reply("queue.delete", queue="theirs.missing" + t.token)
    owner.call("queue.delete", queue="theirs.delete" + t.token)


@situation
def publish(t):
    ch = _limited(t)
    ch.publish("amq.direct", "k")
    ch.event()
    ch.reopen()
    ch.publish("", "k")
    ch.event()


@situation
def publish_to_missing(t):
    ch = _limited(t)
    ch.publish("theirs.missing" + t.token, "k")
    ch.event()


@situation
def consume_and_get(t):
    owner = t.channel()
    owner.queue("theirs.consume" + t.token)
    ch = _limited(t)
    ch.reply("basic.consume", queue="theirs.consume" + t.token)
    ch.reply("basic.get", queue="theirs.consume" + t.token)
    owner.call("queue.delete", queue="theirs.consume" + t.token)


@situation
def bind(t):
    ch = _limited(t)
    ch.queue("mine.bind" + t.token, exclusive=True)
    ch.reply("queue.bind", queue="mine.bind" + t.token, exchange="amq.direct", routing_key="k")
    ch.reply("queue.unbind", queue="mine.bind" + t.token, exchange="amq.direct", routing_key="k")
    ch.reply("exchange.bind", destination="amq.direct", source="amq.topic", routing_key="open.k")
    ch.reply("queue.bind", queue="theirs" + t.token, exchange="amq.topic", routing_key="k")


@situation
def reader_writes(t):
    ch = t.connect(user="reader", password="reader").channel()
    ch.publish("amq.fanout", "k")
    ch.event()
    ch.reply("queue.declare", queue="", exclusive=True)
    ch.reply("exchange.declare", exchange="amq.fanout", type="fanout", durable=True)


@situation
def topic_publish(t):
    ch = _limited(t)
    ch.publish("amq.topic", "open.back.door", mandatory=True)  # three words: no binding of others fits
    ch.event()
    ch.publish("amq.topic", "closed.door")
    ch.event()


@situation
def topic_bind(t):
    ch = _limited(t)
    ch.queue("mine.topic" + t.token, exclusive=True)
    ch.reply("queue.bind", queue="mine.topic" + t.token, exchange="amq.topic",
             routing_key="open.*")
    ch.reply("queue.bind", queue="mine.topic" + t.token, exchange="amq.topic",
             routing_key="closed.*")
    ch.reply("queue.bind", queue="mine.topic" + t.token, exchange="amq.topic", routing_key="#")
    ch.reply("queue.unbind", queue="mine.topic" + t.token, exchange="amq.topic",
             routing_key="closed.*")


@situation
def dead_letter_exchange(t):
    """Declaring a queue that dead-letters needs read on the queue and write on the exchange."""
    ch = _limited(t)
    ch.reply("queue.declare", queue="mine.dlx" + t.token, exclusive=True,
             arguments={"x-dead-letter-exchange": "amq.direct"})
    ch.reply("queue.declare", queue="mine.dlx2" + t.token, exclusive=True,
             arguments={"x-dead-letter-exchange": "mine.x"})


@situation
def alternate_exchange(t):
    ch = _limited(t)
    ch.reply("exchange.declare", exchange="mine.ae" + t.token, type="fanout", auto_delete=True,
             arguments={"alternate-exchange": "theirs"})
    ch.reply("exchange.declare", exchange="mine.ae" + t.token, type="fanout", auto_delete=True,
             arguments={"alternate-exchange": "mine.other"})
    ch.reply("exchange.delete", exchange="mine.ae" + t.token)


@situation
def reply_to_needs_none(t):
    ch = _limited(t)
    ch.consume("amq.rabbitmq.reply-to", no_ack=True)


@situation
def missing_before_refused(t):
    """Refused is said even of what does not exist."""
    ch = _limited(t)
    ch.reply("basic.get", queue="theirs.missing" + t.token)
    ch.reply("queue.purge", queue="theirs.missing" + t.token)
    ch.reply("queue.declare", queue="theirs.missing" + t.token, passive=True)
    ch.reply("exchange.declare", exchange="theirs.missing" + t.token, passive=True)
