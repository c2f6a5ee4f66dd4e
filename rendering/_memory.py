"""Unaligned eight-byte loads and stores for the kernels: what NumPy views cannot say and loops over bytes do slowly."""

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


@intrinsic
def load_native(_typing, array, offset):  # type: ignore[no-untyped-def]
    """The uint64 at array[offset:offset + 8] in the machine's order. uint8 array; no bounds check."""

    def build(context, builder, signature, args):  # type: ignore[no-untyped-def]
        view = cgutils.create_struct_proxy(signature.args[0])(context, builder, args[0])
        source = builder.bitcast(builder.gep(view.data, [args[1]]), ir.IntType(64).as_pointer())
        return builder.load(source, align=1)

    return types.uint64(array, types.intp), build


@intrinsic
def trailing_zeros(_typing, word):  # type: ignore[no-untyped-def]
    """How many low bits of the uint64 `word` are zero, before the first that is one; 64 for 0."""

    def build(_context, builder, _signature, args):  # type: ignore[no-untyped-def]
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), build
