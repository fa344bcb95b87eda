"""Lists in prose."""


def some(items, count=4):
    """The first of a list, and how many more there are."""
    items = list(items)
    if len(items) <= count + 1:
        return listed(items)
    return f"{', '.join(items[:count])} and {len(items) - count} others"


def listed(items):
    """``a``, ``a and b``, ``a, b and c``."""
    items = [str(item) for item in items]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)
