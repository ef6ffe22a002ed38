"""What families of series are called in titles, legends and file names."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mcinj.errors import InputError
from mcinj.infer import Family

_LAWS = {"gaussian": "Gaussian", "rademacher": "±1", "xavier": "Xavier", "sphere": "spherical"}


def law_name(ensemble: str) -> str:
    """A law for people.

    >>> law_name("rademacher"), law_name("sparse:0.3")
    ('±1', 'sparse 0.3')
    """
    # A user's own law is recorded as name@digest.
    return _LAWS.get(ensemble, ensemble.partition("@")[0].replace(":", " "))


def behind(family: Family) -> str:
    """The earlier layers: "behind 6.7 n, 8.3 n", empty for one layer."""
    return "behind " + ", ".join(f"{r} n" for r in family.before.split(", ")) if family.ratios else ""


def family_title(family: Family) -> str:
    """The whole name: "layer 3 behind 6.7 n, 8.3 n, Gaussian weights: global".

    For one layer the criteria are the same thing, and none is named.
    """
    if not family.ratios:
        law = law_name(family.ensemble)
        return f"one {law} layer" if family.ensemble == "gaussian" else f"one layer, {law} weights"
    return f"layer {family.layers} {behind(family)}, {law_name(family.ensemble)} weights: {family.criterion}"


def short_names(families: Sequence[Family]) -> list[str]:
    """Names that tell these families apart and repeat nothing that they share; the titles where that takes it all."""
    parts = [
        (
            "one layer" if family.layers == 1 else f"{family.layers} layers",
            "" if family.layers == 1 else family.criterion,
            law_name(family.ensemble),
            behind(family),
        )
        for family in families
    ]
    if len(families) == 1:
        return [family_title(families[0])]
    varying = [k for k in range(4) if len({p[k] for p in parts}) > 1]
    # The ratios last: a chain of layers is told by its depth alone.
    chosen: list[int] = []
    for k in varying:
        chosen.append(k)
        names = [", ".join(p[i] for i in chosen if p[i]) for p in parts]
        if len(set(names)) == len(names) and all(names):
            return names
    return [family_title(f) for f in families]


def slugs(families: Sequence[Family]) -> list[str]:
    """Endings of file names: "" for a family alone, else "_2-layers-global" and the like, all different."""
    if len(families) == 1:
        return [""]
    found: list[str] = []
    for name in short_names(families):
        plain = name.replace("±1", "rademacher").replace(" n", "n").lower()
        slug = "_" + re.sub(r"[^a-z0-9.]+", "-", plain).strip("-.")
        same = sum(1 for other in found if other == slug or other.startswith(slug + "-again"))
        found.append(slug + (f"-again{same + 1}" if same else ""))
    return found


def choose(families: Sequence[Family], name: str | None) -> Family:
    """The only family, or the one of that name (`short_names`, or a whole title); `InputError` that lists them else."""
    if name is None and len(families) == 1:
        return families[0]
    for family, short in zip(families, short_names(families) if families else [], strict=True):
        if name in (short, family_title(family)):
            return family
    if not families:
        raise InputError("the table has no series of thresholds")
    have = "; ".join(repr(short) for short in short_names(families))
    if name is None:
        raise InputError(f"the table has {len(families)} families; name one of {have}")
    raise InputError(f"there is no family {name!r}; the table has {have}")
