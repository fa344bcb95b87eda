"""Lists and numbers in prose."""


def some(items, count=3):
    """The first of a list, and how many more there are."""
    items = list(items)
    if len(items) <= count + 1:
        return listed(items)
    return f"{', '.join(items[:count])} and {len(items) - count} others"


def listed(items):
    """``a``, ``a and b``, ``a, b and c``."""
    items = [str(item) for item in items]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def printed(number, form):
    """A number in a format, with a real minus, and none before a zero."""
    sign, rest = ("+", form[1:]) if form.startswith("+") else ("", form)
    return format(number, sign + "z" + rest).replace("-", "−")


def chance(p):
    """A p-value, in the two digits that its ten thousand flips carry."""
    if p > 0.99:
        return "p > 0.99"
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"
