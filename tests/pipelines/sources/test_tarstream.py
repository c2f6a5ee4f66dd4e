"""Tars that strangers made: every member is given or accounted for, whatever is wrong with the archive."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sources.tarstream import Damage, Member, read_tar

LIMIT = 1 << 20


def entry(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def pack(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.USTAR_FORMAT, end: bool = True) -> bytes:
    """An archive of headers as given: the size in a header need not be that of the data."""
    out = bytearray()
    for info, data in entries:
        out += info.tobuf(form, "utf-8", "surrogateescape")
        out += data + bytes(-len(data) % 512)
    return bytes(out) + (bytes(1024 + -(len(out) + 1024) % 10240) if end else b"")


def raw_header(name: bytes, size: bytes, kind: bytes = b"0") -> bytes:
    """A header with any bytes for its size, and a checksum that fits."""
    block = bytearray(512)
    block[: len(name)] = name
    block[124 : 124 + len(size)] = size
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def pax(*fields: tuple[str, str], body: bytes | None = None) -> bytes:
    """A pax extended header with any fields."""
    if body is None:
        body = b""
        for key, value in fields:
            line = f" {key}={value}\n".encode("utf-8", "surrogateescape")
            length = len(line) + len(str(len(line)))
            length = len(line) + len(str(length))
            body += str(length).encode() + line
    return raw_header(b"PaxHeader", b"%011o\0" % len(body), b"x") + body + bytes(-len(body) % 512)


def walk(data: bytes, limit: int = LIMIT) -> tuple[dict[str, bytes | None], list[Damage]]:
    items = list(read_tar(io.BytesIO(data), max_member_bytes=limit))
    members = [item for item in items if isinstance(item, Member)]
    for member in members:
        if member.data is not None:
            assert data[member.offset : member.offset + member.length] == member.data, "the offset points elsewhere"
    return {m.name: m.data for m in members}, [item for item in items if isinstance(item, Damage)]


def reasons(damages: list[Damage]) -> list[tuple[str, str]]:
    return [(damage.name, damage.reason) for damage in damages]


A, B, C = (entry(f"{name}.txt", name.encode() * 700) for name in "abc")
CONTENT = {f"{name}.txt": name.encode() * 700 for name in "abc"}
GOOD = pack(A, B, C)
HEADERS = [0, 1536, 3072]  # 700 bytes take two blocks


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_good_archive_has_all_its_files_and_no_damage(form: int) -> None:
    long = "folder/" * 40 + "a-name-of-more-than-a-hundred-bytes.txt"
    if form == tarfile.USTAR_FORMAT:
        long = long[-200:].partition("/")[2]
    entries = [entry("dir", type=tarfile.DIRTYPE), entry(long, b"1"), entry("ünï.txt", b"2"), entry("empty.txt"), A]
    assert walk(pack(*entries, form=form)) == (
        {long: b"1", "ünï.txt": b"2", "empty.txt": b"", "a.txt": CONTENT["a.txt"]},
        [],
    )


def test_an_archive_of_nothing_is_no_damage() -> None:
    assert walk(bytes(10240)) == ({}, [])


def test_no_bytes_at_all_are_a_truncated_archive() -> None:
    assert reasons(walk(b"")[1]) == [("", "truncated")]


@pytest.mark.parametrize("cut", [1, 100, 511, 512, 513, 1000, 1211, 1212, 1535, 1536, 1537, 2047, 2048, 4607, 4608])
def test_a_cut_anywhere_is_told_and_costs_only_what_is_cut(cut: int) -> None:
    members, damages = walk(GOOD[:cut])
    whole = [name for name, begin in zip(CONTENT, HEADERS, strict=True) if cut >= begin + 512 + 700]
    assert members == {name: CONTENT[name] for name in whole}
    assert len(damages) == 1
    assert damages[0].reason == "truncated"
    inside = [name for name, begin in zip(CONTENT, HEADERS, strict=True) if begin + 512 <= cut < begin + 512 + 700]
    assert damages[0].name == (inside[0] if inside else "")


def test_one_closing_block_is_enough() -> None:
    assert walk(pack(A, end=False) + bytes(512)) == ({"a.txt": CONTENT["a.txt"]}, [])


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("fill", [b"\xff", b"\0", b"x"], ids=["ones", "zeros", "text"])
@pytest.mark.parametrize("zeros_inside", [False, True])
def test_a_damaged_header_costs_its_own_member_alone(number: int, fill: bytes, zeros_inside: bool) -> None:
    """The standard library stops at such a header; zeros in a header or in the lost data are not the archive's end either."""
    blocks = bytes(1024) if zeros_inside else b""
    entries = [entry(name, blocks + data) for name, data in CONTENT.items()]
    whole = pack(*entries)
    at = number * (1536 + len(blocks))
    broken = whole[:at] + fill * 512 + whole[at + 512 :]
    members, damages = walk(broken)
    names = list(CONTENT)
    if fill == b"\0" and zeros_inside and number == 2:
        # A wiped header before zeros looks like the archive's end, and nothing sound follows that could tell.
        assert set(members) == set(names[:2])
        return
    assert set(members) == set(names) - {names[number]}
    assert reasons(damages) == [("", "broken_member")]
    assert damages[0].offset <= at + 1024


def test_a_sector_of_zeros_in_the_midst_is_told() -> None:
    entries = [entry(f"{n}.txt", bytes([65 + n]) * 700) for n in range(9)]
    whole = pack(*entries)
    members, damages = walk(whole[:1536] + bytes(4096 + 512) + whole[1536 + 4608 :])
    assert set(members) == {f"{n}.txt" for n in (0, 4, 5, 6, 7, 8)}
    assert reasons(damages) == [("", "broken_member")]


def test_joined_archives_are_read_to_the_end() -> None:
    """`cat a.tar b.tar`, and `tar -A` with the first one's end left in."""
    assert walk(pack(A) + pack(B) + pack(C)) == (CONTENT, [])


def test_what_follows_the_end_is_not_the_archive() -> None:
    assert walk(GOOD + b"signature" * 300) == (CONTENT, [])


def test_junk_between_joined_archives_is_told() -> None:
    members, damages = walk(pack(A) + b"junk" * 128 + pack(B))
    assert set(members) == {"a.txt", "b.txt"}
    assert reasons(damages) == [("", "broken_member")]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
@pytest.mark.parametrize("size", [0, 700, 8**11 - 1])
def test_links_and_devices_are_refused_and_swallow_nothing(kind: bytes, size: int) -> None:
    """A link has no data whatever size it states: believing a stated size would pass over the members behind it."""
    link = entry("evil.txt", type=kind, linkname="/etc/passwd")
    link[0].size = size
    members, damages = walk(pack(A, link, B, C))
    assert members == CONTENT
    assert reasons(damages) == [("evil.txt", "not_a_file")]


def test_a_folder_that_states_a_size_swallows_nothing() -> None:
    folder = entry("dir", type=tarfile.DIRTYPE)
    folder[0].size = 1536
    assert walk(pack(folder, A, B, C)) == (CONTENT, [])


@pytest.mark.parametrize("name", ["/etc/passwd", "../a.txt", "x/../../a.txt", "..", "x/..", "a\\b.txt", "C:\\a.txt"])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_hostile_names_are_refused(name: str, form: int) -> None:
    members, damages = walk(pack(A, entry(name, b"x"), B, form=form))
    assert set(members) == {"a.txt", "b.txt"}
    assert [damage.reason for damage in damages] == ["unsafe_name"]


@pytest.mark.parametrize("name", ["...txt", "a..b.txt", "..a.txt", "x/...", "./a.jpg"])
def test_dots_that_do_not_climb_are_names(name: str) -> None:
    assert walk(pack(entry(name, b"x"))) == ({name: b"x"}, [])


def test_a_hostile_name_in_an_extended_header_is_refused() -> None:
    for name in ("../x.txt", "/x.txt", "a\0.txt"):
        members, damages = walk(pax(("path", name)) + pack(A, B))
        assert set(members) == {"b.txt"}
        assert [damage.reason for damage in damages] == ["unsafe_name"]


def test_names_that_are_not_utf8_are_told_apart_and_can_be_written() -> None:
    """Lone surrogates would stop Arrow; two names must not become one."""
    data = raw_header(b"caf\xe9.txt", b"00000000000\0") + raw_header(b"caf\xe8.txt", b"00000000000\0") + bytes(1024)
    members, damages = walk(data)
    assert list(members) == ["caf\\xe9.txt", "caf\\xe8.txt"]
    assert not damages
    for name in members:
        name.encode()


@pytest.mark.parametrize(
    "size",
    [b"-0000000001\0", b"\xff" * 12, b"\xff" * 11 + b"\x00", b"zzzzzzzzzzz\0", b"\x80" + b"\xff" * 11, b"0b1"],
)
def test_a_hostile_size_loses_nothing_in_silence(size: bytes) -> None:
    """Negative sizes, numbers in base 256, not numbers at all."""
    data = pack(A, end=False) + raw_header(b"evil.txt", size) + pack(B)
    members, damages = walk(data)
    assert members["a.txt"] == CONTENT["a.txt"]
    told = "evil.txt" in members or damages
    assert told
    assert "b.txt" in members or damages[-1].reason == "truncated"


def test_a_size_in_base_256_is_read() -> None:
    header = raw_header(b"big.txt", b"\x80" + (700).to_bytes(11, "big"))
    assert walk(header + b"x" * 700 + bytes(324) + bytes(1024)) == ({"big.txt": b"x" * 700}, [])


@pytest.mark.parametrize("size", ["-1", "-700", "", "9" * 25, "²", "٣", "1e3", "0x10", " 7"])
def test_a_hostile_size_in_a_pax_header_costs_its_member(size: str) -> None:
    members, damages = walk(pax(("size", size)) + GOOD)
    assert members == {name: data for name, data in CONTENT.items() if name != "a.txt"}
    assert reasons(damages) == [("a.txt", "broken_member")]


def test_a_huge_size_in_a_pax_header_is_a_cut_member() -> None:
    members, damages = walk(pack(C, end=False) + pax(("size", "9" * 18)) + pack(A, B))
    assert members == {"c.txt": CONTENT["c.txt"]}
    assert reasons(damages) == [("a.txt", "truncated")]


def test_a_pax_size_overrules_the_header() -> None:
    header = raw_header(b"a.txt", b"00000000000\0")
    assert walk(pax(("size", "3")) + header + b"abc" + bytes(509) + bytes(1024)) == ({"a.txt": b"abc"}, [])


@pytest.mark.parametrize(
    "body",
    [
        b"garbage",
        b"5 a=b\n",
        b"999 path=x\n",
        b"-3 path=x\n",
        b"0 path=x\n",
        b"11 path=xxxx",
        b"9" * 600,
        b"4 a\n",
        b"2 \n",
    ],
)
def test_a_malformed_pax_header_costs_its_member(body: bytes) -> None:
    """The name or size that it would have told is lost: the member must not pass under another."""
    members, damages = walk(pax(body=body) + GOOD)
    assert set(members) == {"b.txt", "c.txt"}
    assert reasons(damages) == [("a.txt", "broken_member")]


@pytest.mark.parametrize("kind", [b"x", b"L", b"K", b"g"])
def test_an_extended_header_of_a_gigabyte_is_not_read_into_memory(kind: bytes) -> None:
    data = raw_header(b"long", b"%011o\0" % (1 << 30), kind) + GOOD
    members, damages = walk(data)
    assert not members
    assert [damage.reason for damage in damages] == ["broken_member", "truncated"]


def test_an_extended_header_of_some_kilobytes_is_usual() -> None:
    """Archives made on a Mac carry such for each file."""
    members, damages = walk(pax(("LIBARCHIVE.xattr.com.apple.metadata", "x" * 9000), ("path", "real.txt")) + GOOD)
    assert list(members) == ["real.txt", "b.txt", "c.txt"]
    assert not damages


def test_a_long_name_is_not_given_to_another_member() -> None:
    """The header that the long name belongs to is damaged: the next member has a name of its own."""
    long = entry("very-" * 40 + "long.txt", b"x" * 10)
    data = bytearray(pack(long, A, form=tarfile.GNU_FORMAT))
    damaged = 1024  # the long name's header and its block come first
    for fill in (b"\xff", b"\0"):
        data[damaged : damaged + 512] = fill * 512
        members, damages = walk(bytes(data))
        assert members == {"a.txt": CONTENT["a.txt"]}
        assert (long[0].name, "broken_member") in reasons(damages)


def test_a_long_name_without_a_member_is_told() -> None:
    long = pack(entry("very-" * 40 + "long.txt", b""), form=tarfile.GNU_FORMAT)
    members, damages = walk(long[:1024] + bytes(1024))
    assert not members
    assert [damage.reason for damage in damages] == ["broken_member"]


def test_sparse_files_are_refused() -> None:
    """What is stored of them is not the file."""
    old = entry("old.txt", b"x" * 512, type=tarfile.GNUTYPE_SPARSE)
    members, damages = walk(pack(old, A))
    assert set(members) == {"a.txt"}
    assert reasons(damages) == [("old.txt", "not_a_file")]
    new = pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "x"))
    members, damages = walk(new + pack(A, B))
    assert set(members) == {"b.txt"}
    assert reasons(damages) == [("a.txt", "not_a_file")]


def test_a_member_above_the_bound_is_named_and_not_held() -> None:
    members, damages = walk(GOOD, limit=699)
    assert members == dict.fromkeys(CONTENT)
    assert not damages
    assert walk(GOOD, limit=700)[0] == CONTENT


def test_a_member_above_the_bound_that_is_cut_is_told() -> None:
    assert reasons(walk(GOOD[:1000], limit=10)[1]) == [("a.txt", "truncated")]


def test_members_that_repeat_are_all_given() -> None:
    items = list(read_tar(io.BytesIO(pack(A, A, B, A)), max_member_bytes=LIMIT))
    assert [item.name for item in items] == ["a.txt", "a.txt", "b.txt", "a.txt"]


def test_a_file_that_gives_little_at_a_time() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, 37))

    items = list(read_tar(Slow(GOOD), max_member_bytes=LIMIT))
    assert {item.name: item.data for item in items if isinstance(item, Member)} == CONTENT
    assert len(items) == 3


# --- any damage at all -------------------------------------------------------------------------------------------------------

MANY = [entry(f"{n:03d}.{ext}", bytes([n + 1]) * (137 * n % 1500)) for n in range(8) for ext in ("jpg", "txt")]


def _overwrite(data: bytes, at: int, patch: bytes) -> bytes:
    return data[:at] + patch + data[at + len(patch) :]


MUTATIONS: st.SearchStrategy[Callable[[bytes], bytes]] = st.one_of(
    st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=600)).map(
        lambda p: lambda data: _overwrite(data, int(p[0] * len(data)), p[1])
    ),
    st.floats(0, 1).map(lambda p: lambda data: data[: int(p * len(data))]),
    st.tuples(st.floats(0, 1), st.integers(1, 1500)).map(
        lambda p: lambda data: data[: int(p[0] * len(data))] + data[int(p[0] * len(data)) + p[1] :]
    ),
    st.tuples(st.floats(0, 1), st.integers(1, 5)).map(
        lambda p: lambda data: _overwrite(data, int(p[0] * len(data)) // 512 * 512, bytes(512 * p[1]))
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]),
    st.lists(MUTATIONS, min_size=1, max_size=3),
)
def test_whatever_happens_to_an_archive_nothing_is_lost_in_silence(
    form: int, mutations: list[Callable[[bytes], bytes]]
) -> None:
    """No exception; and where a member is not given, there is a word of damage."""
    data = pack(*MANY, form=form)
    for mutate in mutations:
        data = mutate(data)
    items = list(read_tar(io.BytesIO(data), max_member_bytes=LIMIT))
    members = {item.name: item.offset for item in items if isinstance(item, Member)}
    missing = {info.name for info, _ in MANY} - set(members)
    gone = len(pack(*MANY, form=form)) - len(data)
    if gone and gone % 512 == 0 and data.endswith(bytes(1024)):
        return  # whole blocks cut out can be whole members: the rest is a sound archive, and no reader could tell
    # What is wiped up to the end looks like a shorter archive, what is wiped up to a whole record like two that were joined.
    joined = any((offset - 512) % 10240 == 0 for offset in members.values() if offset > 512)
    if missing and len(items) == len(members) and not joined:
        first = min(int(name[:3]) for name in missing)
        sound = {name for name in members if int(name[:3]) > first}
        assert not sound, f"{sorted(missing)} vanished without a word, though {sorted(sound)} came after them"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=4000))
def test_bytes_that_are_no_archive_raise_nothing(data: bytes) -> None:
    members, damages = walk(data)
    assert damages or not any(data)
    assert not members or damages
