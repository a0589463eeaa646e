#!/bin/sh
# Checks one model, or one broken variant of it, with spin.
#
#   check.sh SPIN CC MODEL.pml correct|MACRO
#
# `correct`: every claim must hold in every interleaving. A MACRO breaks the model in the way its
# first comment says, and then spin must find an error: a checker that cannot fail proves nothing.
# Safety (assertions, deadlock) is searched first, then liveness (the ltl claims, weakly fair).
set -eu

spin=$1 cc=$2 model=$3 variant=$4
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT INT TERM
cd "$work"

define=
[ "$variant" = correct ] || define=-D$variant

# spin preprocesses with a compiler of its own choice; the defines reach the model through it.
"$spin" -a $define "$model" > spin.out 2>&1 || { cat spin.out; exit 2; }
[ -f pan.c ] || { cat spin.out; exit 2; }

# search NAME CFLAGS... -- PAN_FLAGS...: prints what was found. Returns 0 if nothing is wrong, 1 if
# something is, 2 if the search itself failed.
search() {
    name=$1; shift
    flags=
    while [ "$1" != -- ]; do flags="$flags $1"; shift; done
    shift
    "$cc" -O2 -w -DVECTORSZ=4096 $flags -o "pan_$name" pan.c || return 2
    "./pan_$name" -m1000000 "$@" > "$name.out" 2>&1 || true
    if grep -q 'max search depth too small\|out of memory\|VECTORSZ' "$name.out"; then
        cat "$name.out"; return 2
    fi
    errors=$(sed -n 's/.*errors: \([0-9]*\).*/\1/p' "$name.out")
    states=$(sed -n 's/^ *\([0-9]*\) states, stored.*/\1/p' "$name.out")
    [ -n "$errors" ] || { cat "$name.out"; return 2; }
    echo "$name: $states states, errors: $errors"
    [ "$errors" -eq 0 ] || { grep '^pan:' "$name.out"; return 1; }
}

verdict=0
search safety -DSAFETY -DNOCLAIM -- || verdict=$?
if [ "$verdict" -eq 0 ]; then
    for claim in $(sed -n 's/^ltl \([a-z_]*\).*/\1/p' "$model"); do
        search "$claim" -DNFAIR=8 -- -a -f -N "$claim" || { verdict=$?; break; }
    done
fi

case $variant/$verdict in
    */2) echo "the search did not complete"; exit 2 ;;
    correct/0) echo "holds" ;;
    correct/1) echo "the model is wrong"; exit 1 ;;
    */0) echo "the broken variant $variant was not caught"; exit 1 ;;
    */1) echo "caught" ;;
esac
