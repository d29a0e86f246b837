"""Structures in the compact protocol of Apache Thrift, in which Parquet says what is in a file and in its pages.

The format is that of https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md.
"""

from typing import Any

Fields = dict[int, Any]  # by number: bool, int, bytes, lists and structures of these; None for what is not kept
_DEEPEST = 32  # values in values
_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)


class Reader:
    """Reads structures from bytes, one after the other.

    Attributes:
        at: where the next one begins.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def struct(self) -> Fields:
        """The fields of the structure that begins here.

        Raises:
            ValueError: if there is none.
            EOFError: if the bytes end before it does.
        """
        return self._fields(0)

    def _fields(self, depth: int) -> Fields:
        fields: Fields = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            kind = head & 15
            fields[number] = kind == _TRUE if kind in (_TRUE, _FALSE) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("values within values without an end")
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _STRUCT:
            return self._fields(depth + 1)
        if kind in (_LIST, _SET):
            head = self._byte()
            count = head >> 4 if head >> 4 < 15 else self._varint()
            return [self._value(head & 15, depth + 1) for _ in range(count)]
        if kind == _MAP:
            if count := self._varint():
                kinds = self._byte()
                for _ in range(count):
                    self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)
            return None
        if kind in (_TRUE, _FALSE, _BYTE):  # in lists; as fields the first two have no byte
            return self._byte()
        if kind == _DOUBLE:
            return self._bytes(8)
        raise ValueError(f"no kind of value is called {kind}")

    def _byte(self) -> int:
        return self._bytes(1)[0]

    def _bytes(self, count: int) -> bytes:
        found = self._data[self.at : self.at + count]
        if len(found) < count:
            raise EOFError("ends within a structure")
        self.at += count
        return found

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("a number of more than 64 bits")
        return value | byte << shift

    def _integer(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)
