/* Two shards that answer each other through rings that are full: what a shard produces while it
 * drains goes to a local list bounded by credit.
 *
 * Each shard reads requests from its own clients and sends them to the other shard; the other
 * answers each with a reply through the ring that leads back. The ring holds one item, so both are
 * full most of the time. A shard that finds the ring full puts the item into a local list and goes
 * on draining. It reads no further request from its clients while it has no credit: credit is the
 * number of requests of its own that are not answered, and that bounds both lists.
 *
 * Claims: no deadlock; every request is answered; the local list never grows beyond its bound.
 *
 * Broken variants:
 *   WAIT_FOR_ROOM   a shard waits for room in the ring instead of using its list
 *   NO_CREDIT       a shard reads requests without regard to credit: the list's bound breaks
 */

#define CAPACITY 1
#define CREDIT 2
#define REQUESTS 4
/* Own requests in flight, and replies owed to the other shard, which its credit bounds. */
#define LIST_BOUND (CREDIT + CREDIT)

mtype = { request, reply };
chan ring[2] = [CAPACITY] of { mtype };   /* ring[i] leads to shard i */
chan list[2] = [LIST_BOUND + 1] of { mtype };
byte answered[2];

#define all_answered (answered[0] == REQUESTS && answered[1] == REQUESTS)

/* Sends, or keeps for later; items stay in order, so nothing overtakes the list. */
inline send(item) {
#ifdef WAIT_FOR_ROOM
    ring[other] ! item
#else
    if
    :: atomic { empty(list[self]) && nfull(ring[other]) -> ring[other] ! item }
    :: atomic {
        (nempty(list[self]) || full(ring[other])) ->
            assert(len(list[self]) < LIST_BOUND);
            list[self] ! item
       }
    fi
#endif
}

active [2] proctype shard() {
    byte self = _pid;
    byte other = 1 - _pid;
    byte asked = 0;
    mtype item;
end:
    do
    /* The list first, as far as there is room. */
    :: atomic { nempty(list[self]) && nfull(ring[other]) -> list[self] ? item; ring[other] ! item }

    /* Drain: a request is answered, a reply gives credit back. */
    :: ring[self] ? item ->
        if
        :: item == request -> send(reply)
        :: item == reply -> answered[self]++
        fi

    /* Read a client's request, if there is credit. */
#ifdef NO_CREDIT
    :: asked < REQUESTS -> asked++; send(request)
#else
    :: asked < REQUESTS && asked - answered[self] < CREDIT -> asked++; send(request)
#endif
    od
}

ltl all_is_answered { <> all_answered }
