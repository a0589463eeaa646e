"""The shape of a JSON value: the names and types of what is in it, so that two brokers' answers compare."""


def shape(value):
    if isinstance(value, dict):
        return {"NODE" if "@" in k else k: shape(v) for k, v in sorted(value.items())}
    if isinstance(value, list):
        merged = None
        for v in value:
            merged = shape(v) if merged is None else merge(merged, shape(v))
        return [] if merged is None else [merged]
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return "null" if value is None else "string"


def merge(a, b):
    """What elements of a list have in common is told once; a member that only some have counts."""
    if isinstance(a, dict) and isinstance(b, dict):
        return {k: merge(a[k], b[k]) if k in a and k in b else a.get(k, b.get(k))
                for k in sorted(a | b)}
    if isinstance(a, list) and isinstance(b, list):
        return [merge(a[0], b[0])] if a and b else a or b
    return b if a == "null" else a


def differences(theirs, ours, at=""):
    """(path, what) for each. Null says nothing of a type, and an empty list nothing of its elements."""
    if theirs == "null" or ours == "null":
        return
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for k in sorted(theirs | ours):
            where = f"{at}.{k}" if at else k
            if k not in ours:
                yield where, "missing"
            elif k not in theirs:
                yield where, "extra"
            else:
                yield from differences(theirs[k], ours[k], where)
    elif isinstance(theirs, list) and isinstance(ours, list):
        if theirs and ours:
            yield from differences(theirs[0], ours[0], at + "[]")
    elif theirs != ours:
        kind = lambda s: "object" if isinstance(s, dict) else "list" if isinstance(s, list) else s
        yield at, f"{kind(theirs)} there, {kind(ours)} here"
