"""The names that a request's method has in numbers, traces and logs: a client can make up any other."""

KNOWN = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def method_name(method: str) -> str:
    """A known method as it is; "other" for all else, so that nobody can make up names without end."""
    return method if method in KNOWN else "other"
