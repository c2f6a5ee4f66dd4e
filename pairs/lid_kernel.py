"""fastText's classifier, compiled: a text's words and n-grams, the rows of their vectors, the way down the tree of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from pairs.jit import jit


@jit
def _step(h: Any, byte: Any) -> Any:
    """FNV-1a over bytes, taken as fastText takes them: as signed characters."""
    return np.uint32((h ^ np.uint32(np.int32(np.int8(byte)))) * np.uint32(16777619))


@jit
def _letters(
    data: Any,
    at: int,
    end: int,
    words: Any,
    word_row: Any,
    letter: Any,
    size: Any,
    rest: Any,
    starts: Any,
    word: Any,
    maxn: int,
) -> tuple[int, int]:
    """Cuts one text into words, each between `<` and `>`, and these into letters; returns how many of both.

    Fills, for each letter, its bytes as one number (the first lowest), how many these are, and how many letters of its word are
    left, itself included (255 where these are more than `maxn`); for each word where it starts and its row, -1 where it has none.
    """
    n = count = 0
    while at < end:
        byte = data[at]
        if byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0):
            at += 1
            continue
        starts[count] = n
        letter[n], size[n], rest[n] = 60, 1, 255  # <
        n += 1
        key = np.uint64(0xCBF29CE484222325)
        while at < end:
            byte = data[at]
            if byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte == 0):
                break
            key = (key ^ np.uint64(byte)) * np.uint64(0x100000001B3)
            if byte & 0xC0 == 0x80 and size[n - 1] < 4:
                letter[n - 1] |= np.uint32(byte) << np.uint32(8 * size[n - 1])
                size[n - 1] += 1
            else:
                letter[n], size[n], rest[n] = byte, 1, 255
                n += 1
            at += 1
        letter[n], size[n] = 62, 1  # >
        n += 1
        for place in range(max(starts[count], n - maxn), n):
            rest[place] = n - place
        key |= np.uint64(1)
        slot = np.int64(key & np.uint64(len(words) - 1))
        word[count] = -1
        while words[slot] != 0:
            if words[slot] == key:
                word[count] = word_row[slot]
                break
            slot = (slot + 1) & (len(words) - 1)
        count += 1
    return n, count


@jit
def _parts(
    n: int, count: int, kept: Any, first_row: Any, buckets: Any, minn: int, maxn: int, letter: Any, size: Any, rest: Any,
    starts: Any, word: Any, hashes: Any, bucket: Any, known: Any, rows: Any,
) -> int:  # fmt: skip
    """Rows of the words and n-grams of one text, in fastText's order; returns how many.

    All n-grams are hashed first, n by n: that is what makes a compiler do many at once.
    """
    several = False
    for at in range(n):
        several |= size[at] != 1
        hashes[at] = np.uint32(2166136261)
        known[at] = 0
    for gram in range(1, maxn + 1):
        # Beyond the text stands what was there before: `rest` says that it does not count.
        for at in range(n):
            hashes[at] = _step(hashes[at], letter[at + gram - 1])
        if several:
            for at in range(n):
                following, length = letter[at + gram - 1], size[at + gram - 1]
                h = hashes[at]
                second = _step(h, following >> np.uint32(8))
                h = second if length > 1 else h
                third = _step(h, following >> np.uint32(16))
                h = third if length > 2 else h
                fourth = _step(h, following >> np.uint32(24))
                hashes[at] = fourth if length > 3 else h
        if gram < minn:
            continue
        level = gram - minn
        if buckets == np.uint32(2000000):  # a divisor that the compiler knows is several times as fast
            for at in range(n):
                bucket[level, at] = hashes[at] % np.uint32(2000000)
        else:
            for at in range(n):
                bucket[level, at] = hashes[at] % buckets
        for at in range(n):
            b = np.int64(bucket[level, at])
            bit = (kept[b >> 5] >> np.uint32(b & 31)) & np.uint32(1)
            known[at] |= (bit & np.uint32(gram <= rest[at])) << np.uint32(level)
    if minn == 1:
        for number in range(count):  # < and > alone are none
            end = starts[number + 1] if number + 1 < count else n
            known[starts[number]] &= ~np.uint32(1)
            known[end - 1] &= ~np.uint32(1)
    for number in range(count):
        known[starts[number]] |= np.uint32(word[number] >= 0) << np.uint32(31)
    # Which n-grams are kept cannot be foreseen: each is written, and the next one over it where it is not.
    places = 0
    for at in range(n):
        hashes[places] = at
        places += known[at] != 0
    found: Any = 0
    number = 0
    for place in range(places):
        here = np.int64(hashes[place])
        held = known[here]
        while number + 1 < count and starts[number + 1] <= here:
            number += 1
        rows[found] = ~word[number]
        found += np.int64(held >> np.uint32(31))
        for level in range(maxn - minn + 1):
            rows[found] = np.int64(bucket[level, here])
            found += np.int64((held >> np.uint32(level)) & np.uint32(1))
    for place in range(found):
        this = max(rows[place], 0)
        below = kept[this >> 5] & np.uint32((np.uint32(1) << np.uint32(this & 31)) - np.uint32(1))
        # How many bits stand there: the trick that compilers know as one instruction.
        below = np.uint32(below - ((below >> np.uint32(1)) & np.uint32(0x55555555)))
        below = np.uint32((below & np.uint32(0x33333333)) + ((below >> np.uint32(2)) & np.uint32(0x33333333)))
        below = np.uint32((below + (below >> np.uint32(4))) & np.uint32(0x0F0F0F0F))
        below = np.uint32(below * np.uint32(0x01010101)) >> np.uint32(24)
        row = np.int64(first_row[this >> 5]) + np.int64(below)
        rows[place] = row if rows[place] >= 0 else ~rows[place]
    return int(found)


@jit
def _add(total: Any, vectors: Any, rows: Any, count: int) -> None:
    """Adds rows of `vectors`, one after the other: four at a time, since each sum must wait for the one before."""
    dim = vectors.shape[1]
    at = 0
    while at + 4 <= count:
        a, b, c, e = rows[at], rows[at + 1], rows[at + 2], rows[at + 3]
        for d in range(dim):
            total[d] = (((total[d] + vectors[a, d]) + vectors[b, d]) + vectors[c, d]) + vectors[e, d]
        at += 4
    while at < count:
        for d in range(dim):
            total[d] += vectors[rows[at], d]
        at += 1


@jit
def predict(
    data: Any, offsets: Any, words: Any, word_row: Any, kept: Any, first_row: Any, buckets: int, vectors: Any, tree: Any,
    left: Any, right: Any, end_row: int, minn: int, maxn: int, label: Any, probability: Any,
) -> None:  # fmt: skip
    dim = vectors.shape[1]
    n_labels = len(left) + 1
    score, waiting = np.zeros(n_labels + 1, np.float32), np.zeros(n_labels + 1, np.int64)
    hidden = np.zeros(dim, np.float32)
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    room = 3 * longest + maxn + 3  # a text of single letters between spaces has most
    letter, size, rest = np.zeros(room, np.uint32), np.zeros(room, np.uint8), np.zeros(room, np.uint8)
    starts, word = np.zeros(longest + 1, np.int64), np.zeros(longest + 1, np.int64)
    hashes, known = np.zeros(room, np.uint32), np.zeros(room, np.uint32)
    bucket = np.zeros((maxn - minn + 1, room), np.uint32)
    rows = np.zeros(room * (maxn - minn + 1) + longest + 2, np.int64)
    for row in range(len(offsets) - 1):
        at, end = offsets[row], offsets[row + 1]
        if at == end:
            continue
        n, count = _letters(data, at, end, words, word_row, letter, size, rest, starts, word, maxn)
        found = _parts(
            n,
            count,
            kept,
            first_row,
            np.uint32(buckets),
            minn,
            maxn,
            letter,
            size,
            rest,
            starts,
            word,
            hashes,
            bucket,
            known,
            rows,
        )
        if end_row >= 0:
            rows[found] = end_row
            found += 1
        if found == 0:
            continue
        hidden[:] = 0.0
        _add(hidden, vectors, rows, found)
        scale = np.float32(1.0 / found)
        for d in range(dim):
            hidden[d] *= scale
        # Down the likelier branch first: most of the others then are below the leaf that was found.
        best, best_score = -1, np.float32(-np.inf)
        waiting[0], score[0] = 2 * n_labels - 2, 0.0
        count = 1
        while count:
            count -= 1
            node, above = waiting[count], score[count]
            if above <= best_score:
                continue
            if node < n_labels:
                best, best_score = node, above
                continue
            inner = node - n_labels
            f = np.float32(0.0)
            for d in range(dim):
                f += tree[inner, d] * hidden[d]
            p = np.float32(1.0 / (1.0 + np.exp(-f)))
            to_left = above + np.float32(np.log(1.0 - p + 1e-5))
            to_right = above + np.float32(np.log(p + 1e-5))
            first = to_left >= to_right  # the last one in is the first one out
            waiting[count], score[count] = (right[inner], to_right) if first else (left[inner], to_left)
            waiting[count + 1], score[count + 1] = (left[inner], to_left) if first else (right[inner], to_right)
            count += 2
        label[row] = best
        probability[row] = np.exp(best_score)
