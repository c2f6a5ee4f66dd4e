"""Unaligned eight-byte loads and stores for the kernels: what NumPy views cannot say and loops over bytes do slowly.

All take a uint8 array and check no bounds. `native` is the machine's byte order, which the PNG encoder takes to be little-endian.

    store_native(array, offset, word)      array[offset:offset + 8] = the bytes of the uint64 `word`
    store_big_endian(array, offset, word)  the same, most significant byte first
    load_native(array, offset)             the uint64 at array[offset:offset + 8]
    trailing_zeros(word)                   how many low bits of the uint64 `word` are zero; 64 for 0
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils as _cgutils
from numba.extending import intrinsic

cgutils: Any = _cgutils


def _pointer(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    view = cgutils.create_struct_proxy(kind)(context, builder, array)
    return builder.bitcast(builder.gep(view.data, [offset]), ir.IntType(64).as_pointer())


def _store_native(_typing: Any, array: Any, offset: Any, word: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _pointer(context, builder, signature.args[0], args[0], args[1]), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), build


def _store_big_endian(_typing: Any, array: Any, offset: Any, word: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        swapped = builder.bswap(args[2])  # from little-endian, which every machine of ours is
        builder.store(swapped, _pointer(context, builder, signature.args[0], args[0], args[1]), align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.uint64), build


def _load_native(_typing: Any, array: Any, offset: Any) -> Any:
    def build(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_pointer(context, builder, signature.args[0], args[0], args[1]), align=1)

    return types.uint64(array, types.intp), build


def _trailing_zeros(_typing: Any, word: Any) -> Any:
    def build(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), build


store_native: Any = intrinsic(_store_native)
store_big_endian: Any = intrinsic(_store_big_endian)
load_native: Any = intrinsic(_load_native)
trailing_zeros: Any = intrinsic(_trailing_zeros)
