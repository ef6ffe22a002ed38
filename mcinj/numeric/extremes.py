"""The larger and the smaller of two numbers, in a form that becomes vector instructions in loops.

The built-in `max` and `min` decide where nans go, and LLVM then keeps a loop of them scalar.
"""

from __future__ import annotations

from typing import Any

from numba.extending import intrinsic


def _chosen(comparison: str) -> Any:
    """The larger or smaller of two finite floats of one type."""

    @intrinsic  # type: ignore[untyped-decorator]
    def choose(typingctx: Any, a: Any, b: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            flags = ("nnan", "nsz")
            better = builder.fcmp_ordered(comparison, args[1], args[0], flags=flags)
            return builder.select(better, args[1], args[0], flags=flags)

        return a(a, a), codegen

    return choose


larger = _chosen(">")
smaller = _chosen("<")
