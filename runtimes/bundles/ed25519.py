"""Form of an Ed25519 signature (RFC 8032), which is checked without a key and without `cryptography`."""

from __future__ import annotations

SIGNATURE_BYTES = 64

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_ORDER = 2**252 + 27742317777372353535851937790883648493


def is_signature(data: bytes) -> bool:
    """Tell whether bytes can be a signature: a point of the curve, then a number above 0 and below the group's order.

    Of 32 random texts, one passes; whether a key signed something, only the key can tell (RFC 8032, section 5.1.7).
    """
    if len(data) != SIGNATURE_BYTES:
        return False
    point, number = int.from_bytes(data[:32], "little"), int.from_bytes(data[32:], "little")
    y, sign = point & (1 << 255) - 1, point >> 255
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P  # of x; the divisor is never 0, as D is no square
    is_point = y < _P and (pow(square, (_P - 1) // 2, _P) == 1 if square else not sign)
    return is_point and 0 < number < _ORDER
