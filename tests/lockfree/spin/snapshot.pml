/* Reclaiming the routing snapshot by quiescence (broker/lockfree/snapshot.hpp).
 *
 * One writer publishes VERSIONS versions; two readers take turns (read, use, announce), go offline
 * and come back. All are sequentially consistent here, as this is a model of the protocol; what
 * weaker orders would do is shown by snapshot_model_test.
 *
 * Claims: no version is freed while a reader holds it; every replaced version is freed in the end,
 * although readers may stay offline for ever.
 *
 * Broken variants:
 *   IGNORE_ONE_READER   the writer's scan forgets reader 0
 *   READ_BEFORE_ONLINE  a reader that comes back reads the pointer before it has announced itself
 *   NEVER_QUIESCENT     a reader takes turns for ever and announces none: nothing is ever freed
 */

#define READERS 2
#define VERSIONS 3
#define NONE 255

byte current = 0;       /* the published pointer */
byte epoch = 1;
byte seen[READERS];     /* 0: offline */
bool freed[VERSIONS];
byte holds[READERS] = NONE;   /* ghost: what reader i may be looking at */
byte freed_count = 0;

inline use() {
    version = current;
    atomic { holds[_pid] = version; assert(!freed[version]) }
    /* ... the turn: the writer may do anything now ... */
    assert(!freed[version])
}

inline come_online() {
#ifdef READ_BEFORE_ONLINE
    mine = epoch;
    version = current;
    atomic { holds[_pid] = version; assert(!freed[version]) }
    seen[_pid] = mine
#else
    mine = epoch;
    seen[_pid] = mine;
    skip                /* the second load of the epoch: orders memory, changes nothing here */
#endif
}

active [READERS] proctype reader() {
    byte mine;
    byte version;
    do
    /* Offline: it may stay so for ever, or come back. */
    :: break
    :: come_online();
#ifdef NEVER_QUIESCENT
       do
       :: use()
       od
#else
       do
       :: use();
          if
          :: holds[_pid] = NONE; mine = epoch; seen[_pid] = mine   /* quiescent() */
          :: holds[_pid] = NONE; break
          fi
       od;
       seen[_pid] = 0   /* offline() */
#endif
    od
}

active proctype writer() {
    byte published = 1;         /* the next version's number */
    byte oldest = 0;            /* the oldest one not freed */
    byte tag[VERSIONS];         /* the round it was retired in */
    byte slowest;
    byte s;
    byte i;
    do
    /* publish(): store the pointer, retire the old version under the next round. */
    :: published < VERSIONS ->
        current = published;
        atomic { tag[published - 1] = epoch + 1; published++ }

    /* reclaim(): begin the round, scan, free. */
    :: oldest + 1 < published ->
        if
        :: tag[published - 2] > epoch -> epoch++
        :: else
        fi;
        slowest = epoch;
#ifdef IGNORE_ONE_READER
        for (i : 1 .. READERS - 1) {
#else
        for (i : 0 .. READERS - 1) {
#endif
            s = seen[i];
            if
            :: s != 0 && s < slowest -> slowest = s
            :: else
            fi
        };
        do
        :: oldest + 1 < published && tag[oldest] <= slowest ->
            atomic {
                assert(holds[0] != oldest && holds[1] != oldest);
                freed[oldest] = true;
                freed_count++;
                oldest++
            }
        :: else -> break
        od

    :: oldest == VERSIONS - 1 -> break
    od
}

/* The writer publishes all its versions and tries again and again: then every old one is freed. */
ltl all_old_are_freed { <> (freed_count == VERSIONS - 1) }
