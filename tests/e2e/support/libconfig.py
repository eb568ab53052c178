"""Python values to a libconfig file: dict is a group, tuple a list of groups, list an array."""


def quote(text):
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + text.replace("\n", "\\n").replace("\t", "\\t") + '"'


def value(item):
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, int):
        return str(item)
    if isinstance(item, dict):
        return "{\n" + group(item) + "}"
    if isinstance(item, tuple):
        return "(\n" + ",\n".join(value(member) for member in item) + "\n)"
    if isinstance(item, list):
        return "[ " + ", ".join(value(member) for member in item) + " ]"
    return quote(str(item))


def group(settings):
    """A file, or the inside of a group. None leaves a key out."""
    return "".join(
        f"{key} = {value(item)};\n" for key, item in settings.items() if item is not None
    )
