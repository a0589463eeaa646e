"""What a broker has promised so far, and whether it keeps it: the checker of the crash tests.

It is told of everything in the order in which the clients did and saw it, and of each crash. It knows nothing of
sockets; history_test.py shows each rule a history that breaks it.

A *copy* is one message in one queue. Its life:

    sent ----confirm, or seen after a crash----> sure        must be there, whatever happens
      |                                            |
      +----------------settle----------------------+--> settled   may come back after a crash, but flagged
                                                          |
                                     processed before a later confirm of the same queue,
                                     or part of a committed transaction
                                                          +--> gone      must never come back

A copy that a complete reading of its queue did not show, and that need not be there, is forgotten; should it ever
come back, it counts as resurrected. A delayed message is in no queue until it is due, and may be missing until
`patience` after that.

Where a delayed message's queue lies in another log than the message had waited in, a crash may double it: in those
queues (`doubled`) a second copy breaks no rule as long as it says to be redelivered.

Dead-lettering moves a copy: a crash may double it, so the queues where dead letters go are read with less rigour
(`loose`: no rule about order, doubles or what was settled), but between source and target it must never vanish.
"""

import collections
import time

SENT, SURE, SETTLED, GONE = range(4)
SHOWN_MAX = 4  # of each rule

RULES = {
    "lost": "a confirmed message that nobody settled is not there",
    "unpublished": "a message that was never published to this queue",
    "resurrected": "a message that had been missing or settled before is back, or one of another queue",
    "settled": "a settled message came back",
    "unflagged": "a message that was delivered before came back without redelivered",
    "duplicate": "a message is there twice",
    "order": "messages of one channel in one queue out of order",
    "moved": "two messages changed places between two readings",
    "torn": "a transaction was applied in part",
    "uncommitted": "a message of a transaction that was not committed",
    "early": "a delayed message before its time",
    "corrupt": "a message whose bytes are not those that were published",
    "gap": "offsets of a stream with a gap or out of order",
    "rewritten": "a confirmed offset of a stream holds another message",
    "topology": "what was declared is gone, or what was deleted is back",
}


class Copy:
    __slots__ = ("state", "delivered", "held", "place", "group", "due")

    def __init__(self, group, due=0.0):
        self.state, self.delivered, self.held, self.place, self.group, self.due = SENT, False, False, -1, group, due


class Group:
    """A transaction: all of it or nothing."""

    def __init__(self):
        self.copies, self.settles = [], []  # (queue, id)
        self.asked = False  # to commit


class History:
    """A message's id is publisher << 40 | sequence; sequences of a publisher only grow."""

    def __init__(self, loose=(), unordered=(), doubled=(), patience=20.0, clock=time.time):
        self.loose, self.unordered = frozenset(loose), frozenset(unordered)
        self.doubled = frozenset(doubled)
        self.patience, self.clock = patience, clock
        self.queues = collections.defaultdict(dict)  # queue -> id -> Copy
        self.sequence = collections.defaultdict(lambda: -1)  # publisher -> last sequence
        self.newest = collections.defaultdict(dict)  # (queue, consumer) -> publisher -> last first-time delivery
        self.processed = collections.defaultdict(collections.deque)  # queue -> (after which id count, ids)
        self.published_at = {}  # id -> its number among all publishes, while unconfirmed
        self.publishes = 0
        self.buried = {}  # (queue, id) -> where the dead letter goes, and whether it must arrive
        self.groups = []  # asked to commit, and no answer
        self.aborted = set()  # ids of transactions without effect
        self.confirmed = self.delivered = self.settled = self.crashes = self.came_back = 0
        self.ending = False  # connections are being closed: what one held may come to another before we hear of it
        self.ignored = ()  # rules that another broker does not claim to keep
        self.violations = []  # (rule, text), the first few of each
        self.broken = collections.Counter()

    # ---- What clients do -----------------------------------------------------------------------
    def publish(self, message, queues, group=None, due=0.0):
        self.sequence[message >> 40] = message & (1 << 40) - 1
        self.publishes += 1
        self.published_at[message] = self.publishes
        for queue in queues:
            self.queues[queue][message] = Copy(group, due)
            if group is not None:
                group.copies.append((queue, message))

    def confirm(self, message, queues):
        """The broker has taken the message into all of the queues."""
        self.confirmed += 1
        when = self.published_at.pop(message, 0)
        for queue in queues:
            self._make_sure(queue, message)
            processed = self.processed[queue]
            while processed and processed[0][0] < when:
                for settled in processed.popleft()[1]:
                    copy = self.queues[queue].get(settled)
                    if copy is not None and copy.state == SETTLED:
                        copy.state = GONE

    def refuse(self, message):
        """A nack: it may be anywhere, or nowhere."""
        self.published_at.pop(message, None)

    def _make_sure(self, queue, message):
        copy = self.queues[queue].get(message)
        if copy is not None and copy.state == SENT:
            copy.state = SURE
        elif (queue, message) in self.buried:
            self.buried[queue, message] = self.buried[queue, message][0], True

    def deliver(self, queue, message, redelivered, consumer=None):
        """To a consumer, in the middle of it all. Between two consumers nobody can see an order."""
        self.delivered += 1
        copy = self._known(queue, message)
        if copy is None or queue in self.loose:
            return
        if copy.group is not None and not copy.group.asked:
            self._violate("uncommitted", queue, message)
        if self.ending and copy.delivered and not redelivered:
            return  # heard late: it went to this consumer before it went to the other one, of whom we heard first
        self._in_time(queue, message, copy)
        if copy.held and not self.ending and not self._may_be_second(queue, redelivered):
            self._violate("duplicate", queue, message, "delivered while another consumer holds it")
        if copy.state in (SETTLED, GONE):
            self._returned(queue, message, copy, redelivered)
        elif copy.delivered and not redelivered:
            self._violate("unflagged", queue, message)
        if not redelivered:
            self._in_order(queue, message, consumer)
        copy.delivered = copy.held = True

    def _may_be_second(self, queue, redelivered):
        return redelivered and self.crashes > 0 and queue in self.doubled

    def _in_order(self, queue, message, consumer):
        publisher, newest = message >> 40, self.newest[queue, consumer]
        if queue in self.unordered:
            return
        if newest.get(publisher, -1) >= message:
            self._violate("order", queue, message, f"after {name(newest[publisher])}")
        newest[publisher] = message

    def _in_time(self, queue, message, copy):
        early = copy.due - self.clock()
        if early > 0:
            self._violate("early", queue, message, f"by {early:.3f} s")
            copy.due = 0.0

    def _returned(self, queue, message, copy, redelivered):
        if copy.state == GONE and not self._may_be_second(queue, redelivered):
            self._violate("settled", queue, message, "although a later confirm covers the settlement")
        elif not redelivered:
            self._violate("settled", queue, message, "without redelivered")
        elif self.crashes == 0:
            self._violate("settled", queue, message, "without a crash")
        self.came_back += 1
        self.buried.pop((queue, message), None)  # it has risen
        copy.state = SURE

    def settle(self, queue, message):
        copy = self.queues[queue].get(message)
        if copy is not None:
            copy.state, copy.held = SETTLED, False
            self.settled += 1

    def bury(self, queue, message, target):
        """Rejected for good, from a queue with a dead-letter exchange."""
        copy = self.queues[queue].get(message)
        if copy is None:
            return
        sure = copy.state == SURE
        self.settle(queue, message)
        letter = self.queues[target].setdefault(message, Copy(None))
        if letter.state == SENT:
            self.buried[queue, message] = target, sure

    def settles_processed(self, queue, messages):
        """The broker has answered something that it read after these settlements."""
        self.processed[queue].append((self.publishes, messages))

    def requeue(self, queue, message):
        copy = self.queues[queue].get(message)
        if copy is not None:
            copy.held = False

    # ---- Transactions --------------------------------------------------------------------------
    def settle_in(self, group, queue, message):
        """Acknowledged in a transaction that is still open: until the commit it stays held."""
        group.settles.append((queue, message))

    def commit_sent(self, group):
        group.asked = True
        self.groups.append(group)

    def committed(self, group):
        self.groups.remove(group)
        self.confirmed += len(group.copies)
        for queue, message in group.copies:
            self.published_at.pop(message, None)
            self._make_sure(queue, message)
        for queue, message in group.settles:
            self.settle(queue, message)
            if message in self.queues[queue]:
                self.queues[queue][message].state = GONE

    def rolled_back(self, group):
        """Or never asked to commit: its publishes must never be seen, its settlements are void."""
        for queue, message in group.copies:
            self.published_at.pop(message, None)
            self.queues[queue].pop(message, None)
            self.aborted.add(message)

    # ---- Crashes -------------------------------------------------------------------------------
    def clean_stop(self):
        """The daemon was asked to end, and ended: what it is known to have read is for good."""
        for queue, processed in self.processed.items():
            for _, messages in processed:
                for message in messages:
                    copy = self.queues[queue].get(message)
                    if copy is not None and copy.state == SETTLED:
                        copy.state = GONE
        self.crash()

    def crash(self):
        self.crashes += 1
        self.ending = False
        for copies in self.queues.values():
            for copy in copies.values():
                copy.held = False
        self.newest.clear()
        self.processed.clear()
        self.published_at.clear()

    def recovered(self, contents):
        """Every queue, read to its end at once with nothing settled: queue -> [(id, redelivered)]."""
        present = {queue: self._read(queue, content) for queue, content in contents.items()}
        for (queue, message), (target, sure) in self.buried.items():
            letter = self.queues[target].get(message)
            there = message in present.get(queue, (message,)) or message in present.get(target, (message,))
            if sure and not there and letter is not None and letter.state == SENT:
                self._violate("lost", queue, message, f"neither there nor in {target}")
        self.buried.clear()
        for group in self.groups:
            self._judge(group, present)
        self.groups.clear()
        for queue, there in present.items():
            self._miss(queue, there)

    def _read(self, queue, content):
        if queue in self.loose:
            return self._read_loosely(queue, content)
        there, last, place_before = set(), {}, -1
        for place, (message, redelivered) in enumerate(content):
            copy = self._known(queue, message)
            if copy is None:
                continue
            if message in there:
                if not self._may_be_second(queue, redelivered):
                    self._violate("duplicate", queue, message)
                continue
            there.add(message)
            publisher = message >> 40
            if last.get(publisher, -1) > message and queue not in self.unordered:
                self._violate("order", queue, message, f"after {name(last[publisher])}")
            last[publisher] = message
            if copy.place >= 0 and queue not in self.doubled:
                if copy.place < place_before:
                    self._violate("moved", queue, message)
                place_before = copy.place
            self._back(queue, message, copy, redelivered)
            copy.place = place
        return there

    def _read_loosely(self, queue, content):
        there = {message for message, _ in content if self._known(queue, message) is not None}
        for message in there:
            self.queues[queue][message].state = SURE
        return there

    def _back(self, queue, message, copy, redelivered):
        self._in_time(queue, message, copy)
        if copy.state in (SETTLED, GONE):
            self._returned(queue, message, copy, redelivered)
        elif copy.delivered and not redelivered:
            self._violate("unflagged", queue, message)
        copy.state = SURE
        copy.delivered = True

    def _judge(self, group, present):
        """The commit was on its way when the daemon died."""
        # Who has seen and settled a copy already says nothing about the crash.
        copies = [(q, m) for q, m in group.copies if q in present and (c := self.queues[q].get(m)) is not None
                  and (c.state not in (SETTLED, GONE) or m in present[q])]
        settles = [(q, m) for q, m in group.settles if q in present and m in self.queues[q]]
        applied = [m in present[q] for q, m in copies] + [m not in present[q] for q, m in settles]
        if any(applied) and not all(applied):
            where, message = (copies + settles)[0]
            self._violate("torn", where, message, f"{sum(applied)} of {len(applied)} parts were applied")
        for queue, message in settles:
            if message not in present[queue]:
                self.queues[queue][message].state = SETTLED

    def _miss(self, queue, there):
        copies, soon = self.queues[queue], self.clock() - self.patience
        for message in [m for m, copy in copies.items() if m not in there and copy.due < soon]:
            if copies[message].state == SURE:
                self._violate("lost", queue, message)
            del copies[message]

    # ---- Findings ------------------------------------------------------------------------------
    def _known(self, queue, message):
        copy = self.queues[queue].get(message)
        if copy is None:
            self._violate(self._stranger(message), queue, message)
        return copy

    def _stranger(self, message):
        if message in self.aborted:
            return "uncommitted"
        seen = message & (1 << 40) - 1 <= self.sequence.get(message >> 40, -1)
        return "resurrected" if seen else "unpublished"

    def violate(self, rule, text):
        assert rule in RULES
        if rule in self.ignored:
            return
        self.broken[rule] += 1
        if self.broken[rule] <= SHOWN_MAX:
            self.violations.append((rule, text))

    def _violate(self, rule, queue, message, more=""):
        self.violate(rule, f"{queue}: {name(message)}: {RULES[rule]} {more}".rstrip())

    @property
    def waiting(self):
        """Delayed messages that must still come."""
        return sum(1 for q in self.unordered for copy in self.queues[q].values() if copy.state == SURE and not copy.delivered)

    @property
    def alive(self):
        return sum(len(copies) for copies in self.queues.values())

    @property
    def sure(self):
        """How many copies a reading must find."""
        return sum(c.state == SURE for q, copies in self.queues.items() if q not in self.loose for c in copies.values())


class Stream:
    """A stream: append-only, read from any offset, nothing ever settled."""

    def __init__(self, history, queue):
        self.history, self.queue = history, queue
        self.sent, self.sure = set(), set()  # ids without an offset yet: may be there; must be
        self.at = {}  # offset -> id, from readings after a crash: for good
        self.places = {}  # the other way round

    def publish(self, message):
        self.history.sequence[message >> 40] = message & (1 << 40) - 1
        self.sent.add(message)

    def confirm(self, message):
        self.history.confirmed += 1
        self.sure.add(message)

    def deliver(self, offset, message):
        """To a reader while all goes on."""
        self.history.delivered += 1
        if self.at.get(offset, message) != message:
            self._violate("rewritten", message, f"offset {offset} was {name(self.at[offset])}")
        if message not in self.sent and message not in self.places:
            self._violate(self.history._stranger(message), message)

    def recovered(self, content, start=0):
        """All of it from an offset on: [(offset, id)]."""
        last, expected = {}, start
        for offset, message in content:
            if offset != expected:
                self._violate("gap", message, f"offset {offset} where {expected} was due")
            expected = offset + 1
            self.deliver(offset, message)
            if self.places.get(message, offset) != offset:
                self._violate("duplicate", message)
            publisher = message >> 40
            if last.get(publisher, -1) > message:
                self._violate("order", message, f"after {name(last[publisher])}")
            last[publisher] = message
            self.at[offset], self.places[message] = message, offset
        for offset in range(expected, len(self.at)):
            self._violate("lost", self.at[offset], f"offset {offset}")
        for message in self.sure:
            if message not in self.places:
                self._violate("lost", message)
        self.sent, self.sure = set(), set()

    def _violate(self, rule, message, more=""):
        self.history._violate(rule, self.queue, message, more)


def name(message):
    return f"message {message & (1 << 40) - 1} of publisher {message >> 40}"
