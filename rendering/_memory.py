"""Unaligned eight-byte stores for the kernels: what NumPy views cannot say and a loop over bytes would do slowly."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _typed_store(swap: bool) -> Any:
    def generator(_typing: Any, array: Any, offset: Any, word: Any) -> Any:
        def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            view = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
            target = builder.bitcast(builder.gep(view.data, [args[1]]), ir.IntType(64).as_pointer())
            builder.store(builder.bswap(args[2]) if swap else args[2], target, align=1)
            return context.get_dummy_value()

        return types.void(array, types.intp, types.uint64), build

    return generator


@intrinsic
def store_native(_typing, array, offset, word):  # type: ignore[no-untyped-def]
    """array[offset:offset + 8] = the bytes of the uint64 `word` in the machine's order. uint8 array; no bounds check."""
    return _typed_store(False)(_typing, array, offset, word)


@intrinsic
def store_big_endian(_typing, array, offset, word):  # type: ignore[no-untyped-def]
    """array[offset:offset + 8] = the bytes of the uint64 `word`, most significant first. uint8 array; no bounds check."""
    return _typed_store(True)(_typing, array, offset, word)
